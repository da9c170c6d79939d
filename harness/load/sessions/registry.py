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
        return session

    def histories(self) -> list[SessionHistory]:
        """What the ledgers of all sessions hold, for the judge."""
        return [session.ledger.history() for session in self.sessions]
