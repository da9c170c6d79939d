"""The judge: what happened to a session, from what its ledger testifies. Pure, run once a session after the load."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import asdict, dataclass
from typing import Any, cast

from harness.observations.requests import Anomaly
from harness.oracle.history import MAX_DOUBTS, Final, SessionHistory
from harness.oracle.models import StatelessModel
from harness.oracle.outcome import SessionOutcome, gravest
from harness.oracle.replay import Replay, ReplayedDivergence, ReplayedWrites


@dataclass(frozen=True)
class Loss:
    """A state with acknowledged writes that vanished and did not return."""

    t_ns: int  # when a reply first showed another one
    birth_before: str
    birth_after: str
    boot_before: str  # of the last acknowledged reply under the lost birth
    boot_after: str
    writes: int  # acknowledged ones that went with it


@dataclass(frozen=True)
class SessionVerdict:
    """What is known at the end of one writer's session. Several flags may hold; ``outcome`` is the gravest."""

    session: int
    writer: int = 0
    owner: str = ""
    lost: bool = False
    rolled_back: bool = (
        False  # the session lives, but writes acknowledged or seen are gone; ``outcome`` tells whether one or a stretch
    )
    stale: bool = False
    leaked: bool = False
    duplicated: bool = False
    forced_login: bool = False
    unknown: bool = False
    outcome: SessionOutcome = SessionOutcome.KEPT
    acknowledged: int = 0
    lost_writes: int = 0  # acknowledged, absent at the final read; those of lost sessions included
    duplicates: int = 0  # applications too many
    in_doubt: int = 0  # writes left in doubt by their replies, those that appeared later included
    recovered: int = 0  # of these, those that appeared
    unexplained: int = 0  # writes
    losses: tuple[Loss, ...] = ()
    earlier_losses: int = 0  # changes of the state before ``losses`` that the ledger has no room to tell apart
    acked_boots: tuple[tuple[int, str], ...] = ()  # the latest changes of boot between acknowledged replies
    why: tuple[str, ...] = ()
    room: str = ""  # the messages of all sessions in it were due to this one

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, plain: Mapping[str, object]) -> "SessionVerdict":
        """Back from ``to_json``, also by way of JSON text."""
        told = cast("dict[str, Any]", dict(plain))
        told["losses"] = tuple(Loss(**loss) for loss in told["losses"])
        told["acked_boots"] = tuple((t, boot) for t, boot in told["acked_boots"])
        told["why"] = tuple(told["why"])
        told["outcome"] = SessionOutcome(told["outcome"])
        return cls(**told)


def judge(testimony: SessionHistory, refused: Set[int] = frozenset()) -> SessionVerdict:
    """Judge one session.

    ``refused`` are the ids of writes that a balancer's log shows never reached an upstream: those in doubt among them
    were not applied, and one that appears nevertheless is a defect.
    """
    return _SessionJudge(testimony, refused).judgement()


@dataclass(frozen=True)
class _Missing:
    """What the final state lacks, and by which turn."""

    losses: tuple[Loss, ...]
    writes: frozenset[int]  # acknowledged ones
    stretches: tuple[tuple[int, ...], ...]  # gone together while the session lived on
    singles: tuple[int, ...]
    seen: tuple[int, ...]  # were in doubt, had appeared


class _SessionJudge:
    def __init__(self, testimony: SessionHistory, refused: Set[int]) -> None:
        self._t = testimony
        self._writes = ReplayedWrites(testimony, refused)
        self._quiet = not testimony.divergences and self._offset_is_recovered()
        self._replay = None if self._quiet else Replay(testimony, self._writes)

    def _offset_is_recovered(self) -> bool:
        t = self._t
        if not t.recovered:
            return t.offset == (0, 0)
        return t.offset == self._writes.sums([i for _, i in t.recovered])

    def judgement(self) -> SessionVerdict:
        t, writes = self._t, self._writes
        missing = self._missing(t.final) if t.final is not None else _Missing((), frozenset(), (), (), ())
        duplicates, unexplained = self._duplicates(), self._unexplained()
        recovered = self._recovered()
        fewest = self._fewest_lost()
        flags = {
            "lost": bool(missing.losses),
            "rolled_back": bool(missing.stretches or missing.singles or missing.seen),
            "stale": t.stale > 0 or any(self._came_back(turn) for turn in self._turns()),
            "leaked": t.leaked > 0,
            "duplicated": duplicates > 0,
            "forced_login": t.forced_logins > 0,
            "unknown": (t.final is None and t.model != StatelessModel.name) or len(writes.open) > MAX_DOUBTS,
        }
        outcomes = {SessionOutcome(word) for word, holds in flags.items() if holds}
        outcomes |= {SessionOutcome.UNEXPLAINED} if unexplained else set()
        if SessionOutcome.ROLLED_BACK in outcomes and not missing.stretches and not missing.seen:
            outcomes = outcomes - {SessionOutcome.ROLLED_BACK} | {SessionOutcome.LOST_WRITES}
        if not outcomes and missing.writes:
            outcomes = {SessionOutcome.LOST_WRITES}  # how is beyond what the ledger remembers
        return SessionVerdict(
            session=t.session,
            writer=t.writer,
            owner=t.owner,
            room=t.room,
            **flags,
            outcome=gravest(outcomes),
            acknowledged=t.acknowledged,
            lost_writes=max(len(missing.writes), fewest),
            duplicates=duplicates,
            in_doubt=len(writes.open) + sum(i not in writes.refused for _, i in t.recovered),
            recovered=len(recovered),
            unexplained=unexplained,
            losses=missing.losses,
            earlier_losses=t.divergences_dropped,
            acked_boots=tuple((t_ns, boot) for t_ns, boot, _ in t.acked_boots),
            why=tuple(self._why(missing, duplicates, unexplained, len(recovered))),
        )

    def _turns(self) -> list[ReplayedDivergence]:
        return [] if self._replay is None else self._replay.turns

    def _present(self) -> frozenset[int] | None:
        """The writes in the final state; None where that is not known."""
        if self._replay is None or self._replay.content is None:
            return None
        return frozenset(self._replay.content)

    def _missing(self, final: Final) -> _Missing:
        present = self._present()
        if present is None:
            return _Missing(tuple(self._losses(final, None)[0]), frozenset(), (), (), ())
        gone = frozenset(self._writes.acknowledged) - present
        losses, attributed = self._losses(final, gone)
        left = gone - attributed - self._beyond_memory()
        stretches: list[tuple[int, ...]] = []
        singles: list[tuple[int, ...]] = []
        for group in self._groups(left):
            (stretches if len(group) > 1 else singles).append(group)
        lost_at = {loss.t_ns for loss in losses}
        living = [turn for turn in self._turns() if not turn.leaves and turn.shift.t_ns not in lost_at]
        seen = tuple(i for turn in living for i in turn.vanished & self._writes.doubted - present)
        return _Missing(tuple(losses), gone, tuple(stretches), tuple(i for (i,) in singles), seen)

    def _beyond_memory(self) -> frozenset[int]:
        """Writes from before the oldest change of the state that the ledger still tells: how they went is not known."""
        if not self._t.divergences_dropped:
            return frozenset()
        return frozenset(range(1, self._t.divergences[0].issued + 1))

    def _losses(self, final: Final, gone: frozenset[int] | None) -> tuple[list[Loss], frozenset[int]]:
        """The states that did not return, and the writes that went with them."""
        last_leave = {turn.shift.birth_before: turn for turn in self._turns() if turn.leaves}
        losses: list[Loss] = []
        attributed: set[int] = set()
        for turn in self._turns():
            birth = turn.shift.birth_before
            left = turn.leaves and last_leave[birth] is turn and birth != final.birth
            if not left and not turn.empties:
                continue
            went = self._went(turn, gone)
            new = None if went is None else went - attributed
            if turn.empties and new is not None and not new:
                continue
            attributed |= new or set()
            losses.append(self._loss(turn, new))
        return losses, frozenset(attributed)

    def _loss(self, turn: ReplayedDivergence, went: frozenset[int] | None) -> Loss:
        shift = turn.shift
        boots = [boot for _, boot, since in self._t.acked_boots if went and since <= max(went)]
        return Loss(
            t_ns=shift.t_ns,
            birth_before=shift.birth_before,
            birth_after=shift.birth_after,
            boot_before=boots[-1] if boots else shift.boot_before,
            boot_after=shift.boot_after,
            writes=shift.under if went is None else len(went),
        )

    def _went(self, turn: ReplayedDivergence, gone: frozenset[int] | None) -> frozenset[int] | None:
        if gone is None or turn.before is None:
            return None
        own = {turn.shift.issued} if turn.shift.wrote else set()
        return frozenset(turn.before) & gone - own

    def _groups(self, left: frozenset[int]) -> Iterator[tuple[int, ...]]:
        """Lost writes by the turn that took them, a stretch of neighbours together."""
        for turn in self._turns():
            taken = turn.vanished & left
            left -= taken
            yield from _neighbours(taken, sorted(set(turn.before or ())))
        yield from _neighbours(left, self._writes.acknowledged if left else ())

    def _came_back(self, turn: ReplayedDivergence) -> bool:
        present = self._present()
        return present is not None and bool(turn.vanished) and turn.vanished <= present

    def _duplicates(self) -> int:
        extra = sum(turn.repeated for turn in self._turns())
        if self._replay is not None and self._replay.settled and self._replay.content is not None:
            extra = max(extra, len(self._replay.content) - len(set(self._replay.content)))
        return extra + self._t.duplicated

    def _recovered(self) -> frozenset[int]:
        seen = frozenset(i for _, i in self._t.recovered) | ((self._present() or frozenset()) & self._writes.doubted)
        return seen - self._writes.refused

    def _defects(self) -> frozenset[int]:
        """Writes that were certainly not applied, and yet are there."""
        shown = frozenset(i for _, i in self._t.recovered)
        if self._replay is not None:
            states = [turn.after or () for turn in self._replay.turns] + [self._replay.content or ()]
            shown = shown.union(*states)
        return shown & self._writes.failed if shown else frozenset()

    def _unexplained(self) -> int:
        found = len(self._defects()) + (self._t.disordered > 0)
        if self._replay is None or self._replay.settled:
            return found
        blurred = len(self._writes.open) > MAX_DOUBTS
        for turn in self._replay.turns:
            if turn.before is not None and turn.after is None and not (blurred and turn.shift.anomaly is Anomaly.NONE):
                found += max(1, abs(turn.shift.state[0] - self._writes.sums(turn.before)[0]))
        if not found and self._t.final is not None and self._replay.content is None and not blurred:
            return 1
        return found

    def _fewest_lost(self) -> int:
        """How many are lost at the least where the count alone tells."""
        if self._t.final is None or self._quiet or self._t.weights:
            return 0
        return max(0, self._t.acknowledged - self._t.final.state[0])

    def _why(self, missing: _Missing, duplicates: int, unexplained: int, recovered: int) -> Iterator[str]:
        t = self._t
        for note in t.notes:
            yield f"{_at(note.t_ns)}: {_NOTES[note.anomaly]}{_by(note.boot)}."
        for loss in missing.losses:
            new = f"birth {loss.birth_after}" if loss.birth_after != loss.birth_before else "nothing in it"
            yield (
                f"{_at(loss.t_ns)}: the state of birth {loss.birth_before}{_by(loss.boot_before)} had given way to one "
                f"with {new}{_by(loss.boot_after)}; it did not return, and {_writes(loss.writes)} went with it."
            )
        if t.divergences_dropped:
            yield f"{t.divergences_dropped} earlier changes of the state are not told one by one."
        for stretch in missing.stretches:
            yield f"Writes {_list(stretch)} were acknowledged, and are gone together at the final read: rolled back."
        for single in missing.singles:
            yield f"Write {single} was acknowledged, and is absent at the final read."
        for write in missing.seen:
            yield f"Write {write} was in doubt, had appeared, and is gone again: below what was seen."
        if t.stale and not any(note.anomaly is Anomaly.STALE for note in t.notes):
            yield f"Acknowledged writes were absent and came back {t.stale} times."
        yield from self._why_not_sure(duplicates, unexplained, recovered)

    def _why_not_sure(self, duplicates: int, unexplained: int, recovered: int) -> Iterator[str]:
        t = self._t
        if duplicates:
            yield f"{_writes(duplicates)} applied once too often."
        if recovered:
            yield f"{_writes(recovered)} in doubt appeared later: recovered, which is legal."
        for write in sorted(self._defects()):
            cause = (
                "the balancer's log says it never reached a replica" if write in self._writes.refused else "it failed"
            )
            yield f"Write {write} is there although {cause}: a defect of the design or of the evidence."
        if t.disordered:
            yield f"{t.disordered} replies showed acknowledged writes in another order."
        if unexplained > len(self._defects()) + (t.disordered > 0):
            yield "A state was shown that no single explanation of lost, repeated and recovered writes accounts for."
        if t.model == "counter" and self._turns():
            yield "A counter does not tell which writes."
        if t.final is None and t.model == StatelessModel.name:
            yield "The service keeps nothing of the session: its replies were judged one by one."
        elif t.final is None:
            yield "The final read did not show the session's state: what it lacks is not known."
        if len(self._writes.open) > MAX_DOUBTS:
            yield f"{len(self._writes.open)} writes are in doubt, more than the {MAX_DOUBTS} that can be told apart."


_NOTES = {
    Anomaly.LEAKED: "the reply showed another owner's session",
    Anomaly.FORCED_LOGIN: "the session was sent back to the login",
    Anomaly.STALE: "acknowledged writes that had been absent were there again: what lay between was stale",
}


def _neighbours(some: Set[int], order: tuple[int, ...] | list[int]) -> Iterator[tuple[int, ...]]:
    """The writes in runs that stand side by side in ``order``."""
    run: list[int] = []
    for write in order:
        if write in some:
            run.append(write)
        elif run:
            yield tuple(run)
            run = []
    if run:
        yield tuple(run)


def _at(t_ns: int) -> str:
    return f"At {t_ns / 1e9:.3f} s"


def _by(boot: str) -> str:
    return f" (boot {boot})" if boot else ""


def _writes(n: int) -> str:
    return f"{n} write" if n == 1 else f"{n} writes"


def _list(stretch: tuple[int, ...]) -> str:
    return (
        f"{stretch[0]} to {stretch[-1]}"
        if stretch[-1] - stretch[0] == len(stretch) - 1
        else ", ".join(map(str, stretch))
    )
