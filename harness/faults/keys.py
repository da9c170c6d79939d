"""The rotation of the key that signs what clients hold."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from harness.cluster.capabilities import Evidence, Keys, Rotatable
from harness.faults.fault import FaultTopology, Reversible, require_capability
from harness.scenario.design import Design
from harness.scenario.services import BuiltIn


@dataclass(frozen=True)
class RotateKeys(Reversible):
    """All replicas sign with a new key; what the old ones signed is still accepted, unless ``overlap=False``.

    With an overlap every replica accepts the new key before the first one signs with it. Undone by accepting all keys
    that ever signed: clients that were sent to the login without need are let in again.
    """

    overlap: bool = True
    kind: ClassVar[str] = "rotate_keys"
    target: ClassVar[str] = "keys"

    def applies(self, design: Design) -> bool:
        """Whether its clients hold what the replicas signed."""
        service = design.target
        return isinstance(service, BuiltIn) and service.state == "token" and service.app != "function"

    async def inject(self, topology: FaultTopology) -> Evidence:
        """Rotate; the evidence is the id of the key with which each replica reports to sign."""
        before = await _read_keys(topology)
        if None in before.values():
            return Evidence(False, _signing_ids(before))
        newest = max((keys for keys in before.values() if keys), key=lambda keys: keys.signing)
        new = newest.signing + 1
        every = range(1, new + 1)
        if self.overlap:
            await _use_keys(topology, newest.signing, every)
        after = await _use_keys(topology, new, every if self.overlap else (new,))
        facts = {"overlap": self.overlap, "old_key": newest.id, **_signing_ids(after)}
        return Evidence(None not in after.values(), facts)

    async def undo(self, topology: FaultTopology) -> Evidence:
        """Accept all keys; the evidence is that each replica reports so."""
        signing = max((keys.signing for keys in (await _read_keys(topology)).values() if keys), default=1)
        after = await _use_keys(topology, signing, range(1, signing + 1))
        return Evidence(None not in after.values(), _signing_ids(after))


#: Each replica's keys, by its name; None where it reports none.
ReplicaKeys = Mapping[str, Keys | None]


async def _read_keys(topology: FaultTopology) -> ReplicaKeys:
    return await _on_every_replica(topology, lambda replica: replica.keys())


async def _use_keys(topology: FaultTopology, signing: int, accepted: Sequence[int]) -> ReplicaKeys:
    return await _on_every_replica(topology, lambda replica: replica.use_keys(signing, accepted))


async def _on_every_replica(topology: FaultTopology, act: Callable[[Rotatable], Awaitable[Keys | None]]) -> ReplicaKeys:
    names = [replica.name for replica in topology.replicas]
    keys = await asyncio.gather(*(act(require_capability(topology, name, Rotatable)) for name in names))
    return dict(zip(names, keys, strict=True))


def _signing_ids(keys_of: ReplicaKeys) -> dict[str, str | int | float | bool | None]:
    return {name: keys.id if keys else None for name, keys in keys_of.items()}
