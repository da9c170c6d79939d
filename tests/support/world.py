"""A simulated world: a service that keeps tallies, a network that loses and delays, and a client with a ledger.

It knows the truth (what is stored, what was acknowledged); tests compare the judge's verdict with that.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from harness.observations.requests import Anomaly, Outcome
from harness.oracle.judge import judge
from harness.oracle.ledger import Ledger
from harness.oracle.observed import Tally
from harness.oracle.operations import MASK, token
from harness.oracle.verdict import SessionVerdict

SEED = 7


@dataclass
class Cell:
    """One copy of a session's state."""

    birth: str
    owner: str = "me"
    ops: list[int] = field(default_factory=list)
    digest: int = 0

    def apply(self, op: int) -> None:
        self.ops.append(op)
        self.digest = (self.digest + token(op)) & MASK

    def keep(self, ops: list[int]) -> None:
        self.ops = list(ops)
        self.digest = sum(map(token, ops)) & MASK

    def copy(self) -> "Cell":
        return Cell(self.birth, self.owner, list(self.ops), self.digest)

    def tally(self) -> Tally:
        return Tally(self.birth, self.owner, len(self.ops), self.ops[-1] if self.ops else 0, self.digest)


@dataclass(frozen=True)
class Network:
    """The probability of each fate of a request; all others are acknowledged by a reply that shows the state."""

    refused: float = 0.01  # certainly not applied, and the client knows
    rejected: float = 0.01  # not applied; only the balancer's log knows
    lost: float = 0.01  # never arrives
    unanswered: float = 0.01  # applied, the reply is lost
    late: float = 0.01  # arrives some time later, or never
    silent: float = 0.02  # acknowledged without showing the state
    retries: float = 0.0  # the share of those in doubt that are retried with the same id

    @staticmethod
    def calm() -> "Network":
        return Network(0, 0, 0, 0, 0, 0)


class Client:
    """One session of one writer against a service: ``cell`` is where its requests go."""

    def __init__(self, rng: random.Random, cell: Cell, network: Network, writer: int = 1) -> None:
        self.rng, self.cell, self.network = rng, cell, network
        self.ledger = Ledger(SEED, writer, writer, cell.owner)
        self.boot = "boot0"
        self.t = 0
        self.acknowledged: list[int] = []
        self.doubted: set[int] = set()
        self.rejected: set[int] = set()
        self.late: list[int] = []
        self.anomalies: list[Anomaly] = []
        self.dedupe = False

    def step(self) -> Anomaly:
        """One random request."""
        self._deliver_late()
        return self.write() if self.rng.random() < 0.6 else self.read()

    def read(self, shown: Tally | None = None) -> Anomaly:
        return self.settle(0, Outcome.OK, shown or self.cell.tally())

    def write(self, show: Callable[[], Tally] | None = None) -> Anomaly:
        """A write with a random fate."""
        op = self.ledger.write()
        anomaly = self._send(op)
        while op in self.doubted and op not in self.rejected and self.rng.random() < self.network.retries:
            self._deliver_late()
            anomaly = max(anomaly, self._send(op))
        return anomaly

    def acknowledged_write(self, apply: Callable[[int], Tally] | None = None) -> Anomaly:
        """A write that is acknowledged at once; ``apply`` is what the service does with it."""
        op = self.ledger.write()
        self.acknowledged.append(op)
        if apply is None:
            self.cell.apply(op)
            return self.settle(op, Outcome.OK, self.cell.tally())
        return self.settle(op, Outcome.OK, apply(op))

    def end(self) -> SessionVerdict:
        """The final read, and the verdict."""
        self.t += 1
        self.anomalies.append(self.ledger.record_final_read(Outcome.OK, self.cell.tally(), self.boot, self.t))
        return judge(self.ledger.history(), frozenset(self.rejected))

    def tail(self, n: int) -> int:
        """How many of the last ``n`` stored writes were acknowledged."""
        return len(set(self.cell.ops[-n:]) & set(self.acknowledged))

    @property
    def gone(self) -> set[int]:
        return set(self.acknowledged) - set(self.cell.ops)

    @property
    def recovered(self) -> set[int]:
        return self.doubted & set(self.cell.ops)

    def _deliver_late(self) -> None:
        for op in [op for op in self.late if self.rng.random() < 0.1]:
            self.late.remove(op)
            self._apply(op)

    def _apply(self, op: int) -> None:
        if not self.dedupe or op not in self.cell.ops:
            self.cell.apply(op)

    def _send(self, op: int) -> Anomaly:
        fate = next(self._draw_fates())
        match fate:
            case "refused":
                return self.settle(op, Outcome.FAILED, None)
            case "ok" | "silent":
                self._apply(op)
                self.acknowledged.append(op)
                self.doubted.discard(op)
                return self.settle(op, Outcome.OK, self.cell.tally() if fate == "ok" else None)
            case "unanswered":
                self._apply(op)
            case "late":
                self.late.append(op)
            case "rejected" if op not in self.doubted:
                self.rejected.add(op)
        self.doubted.add(op)
        return self.settle(op, Outcome.IN_DOUBT, None)

    def _draw_fates(self) -> Iterator[str]:
        dice = self.rng.random()
        for fate in ("refused", "rejected", "lost", "unanswered", "late", "silent"):
            dice -= getattr(self.network, fate)
            if dice < 0:
                yield fate
        yield "ok"

    def settle(self, op: int, outcome: Outcome, shown: Tally | None) -> Anomaly:
        self.t += 1
        anomaly = self.ledger.settle(op, outcome, shown, self.boot, self.t)
        self.anomalies.append(anomaly)
        return anomaly
