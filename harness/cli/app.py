"""Assembles the commands into one command line, and runs it.

The modules of the commands import nothing heavy at their top: ``harness --help`` loads all of them.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import configuration
from harness.cli.baseline import accept
from harness.cli.claims import claims
from harness.cli.clean import clean
from harness.cli.compare import compare
from harness.cli.doctor import doctor
from harness.cli.errors import EXIT_CODES, guard, report_problem, report_usage, require_command
from harness.cli.explain import explain
from harness.cli.init import init
from harness.cli.kill import kill
from harness.cli.list_parts import list_parts
from harness.cli.report import report
from harness.cli.run import run
from harness.cli.scale import scale
from harness.cli.serve import serve
from harness.cli.up import up
from harness.cli.worker import worker
from harness.common.errors import HarnessError
from harness.common.terminal import show
from harness.common.version import __version__


def run_command_line(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the process's exit code; a problem is one line and a hint."""
    command_line = typer.main.get_command(app)
    assert isinstance(command_line, typer.core.TyperGroup)  # noqa: S101 - so it is for an app with several commands
    configuration.name_variables(command_line)
    try:
        defaults = configuration.read_defaults(command_line, Path.cwd())
        code: int | None = command_line.main(argv, prog_name="harness", standalone_mode=False, default_map=defaults)
    except typer.TyperException as problem:
        return report_usage(problem)
    except HarnessError as problem:
        return report_problem(problem)
    return code or 0


def _print_version(wanted: bool) -> None:
    if wanted:
        show(f"harness {__version__}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
]


def _group(callback: Callable[..., None]) -> typer.Typer:
    """A group of commands; plain text, so that a pipe, a log and a terminal get the same."""
    group = typer.Typer(
        epilog=EXIT_CODES,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    group.callback(invoke_without_command=True)(callback)
    return group


def _harness(context: typer.Context, *, version: Version = False) -> None:
    """Where should session state live? Start, balance, drive, kill, judge, draw.

    Silence is never a pass: a design must be clean and answer well without a fault, and lose no more under it than its
    theory says (without a theory: nothing), unless the scenario expects otherwise. What was not judged is unknown.

    An option can also be set by the environment (HARNESS_RUN_REPLICAS=3) or in the project's pyproject.toml
    ([tool.harness.run] replicas = 3).
    """
    require_command(context)


def _baseline(context: typer.Context) -> None:
    """Manage the runs that later runs are compared with.

    Example:

    \b
        harness baseline accept results/node_kill/latest --reason "the first one"
    """
    require_command(context)


def _add(group: typer.Typer, name: str, command: Callable[..., int]) -> None:
    group.command(name, short_help=_summarise(command), epilog=EXIT_CODES)(guard(command))


def _summarise(command: Callable[..., object]) -> str:
    """The first line of its help, whole: Typer would cut it after 45 characters."""
    return (command.__doc__ or "").partition("\n")[0]


app = _group(_harness)
baseline = _group(_baseline)
_add(baseline, "accept", accept)
_add(app, "run", run)
_add(app, "worker", worker)
_add(app, "scale", scale)
_add(app, "init", init)
_add(app, "report", report)
_add(app, "serve", serve)
_add(app, "explain", explain)
_add(app, "compare", compare)
app.add_typer(baseline, name="baseline", short_help=_summarise(_baseline))
_add(app, "claims", claims)
_add(app, "up", up)
_add(app, "kill", kill)
_add(app, "clean", clean)
_add(app, "list", list_parts)
_add(app, "doctor", doctor)
