"""The target of requests: an address, and whether to use TLS."""

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
#: How many of the about 28,000 ephemeral ports of an address are used. Linux hands out every other port first; once
#: those are used up, it searches all ports for each further connection, which takes milliseconds.
_MAX_PORTS_PER_SOURCE = 10_000
IP_BIND_ADDRESS_NO_PORT = 24  # Linux: choose the port in connect(), when both addresses are known

_getaddrinfo: Any = monkey.get_original("socket", "getaddrinfo")
_SSLContext: Any = monkey.get_original("ssl", "SSLContext")


@dataclass(frozen=True)
class Target:
    """``host`` is the Host header, ``name`` that of the certificate; ``family`` and ``address`` are the socket's."""

    host: str
    family: int
    address: tuple[Any, ...]
    name: str = ""
    tls: Any = None  # a client's SSLContext

    @classmethod
    def from_url(cls, url: str) -> Self:
        """The target of ``http://host:port`` or ``https://host``.

        Certificates are verified with the authorities that the system trusts, or those in the file that the
        environment variable ``SSL_CERT_FILE`` names.

        Raises:
            UsageError: the URL is not of this form, or its name has no address.
        """
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise UsageError(f"cannot load {url!r}", "sessions speak HTTP: http://127.0.0.1:8080 or https://...")
        try:
            addresses = _getaddrinfo(parts.hostname, parts.port or _PORTS[parts.scheme], type=socket.SOCK_STREAM)
        except OSError as problem:
            raise UsageError(f"{parts.hostname} has no address: {problem}") from problem
        host = parts.netloc.rpartition("@")[2]
        return cls(
            host, addresses[0][0], addresses[0][4], parts.hostname, _tls_context() if parts.scheme == "https" else None
        )

    def source_address(self, connections: int) -> tuple[str, int] | None:
        """The address to connect from when this many connections are open; None: the system chooses.

        On loopback, one address has too few ports for many connections, but there are many addresses.
        """
        index = connections // _MAX_PORTS_PER_SOURCE
        loopback = self.family == socket.AF_INET and str(self.address[0]).startswith("127.")
        return (f"127.0.0.{1 + index % _MAX_SOURCES}", 0) if index and loopback else None


def _tls_context() -> Any:
    """A client context that verifies certificates."""
    context = _SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()
    if not context.cert_store_stats()["x509_ca"]:
        context.load_verify_locations(certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context
