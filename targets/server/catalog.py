"""The catalog: apps and places are files, found by their names. A new one is one new file."""

import importlib
from pathlib import Path
from typing import cast

from targets.apps import App
from targets.common.settings import Options, SettingsError
from targets.state import State

_HERE = Path(__file__).parents[1]


def names(kind: str) -> tuple[str, ...]:
    """The names of all ``apps``, or of every ``state``."""
    return tuple(sorted(path.stem for path in (_HERE / kind).glob("*.py") if not path.stem.startswith("_")))


def select(app_name: str, state_name: str, options: Options) -> tuple[App, State]:
    """The app and the state, if they go together.

    Raises:
        SettingsError: one is unknown, they make no sense together, or neither reads one of the options.
    """
    app, state = cast(App, _file("apps", app_name)), cast(State, _file("state", state_name))
    if app.KEEPS_SESSIONS and not state.KEEPS_SESSIONS:
        raise SettingsError(f"the app {app_name} keeps sessions, and the state {state_name} keeps nothing")
    if state.KEEPS_SESSIONS and not app.KEEPS_SESSIONS:
        raise SettingsError(f"the app {app_name} keeps no sessions: give it --state none, not {state_name}")
    if state_name in (refused := getattr(app, "REFUSES", {})):
        raise SettingsError(f"the app {app_name} does not go with the state {state_name}: {refused[state_name]}")
    known = (*app.OPTIONS, *state.OPTIONS)
    for key in options.values:
        if key not in known:
            raise SettingsError(
                f"{app_name} over {state_name} has no option {key!r}: {', '.join(known) or 'none at all'}"
            )
    return app, state


def _file(kind: str, name: str) -> object:
    known = names(kind)
    if name not in known:
        raise SettingsError(f"no {kind.removesuffix('s')} {name!r}: there is {', '.join(known)}")
    return importlib.import_module(f"targets.{kind}.{name}")
