"""What befalls the store, where a design has one. A design without is not touched, and runs without its fault arm."""

from dataclasses import dataclass
from typing import ClassVar

from harness.cluster.capabilities import Evictable, Evidence, HasLeader, Killable, Pausable, Replicating
from harness.cluster.stores import store_of
from harness.common.errors import UsageError
from harness.faults.fault import STORE, FaultTopology, require_capability
from harness.scenario.design import Design


@dataclass(frozen=True)
class OnStore:
    """What all faults of the store have in common."""

    kind: ClassVar[str]
    target: ClassVar[str] = STORE
    needs: ClassVar[type] = Killable

    def check(self, replicas: int) -> None:
        """It depends on no replica."""

    def applies(self, design: Design) -> bool:
        """Whether the design has a store that can do what is needed."""
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
        """Bring it back at its address; the evidence is that it answers."""
        return await require_capability(topology, STORE, Killable).restart()


@dataclass(frozen=True)
class RestartStore(OnStore):
    """The end of a KillStore before the run's end."""

    kind: ClassVar[str] = "restart_store"
    ends: ClassVar[str] = KillStore.kind


@dataclass(frozen=True)
class KillPrimary(OnStore):
    """SIGKILL to the server of a store that leads the others; undone by bringing it back, behind who leads by then."""

    kind: ClassVar[str] = "kill_primary"
    needs: ClassVar[type] = HasLeader

    async def inject(self, topology: FaultTopology) -> Evidence:
        """Kill it; the evidence is that its process is gone, and which server it was."""
        return await require_capability(topology, STORE, HasLeader).kill_primary()

    async def undo(self, topology: FaultTopology) -> Evidence:
        """Bring it back at its address; the evidence is that it answers."""
        return await require_capability(topology, STORE, HasLeader).restart_primary()


@dataclass(frozen=True)
class RestartPrimary(OnStore):
    """The end of a KillPrimary before the run's end."""

    kind: ClassVar[str] = "restart_primary"
    needs: ClassVar[type] = HasLeader
    ends: ClassVar[str] = KillPrimary.kind


@dataclass(frozen=True)
class CutReplication(OnStore):
    """The replicas of a store hear of no more writes, which it goes on to acknowledge; undone by letting them catch up.

    A lag without end: what is written from then on is lost where one of them has to take over.
    """

    kind: ClassVar[str] = "cut_replication"
    needs: ClassVar[type] = Replicating

    async def inject(self, topology: FaultTopology) -> Evidence:
        """Cut them off; the evidence is that the leader counts no replica any more."""
        return await require_capability(topology, STORE, Replicating).cut_replication()

    async def undo(self, topology: FaultTopology) -> Evidence:
        """Let them in again; the evidence is that each server that is up says so."""
        return await require_capability(topology, STORE, Replicating).restore_replication()


@dataclass(frozen=True)
class RestoreReplication(OnStore):
    """The end of a CutReplication before the run's end."""

    kind: ClassVar[str] = "restore_replication"
    needs: ClassVar[type] = Replicating
    ends: ClassVar[str] = CutReplication.kind


@dataclass(frozen=True)
class PauseStore(OnStore):
    """SIGSTOP to the store: it keeps its connections and answers nothing; undone by SIGCONT."""

    kind: ClassVar[str] = "pause_store"
    needs: ClassVar[type] = Pausable

    async def inject(self, topology: FaultTopology) -> Evidence:
        """Stop it; the evidence is the kernel's word."""
        return await require_capability(topology, STORE, Pausable).pause()

    async def undo(self, topology: FaultTopology) -> Evidence:
        """Let it go on; it then does what was asked of it meanwhile."""
        return await require_capability(topology, STORE, Pausable).resume()


@dataclass(frozen=True)
class ResumeStore(OnStore):
    """The end of a PauseStore before the run's end."""

    kind: ClassVar[str] = "resume_store"
    needs: ClassVar[type] = Pausable
    ends: ClassVar[str] = PauseStore.kind


@dataclass(frozen=True)
class Evict(OnStore):
    """The store's memory ends: about this ``share`` of its data has to go; undone by lifting the limit."""

    share: float = 0.5
    kind: ClassVar[str] = "evict"
    needs: ClassVar[type] = Evictable

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise UsageError(f"Evict(share={self.share}): above 0, at most 1")

    async def inject(self, topology: FaultTopology) -> Evidence:
        """Lower the limit; the evidence is the number of keys that the store says it evicted."""
        return await require_capability(topology, STORE, Evictable).evict(self.share)

    async def undo(self, topology: FaultTopology) -> Evidence:
        """Lift the limit; what was evicted stays away."""
        return await require_capability(topology, STORE, Evictable).unlimit()
