"""Members of a balancer that is told all of them at once, whenever one comes or goes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from harness.cluster.balancers.launch import Process, RunningBalancer, Setup
from harness.cluster.capabilities import Member
from harness.common.errors import HarnessError


@dataclass(frozen=True)
class Upstream:
    """A member in the balancer's configuration."""

    member: Member
    draining: bool = False


class ConfigReloadBalancer(RunningBalancer):
    """What such balancers have in common; each says how it is told (``_apply``)."""

    name = ""

    def __init__(self, setup: Setup, process: Process) -> None:
        super().__init__(setup, process)
        self._upstreams: Mapping[str, Upstream] = {member.name: Upstream(member) for member in setup.members}

    async def add(self, member: Member) -> None:
        """Let a member take traffic; returns when new requests reach it.

        Raises:
            HarnessError: the balancer did not take it.
        """
        await self._apply({**self._upstreams, member.name: Upstream(member)})

    async def remove(self, name: str) -> None:
        """Take a member out for all clients; what it is answering is let finish.

        Raises:
            HarnessError: there is no such member, or the balancer did not take it.
        """
        gone = self._known(name)
        await self._apply({known: upstream for known, upstream in self._upstreams.items() if upstream is not gone})

    async def drain(self, name: str) -> None:
        """Send a member no new sessions; cookie-pinned clients stay with it, where the balancer can do that.

        Raises:
            HarnessError: there is no such member, or the balancer did not take it.
        """
        await self._apply({**self._upstreams, name: replace(self._known(name), draining=True)})

    def _known(self, name: str) -> Upstream:
        if name not in self._upstreams:
            raise HarnessError(f"{self.name} has no member {name!r}", f"it has {', '.join(self._upstreams) or 'none'}")
        return self._upstreams[name]

    async def _apply(self, upstreams: Mapping[str, Upstream]) -> None:
        """Have these served and remember them; returns when they are."""
        raise NotImplementedError
