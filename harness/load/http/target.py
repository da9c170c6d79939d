"""Where requests go, and how: an address, in the clear or by TLS."""

import socket
import ssl
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

import certifi
from gevent import monkey

from harness.common.errors import UsageError

_PORTS = {"http": 80, "https": 443}
_MAX_SOURCES = 200
#: Of the about 28,000 ephemeral ports of an address so many are used: Linux hands out every other port first, and once
#: those are gone looks at all of them again for each further connection, for milliseconds.
_PORTS_USED = 10_000
IP_BIND_ADDRESS_NO_PORT = 24  # Linux: the port is chosen on connecting, which knows the whole address pair

_getaddrinfo: Any = monkey.get_original("socket", "getaddrinfo")
_SSLContext: Any = monkey.get_original("ssl", "SSLContext")


@dataclass(frozen=True)
class Target:
    """``host`` as the Host header names it, ``name`` as its certificate does; the socket's family and address."""

    host: str
    family: int
    address: tuple[Any, ...]
    name: str = ""
    tls: Any = None  # a client's SSLContext

    @classmethod
    def from_url(cls, url: str) -> Self:
        """The target of ``http://host:port`` or ``https://host``.

        A certificate is checked by the authorities that the system trusts, or those in the file that the
        variable ``SSL_CERT_FILE`` names.

        Raises:
            UsageError: no such URL, or its name has no address.
        """
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise UsageError(f"cannot load {url!r}", "sessions speak HTTP: http://127.0.0.1:8080 or https://...")
        try:
            found = _getaddrinfo(parts.hostname, parts.port or _PORTS[parts.scheme], type=socket.SOCK_STREAM)
        except OSError as problem:
            raise UsageError(f"{parts.hostname} has no address: {problem}") from problem
        host = parts.netloc.rpartition("@")[2]
        return cls(host, found[0][0], found[0][4], parts.hostname, _tls() if parts.scheme == "https" else None)

    def source_address(self, connections: int) -> tuple[str, int] | None:
        """What address to connect from where so many connections are open; None: whatever the system takes.

        On loopback one address has too few ports for many connections, but there are many addresses.
        """
        nth = connections // _PORTS_USED
        loopback = self.family == socket.AF_INET and str(self.address[0]).startswith("127.")
        return (f"127.0.0.{1 + nth % _MAX_SOURCES}", 0) if nth and loopback else None


def _tls() -> Any:
    """What a client needs that believes no certificate unseen."""
    context = _SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()
    if not context.cert_store_stats()["x509_ca"]:
        context.load_verify_locations(certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context
