"""Faults of the store, for the designs that have one. A design without a store has no arm with such a fault."""

from dataclasses import dataclass
from typing import ClassVar

from harness.cluster.capabilities import Evictable, Evidence, HasLeader, Killable, Pausable, Replicating
from harness.cluster.stores import store_of
from harness.common.errors import UsageError
from harness.faults.fault import STORE, FaultTopology, Reversible, require_capability
from harness.scenario.design import Design


@dataclass(frozen=True)
class OnStore(Reversible):
    """What all faults of the store have in common; each says in ``needs`` what the store has to be capable of."""

    target: ClassVar[str] = STORE
    needs: ClassVar[type] = Killable

    def applies(self, design: Design) -> bool:
        """Whether the design has a store that is capable of what is needed."""
        store = store_of(design)
        return store is not None and issubclass(store, self.needs)


@dataclass(frozen=True)
class KillStore(OnStore):
    """SIGKILL to the store, all its servers: what it held in memory alone is gone; undone by starting it again."""

    kind: ClassVar[str] = "kill_store"

    async def inject(self, topology: FaultTopology) -> Evidence:
        """Kill it; the evidence is that its process is gone."""
        return await require_capability(topology, STORE, Killable).kill()

    async def undo(self, topology: FaultTopology) -> Evidence:
        """Start it again at its address; the evidence is that it answers."""
        return await require_capability(topology, STORE, Killable).restart()


@dataclass(frozen=True)
class KillPrimary(OnStore):
    """SIGKILL to the store's server that leads; undone by starting it again, where it follows the new leader."""

    kind: ClassVar[str] = "kill_primary"
    needs: ClassVar[type] = HasLeader

    async def inject(self, topology: FaultTopology) -> Evidence:
        """Kill it; the evidence is that its process is gone, and which server it was."""
        return await require_capability(topology, STORE, HasLeader).kill_primary()

    async def undo(self, topology: FaultTopology) -> Evidence:
        """Start it again at its address; the evidence is that it answers."""
        return await require_capability(topology, STORE, HasLeader).restart_primary()


@dataclass(frozen=True)
class CutReplication(OnStore):
    """The store's replicas receive no more writes, which it still acknowledges; undone by letting them catch up.

    It is a replication lag without end: what is written from then on is lost if one of the replicas has to take over.
    """

    kind: ClassVar[str] = "cut_replication"
    needs: ClassVar[type] = Replicating

    async def inject(self, topology: FaultTopology) -> Evidence:
        """Cut them off; the evidence is that the leader no longer counts any replica."""
        return await require_capability(topology, STORE, Replicating).cut_replication()

    async def undo(self, topology: FaultTopology) -> Evidence:
        """Admit them again; the evidence is that each server that is up confirms it."""
        return await require_capability(topology, STORE, Replicating).restore_replication()


@dataclass(frozen=True)
class PauseStore(OnStore):
    """SIGSTOP to the store: it keeps its connections and answers nothing; undone by SIGCONT."""

    kind: ClassVar[str] = "pause_store"
    needs: ClassVar[type] = Pausable

    async def inject(self, topology: FaultTopology) -> Evidence:
        """Stop it; the evidence is the state of the process in the kernel."""
        return await require_capability(topology, STORE, Pausable).pause()

    async def undo(self, topology: FaultTopology) -> Evidence:
        """Let it continue; it then does what was requested meanwhile."""
        return await require_capability(topology, STORE, Pausable).resume()


@dataclass(frozen=True)
class Evict(OnStore):
    """The store runs out of memory: about this ``share`` of its data has to go; undone by lifting the limit."""

    share: float = 0.5
    kind: ClassVar[str] = "evict"
    needs: ClassVar[type] = Evictable

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise UsageError(f"Evict(share={self.share}): above 0, at most 1")

    async def inject(self, topology: FaultTopology) -> Evidence:
        """Lower the limit; the evidence is the number of keys that the store reports as evicted."""
        return await require_capability(topology, STORE, Evictable).evict(self.share)

    async def undo(self, topology: FaultTopology) -> Evidence:
        """Lift the limit; what was evicted stays away."""
        return await require_capability(topology, STORE, Evictable).unlimit()
