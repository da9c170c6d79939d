"""Stand-ins for parts that run already, which the harness neither starts nor stops."""

from collections.abc import Mapping
from dataclasses import dataclass

from harness.cluster.capabilities import Member, Refusal
from harness.cluster.replicas.probes import address_of
from harness.common.errors import UsageError
from harness.scenario.services import Url


@dataclass(frozen=True)
class ExternalBalancer:
    """The address that clients use. What balances the load behind it is not known."""

    url: str
    name: str = "the service"
    pid: int | None = None

    async def add(self, member: Member) -> None:
        """Raise UsageError: the harness does not control this balancer."""
        raise _external_error()

    async def remove(self, name: str) -> None:
        """Raise UsageError: the harness does not control this balancer."""
        raise _external_error()

    async def drain(self, name: str) -> None:
        """Raise UsageError: the harness does not control this balancer."""
        raise _external_error()

    async def states(self) -> Mapping[str, str]:
        """Not known: always empty."""
        return {}

    def refusals(self) -> tuple[Refusal, ...]:
        """Not known: always empty."""
        return ()


@dataclass(frozen=True)
class ExternalReplica:
    """A replica of which only the address is known."""

    name: str
    member: Member
    boot: str = ""
    pid: int | None = None


def external_parts(target: Url) -> tuple[ExternalBalancer, tuple[ExternalReplica, ...]]:
    """Return the stand-ins for a service that runs already."""
    members = [Member(f"r{index}", *address_of(address)) for index, address in enumerate(target.replicas)]
    return ExternalBalancer(target.url.rstrip("/")), tuple(ExternalReplica(member.name, member) for member in members)


def _external_error() -> UsageError:
    return UsageError(
        "this service runs already: the harness cannot change its balancer", 'use Shell("...", undo="...")'
    )
