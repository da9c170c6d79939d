"""What stands in for parts that run already, and are neither started nor stopped here."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from harness.cluster.capabilities import Member, Refusal
from harness.common.errors import UsageError
from harness.scenario.services import Url


@dataclass(frozen=True)
class ExternalBalancer:
    """The address that clients go to. What balances behind it is not known."""

    url: str
    name: str = "the service"
    pid: int | None = None

    async def add(self, member: Member) -> None:
        """Not ours to do."""
        raise _not_ours()

    async def remove(self, name: str) -> None:
        """Not ours to do."""
        raise _not_ours()

    async def drain(self, name: str) -> None:
        """Not ours to do."""
        raise _not_ours()

    async def states(self) -> Mapping[str, str]:
        """Not told."""
        return {}

    def refusals(self) -> tuple[Refusal, ...]:
        """Not told."""
        return ()


@dataclass(frozen=True)
class ExternalReplica:
    """A copy by its address alone."""

    name: str
    member: Member
    boot: str = ""
    pid: int | None = None


def external_parts(target: Url) -> tuple[ExternalBalancer, tuple[ExternalReplica, ...]]:
    """The parts of a service that runs already."""
    replicas = []
    for index, address in enumerate(target.replicas):
        parts = urlsplit(address)
        replicas.append(ExternalReplica(f"r{index}", Member(f"r{index}", parts.hostname or "", parts.port or 80)))
    return ExternalBalancer(target.url.rstrip("/")), tuple(replicas)


def _not_ours() -> UsageError:
    return UsageError("this service runs already: its balancer is not ours to change", 'use Shell("...", undo="...")')
