"""The members of a balancer whose whole configuration is replaced whenever one joins or leaves."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

from harness.cluster.balancers.launch import Process, RunningBalancer, Setup
from harness.cluster.capabilities import Member, NoSuchMemberError


@dataclass(frozen=True)
class Upstream:
    """A member in the balancer's configuration."""

    member: Member
    draining: bool = False


class ConfigReloadBalancer(RunningBalancer):
    """What such balancers have in common; each defines how a configuration is applied (``_apply``).

    One change is made after the other: each replaces the configuration that the last one left.
    """

    name = ""

    def __init__(self, setup: Setup, process: Process) -> None:
        super().__init__(setup, process)
        self._upstreams: Mapping[str, Upstream] = {member.name: Upstream(member) for member in setup.members}
        self._changing = asyncio.Lock()

    async def add(self, member: Member) -> None:
        """Let a member take traffic; returns when new requests reach it.

        Raises:
            HarnessError: the balancer did not accept it.
        """
        async with self._changing:
            await self._apply({**self._upstreams, member.name: Upstream(member)})

    async def remove(self, name: str) -> None:
        """Remove a member for all clients; its requests in progress finish.

        Raises:
            NoSuchMemberError: there is no such member.
            HarnessError: the balancer did not accept it.
        """
        async with self._changing:
            removed = self._upstream(name)
            await self._apply({key: upstream for key, upstream in self._upstreams.items() if upstream is not removed})

    async def drain(self, name: str) -> None:
        """Send a member no new sessions; cookie-pinned clients stay with it, where the balancer can do that.

        Raises:
            NoSuchMemberError: there is no such member.
            HarnessError: the balancer did not accept it.
        """
        async with self._changing:
            await self._apply({**self._upstreams, name: replace(self._upstream(name), draining=True)})

    def _upstream(self, name: str) -> Upstream:
        if name not in self._upstreams:
            raise NoSuchMemberError(
                f"{self.name} has no member {name!r}", f"it has {', '.join(self._upstreams) or 'none'}"
            )
        return self._upstreams[name]

    async def _apply(self, upstreams: Mapping[str, Upstream]) -> None:
        """Configure and remember these upstreams; returns when they are in effect."""
        raise NotImplementedError
