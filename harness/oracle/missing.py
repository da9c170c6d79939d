"""What a session's final state lacks, and how it was lost."""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

from harness.oracle.history import Final
from harness.oracle.reconstruction import Reconstruction
from harness.oracle.replay import ReplayedDivergence
from harness.oracle.verdict import Loss


@dataclass(frozen=True)
class MissingWrites:
    """What the final state lacks."""

    losses: tuple[Loss, ...] = ()  # whole states
    writes: frozenset[int] = frozenset()  # acknowledged writes, including those of lost states
    stretches: tuple[tuple[int, ...], ...] = ()  # lost together while the session continued
    singles: tuple[int, ...] = ()  # lost alone
    seen: tuple[int, ...] = ()  # were in doubt and had appeared

    @property
    def is_rolled_back(self) -> bool:
        """Whether the session continues without writes that were acknowledged or seen."""
        return bool(self.stretches or self.singles or self.seen)


def find_missing_writes(session: Reconstruction) -> MissingWrites:
    """Compare the final state with all acknowledged writes. If its content is unknown, find whole losses only."""
    final = session.history.final
    if final is None:
        return MissingWrites()
    if session.present is None:
        return MissingWrites(losses=_find_losses(session, final, None)[0])
    gone = frozenset(session.writes.acknowledged) - session.present
    losses, attributed = _find_losses(session, final, gone)
    groups = list(_group(session, gone - attributed - _forgotten(session)))
    return MissingWrites(
        losses,
        gone,
        stretches=tuple(group for group in groups if len(group) > 1),
        singles=tuple(group[0] for group in groups if len(group) == 1),
        seen=_find_seen(session, session.present, {loss.t_ns for loss in losses}),
    )


def _forgotten(session: Reconstruction) -> frozenset[int]:
    """Writes from before the oldest divergence that the ledger kept: how they were lost is unknown."""
    if not session.history.divergences_dropped:
        return frozenset()
    return frozenset(range(1, session.history.divergences[0].issued + 1))


def _find_seen(session: Reconstruction, present: frozenset[int], lost_at: Set[int]) -> tuple[int, ...]:
    """Writes in doubt that appeared and were then lost, while the session continued."""
    living = [
        replayed
        for replayed in session.divergences
        if not replayed.leaves_birth and replayed.divergence.t_ns not in lost_at
    ]
    return tuple(i for replayed in living for i in replayed.vanished & session.writes.doubted - present)


def _find_losses(
    session: Reconstruction, final: Final, gone: frozenset[int] | None
) -> tuple[tuple[Loss, ...], frozenset[int]]:
    """The states that did not return, and the writes lost with them. ``gone`` is None if those are unknown."""
    losses: list[Loss] = []
    attributed: frozenset[int] = frozenset()
    for replayed in _find_departures(session, final):
        went = _went_with(replayed, gone)
        if went is not None:
            went -= attributed
            attributed |= went
        if went or went is None or not replayed.empties_state:
            losses.append(_loss(session, replayed, went))
    return tuple(losses), attributed


def _find_departures(session: Reconstruction, final: Final) -> Iterator[ReplayedDivergence]:
    """The divergences at which a state was left for good: the last one of its birth, or one that emptied it."""
    last_departure = {
        replayed.divergence.birth_before: replayed for replayed in session.divergences if replayed.leaves_birth
    }
    for replayed in session.divergences:
        birth = replayed.divergence.birth_before
        is_for_good = last_departure.get(birth) is replayed and birth != final.birth
        if is_for_good or replayed.empties_state:
            yield replayed


def _went_with(replayed: ReplayedDivergence, gone: frozenset[int] | None) -> frozenset[int] | None:
    if gone is None or replayed.before is None:
        return None
    return frozenset(replayed.before) & gone - replayed.divergence.own_write


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
    )


def _group(session: Reconstruction, missing: frozenset[int]) -> Iterator[tuple[int, ...]]:
    """Group lost writes by the divergence at which they were lost; a stretch of neighbours stays together."""
    for replayed in session.divergences:
        vanished = replayed.vanished & missing
        missing -= vanished
        yield from _neighbours(vanished, sorted(set(replayed.before or ())))
    yield from _neighbours(missing, session.writes.acknowledged if missing else ())


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
