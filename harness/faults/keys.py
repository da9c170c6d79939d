"""The rotation of the key that signs what clients hold."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from harness.cluster.capabilities import Evidence, Keys, Rotatable
from harness.faults.fault import FaultTopology, require_capability
from harness.scenario.design import Design
from harness.scenario.services import BuiltIn


@dataclass(frozen=True)
class RotateKeys:
    """All replicas sign with a new key; what the old ones signed is accepted still, unless ``overlap=False``.

    With an overlap every replica accepts the new key before the first one signs with it. Undone by accepting all keys
    that ever signed: those who were sent to the login without need are let in again.
    """

    overlap: bool = True
    kind: ClassVar[str] = "rotate_keys"
    target: ClassVar[str] = "keys"

    def check(self, replicas: int) -> None:
        """It concerns all replicas, however many."""

    def applies(self, design: Design) -> bool:
        """Whether its clients hold what the replicas signed."""
        service = design.target
        return isinstance(service, BuiltIn) and service.state == "token" and service.app != "function"

    async def inject(self, topology: FaultTopology) -> Evidence:
        """Rotate; the evidence is the id of the key that each replica says it signs with."""
        before = await _told(topology)
        if None in before.values():
            return Evidence(False, _facts(before))
        newest = max((keys for keys in before.values() if keys), key=lambda keys: keys.signing)
        new = newest.signing + 1
        every = range(1, new + 1)
        if self.overlap:
            await _use(topology, newest.signing, every)
        after = await _use(topology, new, every if self.overlap else (new,))
        facts = {"overlap": self.overlap, "old_key": newest.id, **_facts(after)}
        return Evidence(None not in after.values(), facts)

    async def undo(self, topology: FaultTopology) -> Evidence:
        """Accept them all; the evidence is that each replica says so."""
        signing = max((keys.signing for keys in (await _told(topology)).values() if keys), default=1)
        after = await _use(topology, signing, range(1, signing + 1))
        return Evidence(None not in after.values(), _facts(after))


Told = Mapping[str, Keys | None]


async def _told(topology: FaultTopology) -> Told:
    names = [replica.name for replica in topology.replicas]
    return dict(
        zip(
            names,
            await asyncio.gather(*(require_capability(topology, n, Rotatable).keys() for n in names)),
            strict=True,
        )
    )


async def _use(topology: FaultTopology, signing: int, accepted: Sequence[int]) -> Told:
    names = [replica.name for replica in topology.replicas]
    deeds = (require_capability(topology, name, Rotatable).use_keys(signing, accepted) for name in names)
    return dict(zip(names, await asyncio.gather(*deeds), strict=True))


def _facts(told: Told) -> dict[str, str | int | float | bool | None]:
    """The id of each replica's signing key; None where it told none."""
    return {name: keys.id if keys else None for name, keys in told.items()}
