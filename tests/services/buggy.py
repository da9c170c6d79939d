"""A service with seeded bugs that logs what it did: ``STORE=memory LOG=did.jsonl PORT=8080 python buggy.py``.

A session appends entries to its list. Which bug it meets follows from the number in its user's name. With
``STORE=sqlite`` the lists are in a database, else in memory. Every line of the log is one thing that happened.
"""

import http.server
import json
import os
import secrets
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

#: In the order of the users' numbers.
BUGS = (
    "none",
    "doubled",
    "tripled",
    "two_dropped_two_doubled",
    "applied_though_refused",
    "swapped",
    "login_lost",
    "dropped",
    "rolled_back",
    "stale_cache",
    "leaked",
    "reset",
    "late",
)
AT = 3  # the write at which a bug that happens once does


def bug_of(owner: str) -> str:
    """The bug that this user's session meets."""
    return BUGS[int(owner[1:]) % len(BUGS)]


@dataclass
class State:
    """What is stored of a session."""

    owner: str
    birth: str
    entries: list[str] = field(default_factory=list)


class Store:
    """States by session id, in memory."""

    def __init__(self) -> None:
        self._states: dict[str, str] = {}

    def read(self, sid: str) -> State:
        return State(**json.loads(self._states[sid]))

    def write(self, sid: str, state: State) -> None:
        self._states[sid] = json.dumps(asdict(state))


class SqliteStore(Store):
    """States by session id, in a database."""

    def __init__(self) -> None:
        self._database = sqlite3.connect(os.environ["LOG"] + ".sqlite", check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute("CREATE TABLE IF NOT EXISTS states (sid TEXT PRIMARY KEY, state TEXT)")

    def read(self, sid: str) -> State:
        ((text,),) = self._database.execute("SELECT state FROM states WHERE sid = ?", (sid,))
        return State(**json.loads(text))

    def write(self, sid: str, state: State) -> None:
        self._database.execute("INSERT OR REPLACE INTO states VALUES (?, ?)", (sid, json.dumps(asdict(state))))


@dataclass
class Session:
    """A session of the service: where its state is, and how often it wrote."""

    owner: str
    sid: str  # of its state: another one after a swap
    writes: int = 0
    held: list[str] = field(default_factory=list)  # acknowledged, not yet applied
    cached: State | None = None  # what the next read shows in place of the state


class Service:
    """Does what its bugs make it do."""

    def __init__(self, store: Store, log: Callable[[dict[str, Any]], None]) -> None:
        self._store, self._log = store, log
        self._sessions: dict[str, Session] = {}
        self._to_swap: Session | None = None
        self._to_leak: State | None = None

    def open(self, owner: str) -> str:
        """A new session; returns its id."""
        sid = secrets.token_hex(8)
        self._sessions[sid] = Session(owner, sid)
        self._store.write(sid, State(owner, secrets.token_hex(4)))
        return sid

    def knows(self, sid: str) -> bool:
        """Whether there is such a session."""
        return sid in self._sessions

    def append(self, sid: str, value: str) -> int:
        """One write; returns the status of its answer."""
        session = self._sessions[sid]
        session.writes += 1
        bug, number = bug_of(session.owner), session.writes
        if bug == "login_lost" and number > AT:
            return self._answer(session, value, 401)
        self._apply(session, value, self._times(bug, number))
        self._spoil(session, bug, number, value)
        return self._answer(session, value, 409 if bug == "applied_though_refused" and number == AT else 200)

    def show(self, sid: str) -> State | None:
        """One read; None if a login is asked for."""
        session = self._sessions[sid]
        if bug_of(session.owner) == "login_lost" and session.writes >= AT:
            self._log({"owner": session.owner, "shown": None})
            return None
        state = session.cached or self._store.read(session.sid)
        session.cached = None
        self._log({"owner": session.owner, "shown": state.entries, "of": state.owner, "birth": state.birth})
        return state

    def _answer(self, session: Session, value: str, status: int) -> int:
        self._log({"owner": session.owner, "written": value, "status": status})
        return status

    @staticmethod
    def _times(bug: str, number: int) -> int:
        """How often a write is applied."""
        return {
            "doubled": 2,
            "tripled": 3 if number == AT else 1,
            "two_dropped_two_doubled": {2: 0, 4: 0, 3: 2, 5: 2}.get(number, 1),
            "dropped": 0 if number % 3 == 0 else 1,
            "late": 0 if number == AT else 1,
        }.get(bug, 1)

    def _apply(self, session: Session, value: str, times: int) -> None:
        state = self._store.read(session.sid)
        state.entries += [value] * times
        self._store.write(session.sid, state)

    def _spoil(self, session: Session, bug: str, number: int, value: str) -> None:
        state = self._store.read(session.sid)
        if bug == "leaked" and number == AT:
            session.cached, self._to_leak = self._to_leak, state
        elif bug == "late" and number in (AT, AT + 2):
            session.held, late = ([value], []) if number == AT else ([], session.held)
            for held in late:
                self._apply(session, held, 1)
        elif bug == "rolled_back" and number == AT + 2:
            self._store.write(session.sid, State(state.owner, state.birth, state.entries[: AT - 2]))
        elif bug == "stale_cache" and number == AT:
            session.cached = State(state.owner, state.birth, state.entries[:-2])
        elif bug == "reset" and number == AT:
            self._store.write(session.sid, State(state.owner, secrets.token_hex(4)))
        elif bug == "swapped" and number == AT:
            other, self._to_swap = self._to_swap, session
            if other is not None:
                other.sid, session.sid, self._to_swap = session.sid, other.sid, None


class Handler(http.server.BaseHTTPRequestHandler):
    """GET and POST /entries, and GET /health."""

    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # a response is one packet
    service: Service
    lock = threading.Lock()

    def do_GET(self) -> None:
        if self.path == "/health":
            self._reply(200, {})
            return
        with self.lock:
            state = self.service.show(self._session())
        self._reply(401 if state is None else 200, {} if state is None else asdict(state))

    def do_POST(self) -> None:
        value = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["value"]
        with self.lock:
            status = self.service.append(self._session(), value)
        self._reply(status, {})

    def _session(self) -> str:
        cookie = SimpleCookie(self.headers.get("Cookie", "")).get("sid")
        self.new = "" if cookie is not None and self.service.knows(cookie.value) else self.headers["X-User"]
        self.sid = self.service.open(self.new) if self.new or cookie is None else cookie.value
        return self.sid

    def _reply(self, status: int, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        if getattr(self, "new", ""):
            self.send_header("Set-Cookie", f"sid={self.sid}; Path=/")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Log nothing of a request."""


def main() -> None:
    with Path(os.environ["LOG"]).open("a", buffering=1) as file:
        store = SqliteStore() if os.environ["STORE"] == "sqlite" else Store()
        Handler.service = Service(store, lambda line: print(json.dumps(line), file=file, flush=True))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
        server.serve_forever()


if __name__ == "__main__":
    main()
