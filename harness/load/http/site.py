"""The host that sessions talk to, as far as cookies depend on it."""

import ipaddress
from dataclasses import dataclass
from functools import cache, lru_cache

from publicsuffixlist import PublicSuffixList


@cache
def _public_suffixes() -> PublicSuffixList:
    return PublicSuffixList()


@dataclass(frozen=True)
class Site:
    """A host (without its port), and whether connections to it count as secure: TLS, or loopback."""

    host: str
    secure: bool = False

    def __post_init__(self) -> None:
        """Lower the case, and read the list of public suffixes (1 s) before the load where it can be needed."""
        object.__setattr__(self, "host", self.host.lower().strip("[]"))
        object.__setattr__(self, "secure", self.secure or self.is_loopback)
        if "." in self.host and not self.is_address:
            _public_suffixes()

    @property
    def is_address(self) -> bool:
        """Whether the host is an IP address."""
        return _address(self.host) is not None

    @property
    def is_loopback(self) -> bool:
        """Whether the host is this machine, which browsers trust without TLS."""
        address = _address(self.host)
        if address is not None:
            return address.is_loopback
        return self.host == "localhost" or self.host.endswith(".localhost")

    def is_within(self, domain: str) -> bool:
        """Whether the host is this domain or below it; an address is only within itself."""
        return self.host == domain or (self.host.endswith("." + domain) and not self.is_address)

    def may_share(self, domain: str) -> bool:
        """Whether a cookie of this host may hold for the whole of ``domain``: no public suffix such as ``co.uk``."""
        return self.is_within(domain) and _public_suffixes().privatesuffix(domain) is not None


@lru_cache
def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
