"""Stand-ins for the parts of a run: handmade observations, and a topology that only records what is done to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from harness.cluster.capabilities import Evidence, Keys, LinkState, Member, PlatformAutoscaler, Refusal, RunOnNode
from harness.observations.events import Effect, Event
from harness.oracle.verdict import Loss, SessionVerdict
from harness.results.arm_files import ArmObservations

CATEGORIES = ("name", "method", "outcome", "anomaly", "replica", "boot")


@dataclass(frozen=True)
class RequestRow:
    """One request as a test writes it; times are in seconds."""

    session: int
    t: float
    outcome: str = "ok"
    replica: str | None = "r0"
    boot: str | None = "b0"
    op: int = 0
    anomaly: str = "none"
    took: float = 0.01
    intended: float | None = None
    phase: int = 0
    status: int | None = None  # None: the status that fits the outcome


def requests(rows: Sequence[RequestRow]) -> pd.DataFrame:
    records = [
        {
            "session": row.session,
            "writer": row.session,
            "op": row.op,
            "name": "POST /cart/add" if row.op else "GET /cart",
            "method": "POST" if row.op else "GET",
            "status": row.status if row.status is not None else 200 if row.outcome == "ok" else 0,
            "outcome": row.outcome,
            "anomaly": row.anomaly,
            "replica": row.replica,
            "boot": row.boot,
            "phase": row.phase,
            "t_intended": int((row.t if row.intended is None else row.intended) * 1e9),
            "t_sent": int(row.t * 1e9),
            "t_first": int((row.t + row.took) * 1e9),
            "t_end": int((row.t + row.took) * 1e9),
            "bytes_sent": 200,
            "bytes_received": 400,
            "reconnected": 0,
            "attempts": 1,
        }
        for row in rows
    ]
    if not records:
        return requests([RequestRow(1, 0.0)]).iloc[:0]
    return pd.DataFrame(records).astype(dict.fromkeys(CATEGORIES, "category"))


def observed(
    rows: Sequence[RequestRow],
    events: Sequence[Event] = (),
    judgements: Sequence[SessionVerdict] = (),
    *,
    design: str = "sticky",
    arm: str = "fault",
    duration: float = 10.0,
    effects: Sequence[Effect | int] = (),
    complete: bool = True,
) -> ArmObservations:
    return ArmObservations(
        design=design,
        arm=arm,
        requests=requests(rows),
        events=tuple(events),
        samples=(),
        judgements=tuple(judgements),
        warmup=0.0,
        duration=duration,
        effects=tuple(effect if isinstance(effect, Effect) else Effect(effect, "checkout") for effect in effects),
        complete=complete,
        driver={"lag_p99_ms": 1.0, "late": 0, "dropped": 0},
    )


def kill_at(
    t: float, replica: str = "r1", boot: str = "b1", healed: float | None = None, took: float = 0.0
) -> list[Event]:
    """The events of a kill that took effect, and of its undo."""
    events = [
        Event(t, "fault_commanded", replica, {"kind": "kill"}),
        Event(t + took, "fault_effective", replica, {"kind": "kill", "boot": boot}),
    ]
    if healed is not None:
        events.append(Event(healed, "fault_healed", replica, {"kind": "kill", "boot": boot + "'"}))
    return events


@dataclass
class FakePart:
    """A part that supports and records every action. ``lands`` is what its evidence says."""

    name: str
    boots: int = 1
    up: bool = True
    paused: bool = False
    slow_by: float = 0.0
    limited: bool = False
    actions: list[str] = field(default_factory=list)
    lands: bool = True

    @property
    def boot(self) -> str:
        return f"{self.name}-{self.boots}"

    @property
    def pid(self) -> int | None:
        return 1 if self.up else None

    @property
    def well(self) -> bool:
        return self.up and not (self.paused or self.slow_by or self.limited)

    def _record(self, action: str) -> Evidence:
        self.actions.append(action)
        return Evidence(self.lands, {"boot": self.boot})

    async def kill(self) -> Evidence:
        self.up = False
        return self._record("kill")

    async def terminate(self) -> Evidence:
        self.up = False
        return self._record("terminate")

    async def restart(self) -> Evidence:
        self.boots += not self.up
        self.up = True
        self.actions.append("restart")
        return Evidence(True, {"boot": self.boot})

    async def pause(self) -> Evidence:
        self.paused = True
        return self._record("pause")

    async def resume(self) -> Evidence:
        self.paused = False
        self.actions.append("resume")
        return Evidence(True)

    async def lose_volume(self) -> Evidence:
        return self._record("lose_volume")

    async def tear_volume(self, cut: int) -> Evidence:
        return self._record(f"tear_volume {cut}")

    async def throttle(self, by: float) -> Evidence:
        self.slow_by = by
        return self._record("throttle")

    async def unthrottle(self) -> Evidence:
        self.slow_by = 0.0
        self.actions.append("unthrottle")
        return Evidence(True)


@dataclass
class FakeReplica(FakePart):
    """A replica."""

    signing: tuple[int, ...] = (1, 1)  # the signing key, then the accepted keys

    @property
    def member(self) -> Member:
        return Member(self.name, "127.0.0.1", 1)

    @property
    def well(self) -> bool:
        """Also: every key that ever signed is accepted."""
        return super().well and set(range(1, self.signing[0] + 1)) <= set(self.signing[1:])

    async def keys(self) -> Keys | None:
        return Keys(self.signing[0], self.signing[1:], f"k{self.signing[0]}")

    async def use_keys(self, signing: int, accepted: Sequence[int]) -> Keys | None:
        self.signing = (signing, *sorted(accepted))
        self.actions.append("use_keys")
        return await self.keys() if self.lands or self.well else None


@dataclass
class FakeStore(FakePart):
    """A store."""

    name: str = "redis"
    url: str = "redis://127.0.0.1:1/0"
    leader_up: bool = True
    replicas_cut: bool = False

    @property
    def pids(self) -> tuple[int, ...]:
        return (1,) if self.up else ()

    @property
    def well(self) -> bool:
        return super().well and self.leader_up and not self.replicas_cut

    async def kill_primary(self) -> Evidence:
        self.leader_up = False
        return self._record("kill_primary")

    async def cut_replication(self) -> Evidence:
        self.replicas_cut = True
        return self._record("cut_replication")

    async def restore_replication(self) -> Evidence:
        self.replicas_cut = False
        self.actions.append("restore_replication")
        return Evidence(True)

    async def restart_primary(self) -> Evidence:
        self.leader_up = True
        self.actions.append("restart_primary")
        return Evidence(True)

    async def evict(self, share: float) -> Evidence:
        self.limited = True
        return self._record("evict")

    async def unlimit(self) -> Evidence:
        self.limited = False
        self.actions.append("unlimit")
        return Evidence(True)


@dataclass
class FakeBalancer(FakePart):
    """A balancer whose members stay as they were set."""

    name: str = "fake"
    url: str = "http://127.0.0.1:1"
    believed: dict[str, str] = field(default_factory=dict)

    async def add(self, member: Member) -> None:
        self.believed[member.name] = "up"

    async def remove(self, name: str) -> None:
        del self.believed[name]

    async def drain(self, name: str) -> None:
        self.believed[name] = "drain"

    async def states(self) -> Mapping[str, str]:
        return dict(self.believed)

    def refusals(self) -> tuple[Refusal, ...]:
        return ()

    async def reload(self) -> Evidence:
        return self._record("reload")


@dataclass
class FakeWorkload(FakePart):
    """A workload of three replicas, on a node each."""

    size: int = 3
    drained: set[str] = field(default_factory=set)
    lost: str = ""

    @property
    def well(self) -> bool:
        return self.size == 3 and not self.drained and not self.lost

    async def restart(self) -> Evidence:
        return self._record("restart")

    async def resize(self, replicas: int | None) -> Evidence:
        self.size = replicas or 3
        return Evidence(self.lands or replicas is None)

    async def drain(self, name: str) -> Evidence:
        self.drained.add(name)
        return self._record("drain")

    async def uncordon(self, name: str) -> Evidence:
        self.drained.discard(name)
        return Evidence(True)

    async def lose_node(self, cut: RunOnNode) -> Evidence:
        self.lost = "node2"
        return self._record("lose_node") if (await cut(self.lost)).confirmed else Evidence(False)

    async def regain_node(self, restore: RunOnNode) -> Evidence:
        node, self.lost = self.lost, ""
        return await restore(node)

    async def settle(self) -> Evidence:
        return Evidence(True)


@dataclass
class FakeLink(FakePart):
    """A link whose state stays as it was set."""

    condition: LinkState = field(default_factory=LinkState)

    @property
    def well(self) -> bool:
        return self.condition == LinkState()

    async def set_state(self, condition: LinkState) -> Evidence:
        self.condition = condition
        return Evidence(self.lands or condition == LinkState(), {"connections": 2, "held": 0, "dropped": 0})


def _links(*names: str) -> dict[str, FakeLink]:
    return {name.format(number): FakeLink(name.format(number)) for name in names for number in range(3)}


@dataclass
class FakeTopology:
    """Parts that only record what is done to them."""

    replicas: list[FakeReplica]
    store: FakeStore | None = field(default_factory=FakeStore)
    balancer: FakeBalancer = field(default_factory=FakeBalancer)
    links: Mapping[str, "FakeLink"] = field(default_factory=lambda: _links("balancer-r{}", "r{}-store"))
    workload: FakeWorkload = field(default_factory=lambda: FakeWorkload("workload"))
    autoscaler: PlatformAutoscaler | None = None

    def __post_init__(self) -> None:
        self.balancer.believed = {replica.name: "up" for replica in self.replicas}

    @property
    def parts(self) -> list[FakePart]:
        store = [self.store] if self.store else []
        return [*self.replicas, self.balancer, *store, *self.links.values(), self.workload]

    @property
    def whole(self) -> bool:
        """Whether every part is well, and the balancer has exactly the existing replicas as members."""
        known = {replica.name: "up" for replica in self.replicas}
        return all(part.well for part in self.parts) and self.balancer.believed == known

    async def grow(self) -> FakeReplica:
        self.replicas.append(FakeReplica(f"r{len(self.replicas)}"))
        return self.replicas[-1]

    def forget(self, name: str) -> None:
        self.replicas[:] = [replica for replica in self.replicas if replica.name != name]


__all__ = [
    "FakeBalancer",
    "FakeReplica",
    "FakeStore",
    "FakeTopology",
    "FakeWorkload",
    "Loss",
    "RequestRow",
    "SessionVerdict",
    "kill_at",
    "observed",
    "requests",
]
