"""What a session's final state lacks, and how it was lost."""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

from harness.oracle.history import Final
from harness.oracle.models import CounterModel, SetModel
from harness.oracle.reconstruction import Reconstruction
from harness.oracle.replay import ReplayedDivergence
from harness.oracle.verdict import Loss


@dataclass(frozen=True)
class MissingWrites:
    """What the final state lacks."""

    losses: tuple[Loss, ...] = ()  # whole states
    writes: frozenset[int] = frozenset()  # acknowledged writes, including those of lost states
    stretches: tuple[tuple[int, ...], ...] = ()  # were seen, and lost together while the session continued
    singles: tuple[int, ...] = ()  # lost alone, or never seen
    seen: tuple[int, ...] = ()  # were in doubt and had appeared

    @property
    def is_rolled_back(self) -> bool:
        """Whether the session continues from an earlier state, without what had been seen since."""
        return bool(self.stretches or self.seen)


def find_missing_writes(session: Reconstruction) -> MissingWrites:
    """Compare the final state with all acknowledged writes. If its content is unknown, find whole losses only."""
    final = session.history.final
    if final is None:
        return MissingWrites()
    if session.present is None:
        return MissingWrites(losses=_find_losses(session, final, None)[0])
    gone = session.gone
    losses, attributed = _find_losses(session, final, gone)
    if session.is_removal_undone:
        return MissingWrites(losses, attributed)
    lost_at = {loss.t_ns for loss in losses}
    living = [replayed.vanished for replayed in session.divergences if replayed.divergence.t_ns not in lost_at]
    appeared = frozenset[int]().union(*living) & session.writes.doubted
    seen = session.history.acknowledged + len(session.writes.recovered)
    if session.history.model == CounterModel.name and final.state.n >= seen:
        appeared = frozenset()  # others may be there in their place
    if session.is_overwritten:
        gone = attributed
        appeared = frozenset(write for write in appeared if write > session.writes.acknowledged[-1])
    groups = list(_group(session, gone - attributed - _forgotten(session)))
    return MissingWrites(
        losses,
        gone,
        stretches=tuple(group.writes for group in groups if group.is_stretch),
        singles=tuple(write for group in groups if not group.is_stretch for write in group.writes),
        seen=tuple(sorted(appeared - session.present)),
    )


def _forgotten(session: Reconstruction) -> frozenset[int]:
    """Writes from before the oldest divergence that the ledger kept: how they were lost is unknown."""
    if not session.history.divergences_dropped:
        return frozenset()
    return frozenset(range(1, session.history.divergences[0].issued + 1))


def _find_losses(
    session: Reconstruction, final: Final, gone: frozenset[int] | None
) -> tuple[tuple[Loss, ...], frozenset[int]]:
    """The states that did not return, and the writes lost with them. ``gone`` is None if those are unknown."""
    losses: list[Loss] = []
    attributed: frozenset[int] = frozenset()
    for replayed, returned in zip(session.divergences, _shown_after_each(session), strict=True):
        if not replayed.is_restart:
            continue
        if gone is None or replayed.before is None:
            has_returned = replayed.divergence in session.history.healed
            if not has_returned and (
                replayed.divergence.birth_before != final.birth or not replayed.divergence.state.n
            ):
                losses.append(_loss(session, replayed, None))
            continue
        needless = session.writes.undone | session.perhaps_removed
        left = replayed.held & replayed.vanished & frozenset(session.writes.acknowledged) - needless
        went = left & gone - attributed
        if went and left <= gone and not left & returned:
            attributed |= went
            losses.append(_loss(session, replayed, went))
    return tuple(losses), attributed


def _shown_after_each(session: Reconstruction) -> list[frozenset[int]]:
    """For each divergence the writes that any later one showed, except in a view that was stale."""
    shown = [frozenset[int]()]
    for replayed in reversed(session.divergences[1:]):
        is_stale = replayed.divergence in session.history.healed
        shown.append(shown[-1] if is_stale else shown[-1] | frozenset(replayed.after or ()))
    return shown[::-1][: len(session.divergences)]


def _loss(session: Reconstruction, replayed: ReplayedDivergence, went: frozenset[int] | None) -> Loss:
    divergence = replayed.divergence
    boots = [boot for _, boot, since in session.history.acked_boots if went and since <= max(went)]
    return Loss(
        t_ns=divergence.t_ns,
        birth_before=divergence.birth_before,
        birth_after=divergence.birth_after,
        boot_before=boots[-1] if boots else divergence.boot_before,
        boot_after=divergence.boot_after,
        writes=divergence.under if went is None else len(went),
        known_ns=divergence.known_ns,
    )


@dataclass(frozen=True)
class _Group:
    """Writes lost at one time, one after another in the order of their acknowledgement."""

    writes: tuple[int, ...]
    seen: int  # of all writes, those up to this one had been seen before

    @property
    def is_stretch(self) -> bool:
        """Whether the state went back to an earlier one. A single write, or those never seen, may have been dropped."""
        return len(self.writes) > 1 and self.writes[0] <= self.seen


def _group(session: Reconstruction, missing: frozenset[int]) -> Iterator[_Group]:
    """Group lost writes by the divergence at which they were lost; a stretch of neighbours stays together."""
    is_set = session.history.model == SetModel.name
    for replayed in session.divergences:
        vanished = replayed.vanished & missing
        missing -= vanished
        held = set(replayed.before or ()) if vanished else set()
        # Of a set, what lies between may be there by other writes.
        order = sorted(held & vanished if is_set else held - session.writes.doubted)
        for run in _neighbours(vanished, order):
            yield _Group(run, replayed.divergence.seen)
    for run in _neighbours(missing, session.writes.acknowledged if missing else ()):
        yield _Group(run, 0)


def _neighbours(writes: Set[int], order: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """The writes in runs that are adjacent in ``order``."""
    run: list[int] = []
    for write in order:
        if write in writes:
            run.append(write)
        elif run:
            yield tuple(run)
            run = []
    if run:
        yield tuple(run)
