"""The apps: what a service does. Each module has ``OPTIONS``, ``KEEPS_SESSIONS`` and ``create_routes(context)``."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from targets.common.settings import Settings
from targets.http.routes import Routes
from targets.state import SessionStore
from targets.storage.journal import Journal

#: What an app does when the service begins to stop, such as closing its WebSockets.
ShutdownHook = Callable[[], Awaitable[None]]
#: Work besides answering: a scope that is entered once the store is open and before the service is ready.
BackgroundScope = Callable[[], AbstractAsyncContextManager[None]]


@dataclass(frozen=True)
class AppContext:
    """What an app works with. It adds its own scopes to ``background`` and its own ``shutdown_hooks``."""

    store: SessionStore
    journal: Journal
    settings: Settings
    background: list[BackgroundScope] = field(default_factory=list)
    shutdown_hooks: list[ShutdownHook] = field(default_factory=list)


class App(Protocol):
    """What a module of this package has. ``OPTIONS`` are the keys of ``--option`` that it reads.

    An app that does not work over some states also has ``REFUSES``: the reasons by the state's name.
    """

    OPTIONS: tuple[str, ...]
    KEEPS_SESSIONS: bool

    def create_routes(self, context: AppContext) -> Routes:
        """Make the app, and return its routes."""
