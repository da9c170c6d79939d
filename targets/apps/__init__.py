"""What the service does: one file an app. Each offers ``OPTIONS``, ``KEEPS_SESSIONS`` and ``app(context)``."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from targets.common.settings import Settings
from targets.http.routes import Routes
from targets.state import SessionStore
from targets.storage.journal import Journal

#: What an app does when the service begins to stop, such as leaving its WebSockets.
ShutdownHook = Callable[[], Awaitable[None]]
#: What an app does besides answering: a scope, entered once its store is open and before it is ready, left at its end.
BackgroundScope = Callable[[], AbstractAsyncContextManager[None]]


@dataclass(frozen=True)
class AppContext:
    """What an app is given to work with; it adds to ``work`` what it does besides answering, and its ``farewells``."""

    store: SessionStore
    journal: Journal
    settings: Settings
    background: list[BackgroundScope] = field(default_factory=list)
    shutdown_hooks: list[ShutdownHook] = field(default_factory=list)


class App(Protocol):
    """What a file of this package offers. ``OPTIONS`` are the keys of ``--option`` that it reads.

    An app that makes no sense over some states has ``REFUSES`` besides: why, by the state's name.
    """

    OPTIONS: tuple[str, ...]
    KEEPS_SESSIONS: bool

    def create_routes(self, context: AppContext) -> Routes:
        """Make the app."""
