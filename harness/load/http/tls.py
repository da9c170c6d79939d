"""TLS over a non-blocking socket, as a lane sees it: ``send``, ``recv``, and BlockingIOError where it must wait.

Over memory buffers and not as a wrapped socket: gevent has replaced the class of those.
"""

import ssl
from typing import Any

_CHUNK = 65536
_MAX_READ_BYTES = 1 << 20  # read at once, for fairness


class TlsSocket:
    """A connected socket whose bytes are enciphered."""

    def __init__(self, sock: Any, context: Any, name: str) -> None:
        self._sock = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self._unsent = b""

    def fileno(self) -> int:
        """The socket's descriptor."""
        return int(self._sock.fileno())

    def close(self) -> None:
        """End the connection, without a farewell."""
        self._sock.close()

    def do_handshake(self) -> bool:
        """Go on with the handshake; whether it is done.

        Raises:
            OSError: it failed: the certificate is not believed, this is no TLS, the connection ended.
        """
        while True:
            try:
                self._tls.do_handshake()
                return True
            except ssl.SSLWantReadError:
                self._flush()
                try:
                    self._take()
                except BlockingIOError:
                    return False
            finally:
                self._flush()

    def send(self, data: bytes | memoryview) -> int:
        """Send; returns how much of it counts as sent: one byte where some but not all of it has left.

        Raises:
            BlockingIOError: nothing can be sent now; call again with the same.
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
        """All that has come; empty at the end.

        Raises:
            BlockingIOError: nothing has.
            OSError: what came is no TLS, or the connection has ended in the middle.
        """
        came = bytearray()
        while True:
            try:
                more = self._tls.read(_CHUNK)
                if not more:
                    break
                came += more
            except ssl.SSLZeroReturnError:
                break
            except ssl.SSLWantReadError:
                if len(came) > _MAX_READ_BYTES or not self._took(bool(came)):
                    break
            except OSError:
                if came:
                    break
                raise
        return bytes(came)

    def _took(self, enough: bool) -> bool:
        """Whether there was more to decipher; where there is ``enough`` already, the problem can wait."""
        try:
            self._take()
        except OSError:
            if enough:
                return False
            raise
        return True

    def _take(self) -> None:
        data = self._sock.recv(_CHUNK)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def _flush(self) -> int:
        """Send what is enciphered; returns how many bytes left."""
        self._unsent += self._outgoing.read()
        before = len(self._unsent)
        while self._unsent:
            try:
                self._unsent = self._unsent[self._sock.send(self._unsent) :]
            except BlockingIOError:
                break
        return before - len(self._unsent)
