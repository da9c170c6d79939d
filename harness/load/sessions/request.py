"""A request as one session sends it."""

from harness.load.http.client import OP, Request, fill_in
from harness.load.http.wire import key_line
from harness.observations.requests import Method

_METHODS = {method.name: int(method) for method in Method}
_OTHER, _SEND = int(Method.OTHER), int(Method.SEND)
_OP = OP.encode()


class PreparedRequest:
    """A request as one session sends it, and as it is recorded."""

    __slots__ = (
        "_after",
        "_before",
        "_holds_op",
        "hops",
        "jar_version",
        "lines",
        "method",
        "name",
        "plain",
        "repeatable",
        "request",
    )

    def __init__(self, request: Request, halves: tuple[bytes, bytes], name: int) -> None:
        self.request = request
        self.lines = b""  # the session's own headers in it, apart from its cookies
        self.jar_version = 0  # of the cookies in it
        self.name = name
        self.method = _SEND if request.to_room else _METHODS.get(request.method, _OTHER)
        self.repeatable = request.writes is None and request.method in ("GET", "HEAD")
        self.hops = 0  # redirects that led to it
        self._before, self._after = halves
        self._holds_op = request.writes is not None and _OP in request.body
        self.plain = self._before + self._after  # its bytes if it writes nothing

    def write(self, op: int) -> bytes:
        """Its bytes as the write ``op``."""
        after = fill_in(self._after, op) if self._holds_op else self._after
        return self._before + key_line(op) + after
