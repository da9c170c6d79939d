"""Responses off the fast path: h11 reads those that are chunked, end with the connection or have unusual heads.

Compressed bodies are unpacked here too.
"""

import zlib

import h11

from harness.load.http.response import Head, Response

MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 64 * 1024 * 1024
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32  # detected by the header
_RAW_DEFLATE = -zlib.MAX_WBITS


class ProtocolError(Exception):
    """The bytes are not an HTTP/1 response, or it exceeds the size limits."""


class Parser:
    """Reads one response with h11."""

    def __init__(self, method: str) -> None:
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._h11.send(h11.Request(method=method, target="/", headers=[("Host", "any")]))
        self._h11.send(h11.EndOfMessage())
        self._head: h11.Response | None = None
        self._body = bytearray()

    def feed(self, data: bytes) -> Response | None:
        """Take bytes (none: the connection has ended); returns the response when it is complete.

        Raises:
            ProtocolError: the bytes cannot be an HTTP response.
        """
        try:
            self._h11.receive_data(data)
            return self._handle_events()
        except h11.RemoteProtocolError as problem:
            raise ProtocolError(str(problem)) from problem

    def _handle_events(self) -> Response | None:
        while True:
            event = self._h11.next_event()
            if event is h11.PAUSED:
                raise ProtocolError("a change of protocol that was not requested")
            if event is h11.NEED_DATA or isinstance(event, h11.ConnectionClosed):
                return None
            if isinstance(event, h11.Response):
                self._head = event
            elif isinstance(event, h11.Data):
                self._body += event.data
                if len(self._body) > MAX_BODY_BYTES:
                    raise ProtocolError("the body is too long")
            elif isinstance(event, h11.EndOfMessage) and self._head is not None:
                return self._to_response(self._head)

    def _to_response(self, response: h11.Response) -> Response:
        headers = response.headers.raw_items()
        status_line = b"HTTP/%b %d %b" % (response.http_version, response.status_code, response.reason)
        raw = b"\r\n".join([status_line, *(name + b": " + value for name, value in headers)])
        head = Head(raw, response.status_code, [(name.lower(), value) for name, value in headers])
        keep_alive = self._h11.their_state is h11.DONE and not self._h11.trailing_data[0]
        return Response(head, head.status, decompress(head, bytes(self._body)), keep_alive)


def decompress(head: Head, body: bytes) -> bytes:
    """Undo gzip or deflate if the head declares it; bodies in other codings are returned unchanged.

    Raises:
        ProtocolError: the body is not in the declared coding, or exceeds the size limit when decompressed.
    """
    codings = [coding for coding in (value.strip().lower() for value in head.all(b"content-encoding")) if coding]
    if not body or codings not in ([b"gzip"], [b"x-gzip"], [b"deflate"]):
        return body
    try:
        return _inflate(body, _GZIP_OR_ZLIB)
    except zlib.error as problem:
        if codings != [b"deflate"]:
            raise ProtocolError(f"the body is not {codings[0].decode()}: {problem}") from problem
    try:
        return _inflate(body, _RAW_DEFLATE)  # some servers send raw deflate
    except zlib.error as problem:
        raise ProtocolError(f"the body is not deflate: {problem}") from problem


def _inflate(body: bytes, wbits: int) -> bytes:
    output, rest = bytearray(), body
    while rest:  # gzip may have several members
        stream = zlib.decompressobj(wbits)
        output += stream.decompress(rest, MAX_BODY_BYTES + 1 - len(output))
        if len(output) > MAX_BODY_BYTES:
            raise ProtocolError("the decompressed body is too long")
        if not stream.eof:
            raise zlib.error("it ends early")
        rest = stream.unused_data
    return bytes(output)
