"""The catalog: loads the app and the state that were chosen by name, and checks that they go together."""

import importlib
from collections.abc import Mapping
from typing import cast

from targets.apps import App
from targets.common.settings import Options, SettingsError
from targets.registry import APPS, STATES
from targets.state import State


def load_app(name: str) -> App:
    """The module of an app.

    Raises:
        SettingsError: the name is unknown.
    """
    return cast(App, _load("app", name, APPS))


def load_state(name: str) -> State:
    """The module of a state.

    Raises:
        SettingsError: the name is unknown.
    """
    return cast(State, _load("state", name, STATES))


def select(app_name: str, state_name: str, options: Options) -> tuple[App, State]:
    """The app and the state, if they go together.

    Raises:
        SettingsError: a name is unknown, the app does not work over the state, or neither reads one of the options.
    """
    app, state = load_app(app_name), load_state(state_name)
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


def _load(kind: str, name: str, modules: Mapping[str, str]) -> object:
    if name not in modules:
        raise SettingsError(f"no {kind} {name!r}: there is {', '.join(modules)}")
    return importlib.import_module(modules[name])
