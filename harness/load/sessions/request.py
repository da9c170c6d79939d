"""A request as one session sends it."""

from harness.load.http.client import Request
from harness.load.http.wire import key_line
from harness.observations.requests import Method

_METHODS = {method.name: int(method) for method in Method}
_OTHER = int(Method.OTHER)


class PreparedRequest:
    """A request as one session sends it, and as it is recorded."""

    __slots__ = ("_after", "_before", "hops", "lines", "method", "name", "plain", "repeatable", "request")

    def __init__(self, request: Request, lines: bytes, halves: tuple[bytes, bytes], name: int) -> None:
        self.request = request
        self.lines = lines  # the session's own, which change with its cookies
        self.name = name
        self.method = _METHODS.get(request.method, _OTHER)
        self.repeatable = request.writes is None and request.method in ("GET", "HEAD")
        self.hops = 0  # redirects that led to it
        self._before, self._after = halves
        self.plain = self._before + self._after  # its bytes if it writes nothing

    def write(self, op: int) -> bytes:
        """Its bytes as the write ``op``."""
        return self._before + key_line(op) + self._after
