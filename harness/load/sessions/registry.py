"""All sessions of one process, as they begin."""

from harness.load.control.plan import WHOLE_LOAD, Shard
from harness.load.sessions.behaviour import Behaviour
from harness.load.sessions.context import LoadContext
from harness.load.sessions.scheduling import Workload
from harness.load.sessions.session import Session
from harness.oracle.history import SessionHistory


class SessionRegistry:
    """Begins sessions and keeps all of them for the final sweep and the judge; they share one ``context``."""

    def __init__(self, context: LoadContext, shard: Shard = WHOLE_LOAD) -> None:
        self.context = context
        self.sessions: list[Session] = []
        self._silent: list[Session] = []  # had not sent anything when last looked at
        self._shard = shard
        self._devices: dict[type, list[Session]] = {}  # of the latest session of each class of users

    def begin(self, user: Behaviour, workload: Workload) -> Session:
        """A new session of this user: new number, new ledger, no cookies. ``advance(None, now)`` sets it going."""
        devices = self._devices.setdefault(type(user), [])
        if len(devices) == type(user).devices:
            devices.clear()
        first = devices[0] if devices else None
        session = Session(self.context, self._shard.session_number(len(self.sessions)), user, workload, first)
        devices.append(session)
        self.sessions.append(session)
        self._silent.append(session)
        return session

    @property
    def started(self) -> list[Session]:
        """The sessions that sent at least one request. Of the others there is nothing to read and nothing to judge."""
        return [session for session in self.sessions if session.requests]

    def count_started(self) -> int:
        """How many sessions sent a request; takes time for the silent ones only, because the load waits for it."""
        self._silent = [session for session in self._silent if not session.requests]
        return len(self.sessions) - len(self._silent)

    def histories(self) -> list[SessionHistory]:
        """What the ledgers of all started sessions hold, for the judge."""
        return [session.ledger.history() for session in self.started]
