"""What a session's history amounts to: which writes are present, came back, or were applied too often."""

from collections.abc import Sequence, Set
from functools import cached_property

from harness.observations.requests import Anomaly
from harness.oracle.history import MAX_DOUBTS, SessionHistory
from harness.oracle.models import StatelessModel
from harness.oracle.replay import Replay, ReplayedDivergence, ReplayedWrites


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
        if history.divergences:
            return False
        return history.offset == (self.writes.sums([i for _, i in history.recovered]) if history.recovered else (0, 0))

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
        """Whether some reply lacked acknowledged writes that came back."""
        if self.history.stale:
            return True
        present = self.present
        absences = [divergence.vanished for divergence in self.divergences if divergence.vanished]
        return present is not None and any(vanished <= present for vanished in absences)

    @cached_property
    def duplicates(self) -> int:
        """The number of surplus applications."""
        extra = sum(divergence.repeated for divergence in self.divergences)
        if self._replay is not None and self._replay.explained_as_whole and self._replay.content is not None:
            extra = max(extra, len(self._replay.content) - len(set(self._replay.content)))
        return extra + self.history.duplicated

    @cached_property
    def recovered(self) -> frozenset[int]:
        """Writes in doubt that appeared."""
        shown = frozenset(i for _, i in self.history.recovered)
        return (shown | (self.present or frozenset()) & self.writes.doubted) - self.writes.refused

    @cached_property
    def defects(self) -> frozenset[int]:
        """Writes that were certainly not applied, but are there."""
        shown = frozenset(i for _, i in self.history.recovered)
        if self._replay is not None:
            states = [divergence.after or () for divergence in self.divergences] + [self._replay.content or ()]
            shown = shown.union(*states)
        return shown & self.writes.failed if shown else frozenset()

    @property
    def contradictions(self) -> int:
        """What no state can explain: defects, and acknowledged writes in a different order."""
        return len(self.defects) + (self.history.disordered > 0)

    @cached_property
    def unexplained(self) -> int:
        """Contradictions, and the writes by which states differ without a unique explanation."""
        if self._replay is None or self._replay.explained_as_whole:
            return self.contradictions
        count = self.contradictions + sum(map(self._count_unexplained, self.divergences))
        is_final_open = self.history.final is not None and self._replay.content is None
        return count or int(is_final_open and not self.has_too_many_doubts)

    def _count_unexplained(self, replayed: ReplayedDivergence) -> int:
        if replayed.before is None or replayed.after is not None:
            return 0
        divergence = replayed.divergence
        if self.has_too_many_doubts and divergence.anomaly is Anomaly.NONE:
            return 0
        return max(1, abs(divergence.state[0] - self.writes.sums(replayed.before)[0]))

    @property
    def fewest_lost(self) -> int:
        """The least number of acknowledged writes that are lost, by the count of the final state alone."""
        history = self.history
        if history.final is None or self._replay is None or history.weights:
            return 0
        return max(0, history.acknowledged - history.final.state[0])
