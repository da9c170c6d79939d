"""When each fault was recovered from: correct replies, compared with what was offered, as good as without any fault.

A reply is good if it is correct and came in time. The last stretch that falls short of 95 % of the usual share (see
``shortfall``) ends the recovery, and so does the last gap without any good reply that chance does not explain.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from harness.analysis.metrics.shortfall import CHANCE, UsualShare, find_last_shortfall
from harness.observations.faults import FaultRecord
from harness.observations.load_requests import Floats, LoadRequests, Mask

#: Service must have been good for this long (seconds) before the next fault, or the end, to count as recovered.
RECOVERED_FOR_S = 1.0
#: A correct reply is too late if it took longer than this, and longer than so many times what is usual.
LATE_S = 1.0
LATE_TIMES = 5.0
#: A gap between correct replies only counts if it is longer than this, and so many times as long as the longest usual.
GAP_S = 0.5
GAP_TIMES = 2.0

#: From its begin until before its end, in seconds from T0.
Span = tuple[float, float]


@dataclass(frozen=True)
class Replies:
    """The measured requests and the dropped arrivals, by when each ended; all arrays have the shape (requests,)."""

    end: Floats  # seconds from T0, ascending
    waited: Floats  # seconds from the intended start
    correct: Mask

    @classmethod
    def of(cls, load: LoadRequests, start: float, end: float) -> Self:
        """Those that were intended from ``start`` until before ``end``; a dropped arrival is never correct."""
        measured = (load.intended >= start) & (load.intended < end)
        dropped = (load.dropped_intended >= start) & (load.dropped_intended < end)
        intended = np.concatenate([load.intended[measured], load.dropped_intended[dropped]])
        ended = np.concatenate([load.end[measured], load.dropped_end[dropped]])
        correct = np.concatenate([load.correct[measured], np.zeros(int(dropped.sum()), dtype=bool)])
        order = np.argsort(ended, kind="stable")
        last = np.nextafter(end, start)  # what ends later still belongs to the measured time
        return cls(np.minimum(ended, last)[order], (ended - intended)[order], correct[order])

    def select(self, spans: Sequence[Span]) -> Mask:
        """Those that ended within one of these spans."""
        inside = np.zeros(len(self.end), dtype=bool)
        for begin, until in spans:
            inside |= (self.end >= begin) & (self.end < until)
        return inside


@dataclass(frozen=True)
class _Calm:
    """What is usual: measured in the spans without a fault, each from its begin until before its end (seconds)."""

    share: UsualShare
    late_s: float
    gap_s: float

    @classmethod
    def measure(cls, replies: Replies, spans: Sequence[Span]) -> Self:
        chosen = replies.select(spans)
        good = chosen & replies.correct
        length = sum(until - begin for begin, until in spans)
        waited = float(np.percentile(replies.waited[good], 99)) if good.any() else 0.0
        # Until the first of exponential gaps is so long: CHANCE = exp(-rate * gap).
        gap = math.log(1 / CHANCE) * length / good.sum() if good.any() else math.inf
        gaps = [np.diff(replies.end[replies.select([span]) & replies.correct]).max(initial=0.0) for span in spans]
        late_s = max(LATE_S, LATE_TIMES * waited)
        return cls(
            UsualShare.count(replies.correct[chosen]),
            late_s,
            max([GAP_S, gap, *(GAP_TIMES * longest for longest in gaps)]),
        )


@dataclass(frozen=True)
class FaultRecovery:
    """How long a fault was felt: seconds from its effect, 0 if never, None if until the end.

    ``calm`` are the spans before it that no fault disturbed, in seconds from T0.
    """

    seconds: float | None
    calm: tuple[Span, ...]


def time_recoveries(
    replies: Replies, faults: Sequence[FaultRecord], start: float, end: float
) -> Iterator[FaultRecovery]:
    """The recovery of each fault. ``start`` and ``end`` are the measured time in seconds from T0.

    Two faults of which the second strikes before the first is recovered from are recovered from together.
    """
    calm: list[Span] = []
    begin = start
    for index, fault in enumerate(faults):
        if fault.commanded > begin:
            calm.append((begin, fault.commanded))
        limits = [*(later.commanded for later in faults[index + 1 :]), end]
        recovery = FaultRecovery(_find_recovery(replies, fault, _Calm.measure(replies, calm), limits), tuple(calm))
        yield recovery
        onset = end if fault.onset is None else fault.onset
        over = end if recovery.seconds is None else onset + recovery.seconds
        begin = max(begin, over, fault.healed or onset)


def _find_recovery(replies: Replies, fault: FaultRecord, calm: _Calm, limits: Sequence[float]) -> float | None:
    """Seconds to the end of the last shortfall before one of ``limits``: the first that leaves enough time after it."""
    if fault.onset is None:
        return None
    for limit in limits:
        last = _find_end_of_shortfall(replies, calm, fault.onset, limit)
        if last == fault.onset or limit - last >= RECOVERED_FOR_S:
            return round(last - fault.onset, 4)
    return None


def _find_end_of_shortfall(replies: Replies, calm: _Calm, onset: float, limit: float) -> float:
    """When the last shortfall between two moments ended (seconds from T0): ``onset`` if there was none."""
    inside = replies.select([(onset, limit)])
    end, correct = replies.end[inside], replies.correct[inside]
    last = find_last_shortfall(correct & (replies.waited[inside] <= calm.late_s), calm.share)
    moments = np.concatenate([[onset], end[correct], [limit]])
    silence = np.flatnonzero(np.diff(moments) > calm.gap_s)
    ends = [onset, *moments[silence + 1], *([] if last is None else [end[last]])]
    return float(max(ends))
