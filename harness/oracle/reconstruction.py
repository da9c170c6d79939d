"""What a session's history amounts to: which writes are present, came back, or were applied too often."""

from collections import Counter
from collections.abc import Sequence, Set
from functools import cached_property

from harness.observations.requests import Anomaly
from harness.oracle.history import MAX_DOUBTS, MAX_SURPLUS, SessionHistory
from harness.oracle.models import CounterModel, RegisterModel, SetModel, StatelessModel
from harness.oracle.replay import SURPLUS, Replay, ReplayedDivergence, ReplayedWrites


class Reconstruction:
    """A session's writes, and a replay of its divergences if there are any."""

    def __init__(self, history: SessionHistory, refused: Set[int]) -> None:
        self.history = history
        self.writes = ReplayedWrites(history, refused)
        self._replay = None if self._is_undisturbed else Replay(history, self.writes)

    @cached_property
    def _is_undisturbed(self) -> bool:
        """Whether every reply showed what was acknowledged, plus writes in doubt that appeared."""
        history = self.history
        if history.divergences or history.healed or self._went_without_removal:
            return False
        return history.offset == (
            self.writes.sums([recovery.i for recovery in history.recovered]) if history.recovered else (0, 0)
        )

    @property
    def _went_without_removal(self) -> bool:
        """Whether an item of a set was missing, and a removal that never arrived seemed to account for it."""
        return not self.writes.refused_removals.isdisjoint(seen.i for seen in self.history.recovered)

    @property
    def divergences(self) -> Sequence[ReplayedDivergence]:
        """The replies that did not show the expected state, in order."""
        return () if self._replay is None else self._replay.divergences

    @cached_property
    def present(self) -> frozenset[int] | None:
        """The writes in the final state; None if they are unknown or exactly those that it should hold."""
        if self._replay is None or self._replay.content is None:
            return None
        return frozenset(self._replay.content)

    @cached_property
    def perhaps_removed(self) -> frozenset[int]:
        """Of a set: the additions whose item a removal in doubt may have removed, and not gone with others before.

        If such removals account for all that the latest state lacks, it lacks nothing, whatever had gone before.
        """
        perhaps = self.writes.perhaps_removed({})
        if perhaps.union(self._latest).issuperset(self.writes.acknowledged):
            return perhaps
        lasting = [seen for seen in self.divergences if seen.divergence not in self.history.healed]
        return self.writes.perhaps_removed(
            {i: seen.divergence.issued for seen in reversed(lasting) if len(seen.vanished) > 1 for i in seen.vanished}
        )

    @cached_property
    def gone(self) -> frozenset[int]:
        """Acknowledged writes that are not in the final state, and should be, as far as it is known."""
        if self.present is None:
            return frozenset()
        return frozenset(self.writes.acknowledged) - self.present - self.perhaps_removed

    @property
    def is_overwritten(self) -> bool:
        """Whether the newest value is in a register: all older ones were overwritten, whether they were kept or not."""
        if self.history.model != RegisterModel.name or self.present is None:
            return False
        return not self.present.isdisjoint(self.writes.acknowledged[-1:])

    @property
    def is_removal_undone(self) -> bool:
        """Whether all that is missing is one removal that was seen: undone, or its item was added again."""
        if len(self.gone) != 1 or not self.gone <= self.writes.removals.keys():
            return False
        return any(
            max(self.gone) <= replayed.divergence.seen and (replayed.after is None or self.gone <= replayed.vanished)
            for replayed in self.divergences
        )

    @property
    def has_too_many_doubts(self) -> bool:
        """Whether more writes are in doubt than can be distinguished."""
        return len(self.writes.open) > MAX_DOUBTS

    @property
    def is_unknown(self) -> bool:
        """Whether too little is known to name what the session lacks."""
        is_unread = self.history.final is None and self.history.model != StatelessModel.name
        return is_unread or self.has_too_many_doubts

    @property
    def is_stale(self) -> bool:
        """Whether some reply lacked writes that came back later."""
        if self.history.stale or (self.is_overwritten and self.divergences):
            return True
        if self._replay is None:  # most sessions: nothing was ever lacking
            return False
        # A number and an item do not show which write is back, unless all are.
        is_vague = self.history.model in (CounterModel.name, SetModel.name)
        if self.history.final is None and is_vague and not self._is_whole:
            return False
        if self._is_whole and self._went_without_removal:
            return True
        # What a removal in doubt may have removed need not be there any more to be there again.
        later = self.perhaps_removed.union(self._latest)
        for replayed in reversed(self.divergences):
            if replayed.vanished & later:
                return True
            later |= frozenset(replayed.after or ())
        return False

    @property
    def _latest(self) -> Sequence[int]:
        """What the session holds as far as is known, whether a final read showed it or not."""
        return (self._replay and self._replay.latest) or ()

    @property
    def _is_whole(self) -> bool:
        """Whether the latest state lacks nothing."""
        if self.history.model == CounterModel.name:  # others may be there in place of those in doubt
            return len(self._latest) >= self.history.acknowledged + len(self.writes.recovered)
        return self.perhaps_removed.union(self._latest).issuperset(self.writes.acknowledged)

    @cached_property
    def duplicates(self) -> int:
        """The number of surplus applications: of each write the most that were seen at once."""
        counted = self.history.duplicated + self.writes.surplus
        if self._replay is None:
            return counted
        contents = [*(divergence.after or () for divergence in self.divergences), self._replay.content or ()]
        if self.history.model == CounterModel.name:  # it does not show which writes: of each state, how many
            return max(len(content) - len({*content} - {SURPLUS}) for content in contents) + counted
        most: Counter[int] = Counter()
        for content in contents:
            most |= Counter(content)
        return sum(times - 1 for times in most.values()) + counted

    @cached_property
    def recovered(self) -> frozenset[int]:
        """Writes in doubt that appeared."""
        shown = frozenset(recovery.i for recovery in self.writes.recovered)
        return (shown | (self.present or frozenset()) & self.writes.doubted) - self.writes.failed

    @cached_property
    def defects(self) -> frozenset[int]:
        """Writes that were certainly not applied, but are there."""
        shown = frozenset(recovery.i for recovery in self.writes.recovered)
        if self._replay is not None:
            states = [divergence.after or () for divergence in self.divergences] + [self._replay.content or ()]
            shown = shown.union(*states)
        return shown & self.writes.failed - self.writes.excused if shown else frozenset()

    @property
    def contradictions(self) -> int:
        """What no state can explain: defects, and acknowledged writes in a different order."""
        return len(self.defects) + (self.history.disordered > 0) + self.is_removal_undone

    @cached_property
    def unexplained(self) -> int:
        """Contradictions, and the writes by which states differ without a unique explanation."""
        count = self.contradictions + self.history.obscure + sum(map(self._count_unexplained, self.divergences))
        is_final_open = self.history.final is not None and self._replay is not None and self._replay.content is None
        is_final_open = is_final_open and not self.has_too_many_doubts
        # A state that later views returned from, and that is not a stale view either.
        is_passing_open = not self.is_stale and any(seen.anomaly is Anomaly.UNEXPLAINED for seen in self.history.healed)
        return count or int(is_final_open or is_passing_open)

    def _count_unexplained(self, replayed: ReplayedDivergence) -> int:
        divergence = replayed.divergence
        is_return = divergence.anomaly is Anomaly.STALE and self.history.divergences_dropped > 0
        is_loss = divergence.anomaly is Anomaly.LOST and self.has_too_many_doubts
        if replayed.before is None or replayed.after is not None or is_return or is_loss:
            return 0
        if self.has_too_many_doubts and divergence.anomaly is Anomaly.NONE:
            return 0
        difference = abs(divergence.state[0] - self.writes.sums(replayed.before)[0])
        return max(1, min(difference, MAX_SURPLUS))

    @property
    def fewest_lost(self) -> int:
        """The least number of acknowledged writes that are lost, by the count of the final state alone."""
        history = self.history
        if history.final is None or self._replay is None or history.weights or self.is_overwritten:
            return 0
        return max(0, history.acknowledged - max(0, history.final.state[0]))
