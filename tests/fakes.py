"""Stand-ins at the seams: observations made by hand, a topology that only remembers."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from harness.observations import Event
from harness.oracle.judge import Judgement, Loss
from harness.parts import Evidence, Member
from harness.runs import ArmObservations

CATEGORIES = ("name", "method", "outcome", "anomaly", "replica", "boot")


@dataclass(frozen=True)
class Asked:
    """One request, in seconds, as a test writes it."""

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


def requests(asked: Sequence[Asked]) -> pd.DataFrame:
    rows = [
        {
            "session": one.session,
            "writer": one.session,
            "op": one.op,
            "name": "POST /cart/add" if one.op else "GET /cart",
            "method": "POST" if one.op else "GET",
            "status": 200 if one.outcome == "ok" else 0,
            "outcome": one.outcome,
            "anomaly": one.anomaly,
            "replica": one.replica,
            "boot": one.boot,
            "phase": one.phase,
            "t_intended": int((one.t if one.intended is None else one.intended) * 1e9),
            "t_sent": int(one.t * 1e9),
            "t_first": int((one.t + one.took) * 1e9),
            "t_end": int((one.t + one.took) * 1e9),
            "bytes_sent": 200,
            "bytes_received": 400,
            "reconnected": 0,
            "attempts": 1,
        }
        for one in asked
    ]
    frame = pd.DataFrame(rows, columns=list(rows[0]) if rows else None)
    return frame.astype(dict.fromkeys(CATEGORIES, "category"))


def observed(
    asked: Sequence[Asked],
    events: Sequence[Event] = (),
    judgements: Sequence[Judgement] = (),
    *,
    design: str = "sticky",
    arm: str = "fault",
    duration: float = 10.0,
    effects: Sequence[int] = (),
    complete: bool = True,
) -> ArmObservations:
    return ArmObservations(
        design=design,
        arm=arm,
        requests=requests(asked),
        events=tuple(events),
        samples=(),
        judgements=tuple(judgements),
        warmup=0.0,
        duration=duration,
        effects=tuple(effects),
        complete=complete,
        driver={"lag_p99_ms": 1.0, "late": 0, "dropped": 0},
    )


def kill_at(
    t: float, replica: str = "r1", boot: str = "b1", healed: float | None = None, took: float = 0.0
) -> list[Event]:
    """The events of a kill that landed, and of its undo."""
    events = [
        Event(t, "fault_commanded", replica, {"kind": "kill"}),
        Event(t + took, "fault_effective", replica, {"kind": "kill", "boot": boot}),
    ]
    if healed is not None:
        events.append(Event(healed, "fault_healed", replica, {"kind": "kill", "boot": boot + "'"}))
    return events


@dataclass
class FakeReplica:
    """A replica that can be killed, and remembers it."""

    name: str
    boots: int = 1
    up: bool = True
    deeds: list[str] = field(default_factory=list)
    lands: bool = True

    @property
    def member(self) -> Member:
        return Member(self.name, "127.0.0.1", 1)

    @property
    def boot(self) -> str:
        return f"{self.name}-{self.boots}"

    @property
    def pid(self) -> int | None:
        return 1 if self.up else None

    async def kill(self) -> Evidence:
        self.deeds.append("kill")
        self.up = False
        return Evidence(self.lands, {"boot": self.boot})

    async def restart(self) -> Evidence:
        self.deeds.append("restart")
        self.up = True
        self.boots += 1
        return Evidence(True, {"boot": self.boot})


@dataclass(frozen=True)
class FakeTopology:
    """Replicas only."""

    replicas: tuple[FakeReplica, ...]


__all__ = ["Asked", "FakeReplica", "FakeTopology", "Judgement", "Loss", "kill_at", "observed", "requests"]
