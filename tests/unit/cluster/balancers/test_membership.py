"""The members of balancers whose whole configuration is replaced."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.cluster.balancers.launch import Process, Setup
from harness.cluster.balancers.membership import ConfigReloadBalancer, Upstream
from harness.cluster.capabilities import Member, NoSuchMemberError
from harness.scenario.balancing import Balancing
from tests.support.balancers import RefusingStarter


class Slow(ConfigReloadBalancer):
    """A balancer that takes its time to apply a configuration."""

    name = "slow"

    @property
    def members(self) -> dict[str, bool]:
        return {name: upstream.draining for name, upstream in self._upstreams.items()}

    async def _apply(self, upstreams: Mapping[str, Upstream]) -> None:
        await asyncio.sleep(0)
        self._upstreams = upstreams


def slow() -> Slow:
    setup = Setup(Balancing(), (Member("r0", "h", 1),), RefusingStarter(), Path("/s"), Path("/l"), 8080)
    return Slow(setup, Process(setup, "slow", ("slow",), ready))


async def ready(child: object) -> bool:
    return True


async def test_changes_that_are_made_at_once_all_take_effect() -> None:
    balancer = slow()
    await asyncio.gather(balancer.add(Member("r1", "h", 2)), balancer.drain("r0"), balancer.add(Member("r2", "h", 3)))
    assert balancer.members == {"r0": True, "r1": False, "r2": False}


async def test_a_member_that_is_not_there_cannot_be_removed_or_drained() -> None:
    balancer = slow()
    await balancer.remove("r0")
    for change in (balancer.remove, balancer.drain):
        with pytest.raises(NoSuchMemberError, match="slow has no member 'r0'"):
            await change("r0")
