"""What the sessions of one process share: the event loop, the recorder, the tables of names, the counters."""

import logging
import traceback
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from harness.load.http.client import Request
from harness.load.http.event_loop import EventLoop
from harness.load.http.response import Head, Response
from harness.load.http.site import Site
from harness.load.http.wire import Encoder
from harness.load.recording.recorder import Recorder, StringTable
from harness.load.sessions.request import PreparedRequest

#: Called with method, name, reply, error and the times of sending and of the end.
RequestHook = Callable[[str, str, Response | None, str, tuple[int, int]], None]
_MAX_CACHED_NAMES = 10_000
_MAX_LOGGED_CHARACTERS = 500
_MAX_LOGGED = 1000  # different problems; what a service sends may be part of one

log = logging.getLogger(__name__)


class LoadContext:
    """What the sessions of one process share. Times are those of CLOCK_MONOTONIC in ns."""

    def __init__(
        self, event_loop: EventLoop, recorder: Recorder, names: StringTable, *, host: str, seed: int, t0: int
    ) -> None:
        self.event_loop = event_loop
        self.recorder = recorder
        self.names = names
        self.encoder = Encoder(host)
        target = event_loop.target
        self.site = Site(urlsplit(f"//{host}").hostname or "", secure=target is not None and target.tls is not None)
        self.seed = seed
        self.t0 = recorder.t0 = t0
        self.shared_requests: dict[str, Request] = {}  # that the clients of all sessions have in common
        self.sent = 0
        self.sessions_lost = 0
        self.last_peer_message = 0  # when a WebSocket last brought what another session wrote
        self.stopping = False
        #: The boot ids of replicas that do not report their own: whatever starts the replicas does.
        self.boots: Mapping[str, str] = {}
        #: Called after every request of the load, if a scenario listens to each of them.
        self.request_hook: RequestHook | None = None
        self._logged: set[str] = set()
        self._name_ids: dict[str | tuple[str, str], int] = {}

    @property
    def origin(self) -> str:
        """Scheme and host of what is loaded."""
        target = self.event_loop.target
        return f"{'https' if target is not None and target.tls else 'http'}://{self.encoder.host}"

    def prepare(self, request: Request, lines: bytes, placed: Request | None = None) -> PreparedRequest:
        """A request of the session that has these header lines; ``placed`` is the request with the session's ids in it.

        Raises:
            ValueError: it cannot be sent.
        """
        halves = self.encoder.encode_around_key(placed or request, lines)
        return PreparedRequest(request, halves, self._name_of(request))

    def boot_of(self, head: Head) -> str:
        """The boot id of the replica that answered: its own, or that of whatever started it."""
        return head.boot or self.boots.get(head.replica, "")

    def numbers_of(self, head: Head) -> tuple[int, int]:
        """The numbers of the replica and the boot that answered; kept with the head if that alone decides them."""
        numbers = self.names.intern("replica", head.replica), self.names.intern("boot", self.boot_of(head))
        if head.boot or not self.boots:
            head.record_ids = numbers
        return numbers

    def _name_of(self, request: Request) -> int:
        """The number of what a request is counted under: its name, or method and path without the query."""
        key = request.name or (request.method, request.path)
        number = self._name_ids.get(key)
        if number is None:
            name = request.name or f"{request.method} {request.path.partition('?')[0]}"
            if len(self._name_ids) >= _MAX_CACHED_NAMES:
                self._name_ids.clear()
            number = self._name_ids[key] = self.names.intern("name", name)
        return number

    def log_once(self, what: str, problem: Exception | None = None) -> None:
        """Log a problem of the scenario's own code, each problem once."""
        message = what
        if problem is not None:
            message += f": {problem!r}"[:_MAX_LOGGED_CHARACTERS]
            if problem.__traceback__ is not None:
                frame = traceback.extract_tb(problem.__traceback__)[-1]
                message += f" ({frame.filename}:{frame.lineno})"
        if message not in self._logged and len(self._logged) < _MAX_LOGGED:
            self._logged.add(message)
            log.error("%s", message)
