"""Heads off the fast path: h11 reads those that do not have the strict form."""

import h11

from harness.load.http.bodies import MAX_HEAD_BYTES, ProtocolError
from harness.load.http.response import Head


class HeadParser:
    """Reads one head with h11, which is liberal where it is safe: folded lines, lines that end without CR."""

    def __init__(self, method: str) -> None:
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._h11.send(h11.Request(method=method, target="/", headers=[("Host", "any")]))
        self._h11.send(h11.EndOfMessage())

    def feed(self, data: bytes) -> tuple[Head, bytes] | None:
        """Take bytes; returns the head of the final response, once it is there, and the bytes behind it.

        Raises:
            ProtocolError: the bytes cannot be an HTTP response.
        """
        try:
            self._h11.receive_data(data)
            while True:
                event = self._h11.next_event()
                if event is h11.PAUSED:
                    raise ProtocolError("a change of protocol that was not requested")
                if event is h11.NEED_DATA or isinstance(event, h11.ConnectionClosed):
                    return None
                if isinstance(event, h11.Response):
                    return _to_head(event), self._h11.trailing_data[0]
        except h11.RemoteProtocolError as problem:
            raise ProtocolError(str(problem)) from problem


def _to_head(response: h11.Response) -> Head:
    headers = response.headers.raw_items()
    status_line = b"HTTP/%b %d %b" % (response.http_version, response.status_code, response.reason)
    raw = b"\r\n".join([status_line, *(name + b": " + value for name, value in headers)])
    return Head(raw, response.status_code, [(name.lower(), value) for name, value in headers])
