"""Defaults for the options of the command line, from the environment and from ``[tool.harness]`` in pyproject.toml.

    [tool.harness.run]
    replicas = 3
    master_bind = "127.0.0.1:6000"

An option is named as on the command line, with ``_`` for ``-``. The command line counts first, then the environment
(``HARNESS_RUN_REPLICAS=3``), then the table.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from harness.common.errors import UsageError


def name_variables(group: typer.core.TyperGroup) -> None:
    """Let every option of every command be set by ``HARNESS_<COMMAND>_<OPTION>``."""
    for name, command in group.commands.items():
        for option, parameter in _options(command).items():
            parameter.envvar = f"HARNESS_{name}_{option}".upper()
            parameter.show_envvar = False  # the help would be twice as long


def read_defaults(group: typer.core.TyperGroup, start: Path) -> dict[str, Mapping[str, Any]]:
    """The options by command, from the pyproject.toml in ``start`` or the nearest directory above it.

    Raises:
        UsageError: the file is no TOML, or its table names a command or an option that does not exist.
    """
    file = next((path for place in (start, *start.parents) if (path := place / "pyproject.toml").is_file()), None)
    if file is None:
        return {}
    import tomllib

    try:
        table = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("harness", {})
        return {name: _read_options(group, name, dict(options)) for name, options in table.items()}
    except (OSError, ValueError, TypeError, AttributeError) as problem:
        raise UsageError(f"{file} cannot be read: {problem}", "correct its table [tool.harness]") from problem
    except UsageError as problem:
        raise UsageError(f"{file}: {problem.message}", problem.hint) from problem


def _read_options(group: typer.core.TyperGroup, name: str, options: Mapping[str, Any]) -> Mapping[str, Any]:
    if name not in group.commands:
        raise UsageError(f"[tool.harness] has no command {name!r}", f"it has {', '.join(group.commands)}")
    known = _options(group.commands[name])
    for option in options:
        if option not in known:
            raise UsageError(f"[tool.harness.{name}] has no option {option!r}", f"it has {', '.join(known)}")
    return {str(known[option].name): value for option, value in options.items()}


def _options(command: Any) -> dict[str, typer.core.TyperOption]:
    """The options of a command by their names on the command line, with ``_`` for ``-``."""
    options = [parameter for parameter in command.params if isinstance(parameter, typer.core.TyperOption)]
    return {max(option.opts, key=len).lstrip("-").replace("-", "_"): option for option in options}
