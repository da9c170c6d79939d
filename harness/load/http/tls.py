"""TLS over a non-blocking socket: ``send`` and ``recv``, which raise BlockingIOError when they must wait.

It uses memory buffers instead of a wrapped socket, since gevent replaces the class of wrapped sockets.
"""

import ssl
from typing import Any

_CHUNK = 65536
_MAX_READ_BYTES = 1 << 20  # in one ``recv``, for fairness


class TlsSocket:
    """A connected socket that encrypts its data."""

    def __init__(self, sock: Any, context: Any, name: str) -> None:
        self._sock = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self._unsent = b""

    def fileno(self) -> int:
        """The socket's descriptor."""
        return int(self._sock.fileno())

    def close(self) -> None:
        """Close the connection without a TLS closure alert."""
        self._sock.close()

    def do_handshake(self) -> bool:
        """Continue the handshake; returns whether it is complete.

        Raises:
            OSError: it failed: the certificate is not trusted, the peer does not use TLS, or the connection ended.
        """
        while True:
            try:
                self._tls.do_handshake()
                return True
            except ssl.SSLWantReadError:
                self._flush()
                try:
                    self._receive()
                except BlockingIOError:
                    return False
            finally:
                self._flush()

    def send(self, data: bytes | memoryview) -> int:
        """Send; returns how many bytes count as sent: one byte if some but not all have left.

        Raises:
            BlockingIOError: nothing can be sent now; call again with the same data.
            OSError: the connection has ended.
        """
        if not self._unsent:
            self._tls.write(data)
        flushed = self._flush()
        if not self._unsent:
            return len(data)
        if flushed and len(data) > 1:
            return 1
        raise BlockingIOError

    def recv(self, _: int) -> bytes:
        """Return all received data; empty at the end of the connection.

        Raises:
            BlockingIOError: there is no data yet.
            OSError: the data is not TLS, or the connection ended in the middle of a record.
        """
        received = bytearray()
        while True:
            try:
                more = self._tls.read(_CHUNK)
                if not more:
                    break
                received += more
            except ssl.SSLZeroReturnError:
                break
            except ssl.SSLWantReadError:
                if len(received) > _MAX_READ_BYTES or not self._receive_more(bool(received)):
                    break
            except OSError:
                if received:
                    break
                raise
        return bytes(received)

    def _receive_more(self, has_data: bool) -> bool:
        """Returns whether more was received; with ``has_data``, an error is left to the next call."""
        try:
            self._receive()
        except OSError:
            if has_data:
                return False
            raise
        return True

    def _receive(self) -> None:
        data = self._sock.recv(_CHUNK)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def _flush(self) -> int:
        """Send encrypted data; returns how many bytes were sent."""
        self._unsent += self._outgoing.read()
        before = len(self._unsent)
        while self._unsent:
            try:
                self._unsent = self._unsent[self._sock.send(self._unsent) :]
            except BlockingIOError:
                break
        return before - len(self._unsent)
