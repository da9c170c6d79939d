"""Replies off the fast path: what h11 reads (chunked, ended by the connection, unusual heads), and packed bodies."""

import zlib

import h11

from harness.load.http.response import Head, Response

MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 64 * 1024 * 1024
_EITHER = zlib.MAX_WBITS | 32  # gzip or zlib, by what it begins with
_RAW = -zlib.MAX_WBITS


class ProtocolError(Exception):
    """What came is not an HTTP/1 reply, or a longer one than anybody means to send."""


class Parser:
    """One reply by h11."""

    def __init__(self, method: str) -> None:
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._h11.send(h11.Request(method=method, target="/", headers=[("Host", "any")]))
        self._h11.send(h11.EndOfMessage())
        self._head: h11.Response | None = None
        self._body = bytearray()

    def feed(self, data: bytes) -> Response | None:
        """Take bytes (none: the connection has ended); returns the reply when it is whole.

        Raises:
            ProtocolError: this can become no reply.
        """
        try:
            self._h11.receive_data(data)
            return self._events()
        except h11.RemoteProtocolError as problem:
            raise ProtocolError(str(problem)) from problem

    def _events(self) -> Response | None:
        while True:
            event = self._h11.next_event()
            if event is h11.PAUSED:
                raise ProtocolError("a change of protocol that nobody asked for")
            if event is h11.NEED_DATA or isinstance(event, h11.ConnectionClosed):
                return None
            if isinstance(event, h11.Response):
                self._head = event
            elif isinstance(event, h11.Data):
                self._body += event.data
                if len(self._body) > MAX_BODY_BYTES:
                    raise ProtocolError("a body without end")
            elif isinstance(event, h11.EndOfMessage) and self._head is not None:
                return self._reply(self._head)

    def _reply(self, response: h11.Response) -> Response:
        lines = [(name.lower(), value) for name, value in response.headers.raw_items()]
        first = b"HTTP/%b %d %b" % (response.http_version, response.status_code, response.reason)
        raw = b"\r\n".join([first, *(name + b": " + value for name, value in response.headers.raw_items())])
        head = Head(raw, response.status_code, lines)
        keep = self._h11.their_state is h11.DONE and not self._h11.trailing_data[0]
        return Response(head, head.status, decompress(head, bytes(self._body)), keep)


def decompress(head: Head, body: bytes) -> bytes:
    """The body as it was before gzip or deflate, where the head says so; other codings stay as they came.

    Raises:
        ProtocolError: it is not what the head says, or grows beyond all bounds.
    """
    codings = [coding for coding in (value.strip().lower() for value in head.all(b"content-encoding")) if coding]
    if not body or codings not in ([b"gzip"], [b"x-gzip"], [b"deflate"]):
        return body
    try:
        return _inflate(body, _EITHER)
    except zlib.error as problem:
        if codings != [b"deflate"]:
            raise ProtocolError(f"the body is not {codings[0].decode()}: {problem}") from problem
    try:
        return _inflate(body, _RAW)  # what some servers take deflate for
    except zlib.error as problem:
        raise ProtocolError(f"the body is not deflate: {problem}") from problem


def _inflate(body: bytes, wbits: int) -> bytes:
    whole, left = bytearray(), body
    while left:  # gzip may come in several members
        stream = zlib.decompressobj(wbits)
        whole += stream.decompress(left, MAX_BODY_BYTES + 1 - len(whole))
        if len(whole) > MAX_BODY_BYTES:
            raise ProtocolError("a packed body without end")
        if not stream.eof:
            raise zlib.error("it ends early")
        left = stream.unused_data
    return bytes(whole)
