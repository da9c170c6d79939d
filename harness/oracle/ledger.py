"""The Ledger: what one client knows of its session while it runs, in constant memory and time a request.

The state expected of the service is the sum of all that was acknowledged, plus an **offset**: (0, 0) while nothing
is wrong; a write in doubt that appears adds itself to it, a lost one takes itself away, and a new birth takes away all
that came before. Acknowledged writes move the sum and leave the offset, so a reply is right when it equals the two
together: one comparison. Any other reply is looked at closely, once: it becomes a **shift** of the offset. The
offsets left behind are kept, so that a state that comes back is known for what it is, and the shift was staleness.
What a shift means is the judge's work, after the run (``harness.oracle.judge``).
"""

from collections.abc import Sequence
from itertools import combinations
from math import comb
from typing import NamedTuple

from harness.errors import UsageError
from harness.observations import Anomaly, Outcome
from harness.oracle.models import TALLY, ModelFactory, Sum, tally
from harness.oracle.observed import Observed, Tally
from harness.oracle.operations import MASK, operation, token
from harness.oracle.testimony import Final, Note, Recovery, Shift, Testimony

MOST_SHIFTS = 32
MOST_KEPT = 64  # writes in doubt, recoveries, runs of failed writes
MOST_BOOTS = 16
MOST_NOTES = 8
_MOST_TRIES = 5000  # sums tried for one reply: 2^12 fit

_OK, _IN_DOUBT = Outcome.OK, Outcome.IN_DOUBT
_NONE = Anomaly.NONE


class Write(NamedTuple):
    """An issued write: its number, its token and weight, and the value for the model."""

    i: int
    token: int
    count: int
    digest: int
    value: object = None


class Ledger:
    """One writer's session. One request at a time: ``write`` (or nothing, for a read), the request, then ``settle``."""

    __slots__ = (
        "_acknowledged", "_birth", "_boot", "_boots", "_born", "_count", "_digest", "_disordered", "_doubts", "_dropped",
        "_duplicated", "_failed", "_final", "_forced", "_forgot", "_issued", "_last", "_leaked", "_model", "_notes",
        "_off_count", "_off_digest", "_op", "_recovered", "_retrying", "_seed", "_shifts", "_stale", "_weights", "_write",
        "owner", "session", "writer",
    )  # fmt: skip

    def __init__(self, seed: int, session: int, writer: int, owner: str, model: ModelFactory = tally) -> None:
        if not callable(model):
            raise UsageError("a ledger makes a model of its own for each session", "pass models.items, not an instance")
        self.session, self.writer, self.owner = session, writer, owner
        self._seed = seed
        self._model = model()
        self._issued = self._acknowledged = 0
        self._op = self._last = 0  # the pending write's id; the newest one's
        self._write = Write(0, 0, 0, 0)  # the newest
        self._retrying = False
        self._count = self._digest = 0  # sum of all that was acknowledged
        self._off_count = self._off_digest = 0
        self._birth = self._boot = ""
        self._born = 0  # acknowledged when this birth was first seen
        self._doubts: list[Write] = []
        self._recovered: list[tuple[Recovery, Write]] = []
        self._failed: list[tuple[int, int]] = []
        self._weights: list[tuple[int, int, int]] = []
        self._shifts: list[Shift] = []
        self._dropped = self._stale = self._leaked = self._duplicated = self._disordered = self._forced = 0
        self._forgot = False
        self._notes: list[Note] = []
        self._boots: list[tuple[int, str]] = []
        self._final: Final | None = None

    @property
    def lost(self) -> bool:
        """Whether, by what is known now, the session's acknowledged state is gone."""
        return any(shift.anomaly is Anomaly.LOST for shift in self._shifts)

    def write(self, value: object = None) -> int:
        """Issue the next write's id. It is pending until ``settle``."""
        self._issued = i = self._issued + 1
        self._op = self._last = op = operation(self._seed, self.writer, i)
        mark = token(op)
        self._retrying = False
        if self._model is TALLY:
            self._write = Write(i, mark, 1, mark)
        else:
            self._weigh(i, mark, value)
        return op

    def settle(self, op: int, outcome: Outcome, observed: Tally | Observed | None, boot: str, t_ns: int) -> Anomaly:
        """Take the reply, or its absence, to the pending write ``op`` or to a read (0); say what was wrong with it.

        A write settled before as failed or in doubt may be settled again: the client has tried it once more.

        Raises:
            ValueError: ``op`` is neither pending nor one that may be tried again.
        """
        before = self._boot
        wrote = False
        if op:
            if op != self._op:
                self._reopen(op)
            self._op = 0
            if outcome == _OK:
                wrote = True
                write = self._write
                self._acknowledged += 1
                self._count += write.count
                self._digest = self._digest + write.digest & MASK
                if boot != before:
                    self._note_boot(t_ns, boot)
                if self._model is not TALLY:
                    self._model.acknowledged(write.token, write.value, self._whole())
            else:
                self._not_acknowledged(outcome)
        if observed is None:
            return _NONE
        if isinstance(observed, Observed):
            return self._settle_translated(observed, wrote, before, boot, t_ns)
        birth, owner, count, _, digest = observed
        if (
            digest == self._digest + self._off_digest & MASK
            and count == self._count + self._off_count
            and birth == self._birth
            and owner == self.owner
        ):
            return _NONE
        return self._examine(observed, wrote, before, boot, t_ns)

    def forced_login(self, t_ns: int, boot: str) -> Anomaly:
        """A live session was sent back to the login. A write that is pending was not applied."""
        if self._op:
            self.settle(self._op, Outcome.FAILED, None, boot, t_ns)
        self._forced += 1
        self._note(t_ns, Anomaly.FORCED_LOGIN, boot)
        return Anomaly.FORCED_LOGIN

    def final(self, outcome: Outcome, observed: Tally | Observed | None, boot: str, t_ns: int) -> Anomaly:
        """Take the sweep's final read. Without an observation of the session's own state it stays unknown."""
        anomaly = self.settle(0, outcome, observed, boot, t_ns)
        if observed is not None and anomaly is not Anomaly.LEAKED:
            self._final = Final(t_ns, self._birth, boot, self._expected())
        return anomaly

    def testimony(self) -> Testimony:
        """All that the judge needs, frozen."""
        return Testimony(
            seed=self._seed,
            session=self.session,
            writer=self.writer,
            owner=self.owner,
            model=self._model.name,
            issued=self._issued,
            acknowledged=self._acknowledged,
            failed=tuple(self._failed),
            in_doubt=tuple(write.i for write in self._doubts) + ((self._write.i,) if self._op else ()),
            recovered=tuple(recovery for recovery, _ in self._recovered),
            weights=tuple(self._weights),
            shifts=tuple(self._shifts),
            shifts_dropped=self._dropped,
            sums=(self._count, self._digest),
            offset=(self._off_count, self._off_digest),
            stale=self._stale,
            leaked=self._leaked,
            duplicated=self._duplicated,
            disordered=self._disordered,
            forced_logins=self._forced,
            forgot=self._forgot,
            notes=tuple(self._notes),
            acked_boots=tuple(self._boots),
            final=self._final,
        )

    # Writes

    def _weigh(self, i: int, mark: int, value: object) -> None:
        count, digest = self._model.weigh(mark, value)
        self._write = Write(i, mark, count, digest, value)
        if (count, digest) != (1, mark) and self._model.name != "counter":
            self._weights.append((i, count, digest))

    def _not_acknowledged(self, outcome: Outcome) -> None:
        write = self._write
        if outcome == _IN_DOUBT or self._retrying:  # the first try of a retried write may still have been applied
            self._forgot |= len(self._doubts) >= MOST_KEPT
            self._doubts = [*self._doubts[1 - MOST_KEPT :], write]
            return
        if self._failed and self._failed[-1][1] == write.i - 1:
            self._failed[-1] = (self._failed[-1][0], write.i)
        else:
            self._forgot |= len(self._failed) >= MOST_KEPT
            self._failed = [*self._failed[1 - MOST_KEPT :], (write.i, write.i)]
        self._model.failed(write.token, write.value)

    def _reopen(self, op: int) -> None:
        """Make a write pending again that is to be settled once more."""
        if self._op:
            raise ValueError(f"the write {self._op:016x} is pending, not {op:016x}")
        write = self._tried(op)
        if write is not None:
            self._write, self._retrying = write, True
        elif op == self._last and self._failed and self._failed[-1][1] == self._issued:
            first, last = self._failed.pop()
            if first < last:
                self._failed.append((first, last - 1))
            self._model.weigh(self._write.token, self._write.value)
        else:
            raise ValueError(f"the write {op:016x} is not pending")

    def _tried(self, op: int) -> Write | None:
        """The write in doubt, or recovered, of this id; it is neither any more."""
        for write in self._doubts:
            if operation(self._seed, self.writer, write.i) == op:
                self._doubts.remove(write)
                return write
        for recovered in self._recovered:
            write = recovered[1]
            if operation(self._seed, self.writer, write.i) == op:
                self._recovered.remove(recovered)
                self._off_count -= write.count
                self._off_digest = self._off_digest - write.digest & MASK
                return write
        return None

    def _note_boot(self, t_ns: int, boot: str) -> None:
        self._boot = boot
        self._boots = [*self._boots[1 - MOST_BOOTS :], (t_ns, boot)]

    def _note(self, t_ns: int, anomaly: Anomaly, boot: str) -> None:
        if len(self._notes) < MOST_NOTES:
            self._notes.append(Note(t_ns, anomaly, boot))

    # Other people's services

    def _settle_translated(self, observed: Observed, wrote: bool, before: str, boot: str, t_ns: int) -> Anomaly:
        birth = self._birth if observed.birth is None else observed.birth
        owner = self.owner if observed.owner is None else observed.owner
        anomaly = _NONE
        if self.owner and owner and owner != self.owner:
            state = Sum(0, 0)  # somebody else's: not to be measured
        elif observed.state is None:
            state = self._assumed(birth, wrote)
        else:
            state, anomaly = self._model.measure(observed.state, self._whole())
        if anomaly is not _NONE:
            self._disordered += 1
        found = self._examine(Tally(birth, owner, state.count, 0, state.digest), wrote, before, boot, t_ns)
        return max(found, anomaly)

    def _assumed(self, birth: str, wrote: bool) -> Sum:
        """The state where only the birth is shown: as it should be under that birth."""
        if birth == self._birth or not self._birth:
            return Sum(*self._expected())
        for shift in reversed(self._shifts):
            if shift.birth_before == birth:
                return Sum(self._count, self._digest).plus(Sum(*shift.offset))
        return Sum(self._write.count, self._write.digest) if wrote else Sum(0, 0)

    def _whole(self) -> Sum:
        """The state with nothing missing: what it was before the present dip, and all acknowledged since."""
        offset = (self._off_count, self._off_digest)
        for shift in reversed(self._shifts):
            if shift.anomaly is not Anomaly.ROLLED_BACK:
                break
            offset = shift.offset
        return Sum(self._count, self._digest).plus(Sum(*offset))

    # A reply that is not the expected one

    def _expected(self) -> tuple[int, int]:
        return self._count + self._off_count, self._digest + self._off_digest & MASK

    def _examine(self, shown: Tally, wrote: bool, before: str, boot: str, t_ns: int) -> Anomaly:
        if shown.owner != self.owner and shown.owner:
            if self.owner:
                self._leaked += 1
                self._note(t_ns, Anomaly.LEAKED, boot)
                return Anomaly.LEAKED
            self.owner = shown.owner
        if not self._birth:
            self._birth = shown.birth
        offset = (shown.count - self._count, shown.digest - self._digest & MASK)
        if shown.birth == self._birth and self._fits((self._off_count, self._off_digest), offset, self._doubts, t_ns):
            return _NONE
        returned = self._returned(shown, offset, wrote, before, boot, t_ns)
        if returned is not None:
            return returned
        if shown.birth != self._birth:
            return self._reborn(shown, offset, wrote, before, boot, t_ns)
        return self._deviated(shown, offset, wrote, before, boot, t_ns)

    def _fits(self, base: tuple[int, int], offset: tuple[int, int], doubts: Sequence[Write], t_ns: int) -> bool:
        """Whether writes in doubt make up the difference; they are then recovered, and the offset is taken over."""
        appeared = appearing(doubts, offset[0] - base[0], offset[1] - base[1] & MASK)
        if appeared is None:
            return False
        for write in appeared:
            if write in self._doubts:
                self._doubts.remove(write)
                self._forgot |= len(self._recovered) >= MOST_KEPT
                self._recovered = [*self._recovered[1 - MOST_KEPT :], (Recovery(t_ns, write.i), write)]
        self._off_count, self._off_digest = offset
        return True

    def _returned(
        self, shown: Tally, offset: tuple[int, int], wrote: bool, before: str, boot: str, t_ns: int
    ) -> Anomaly | None:
        """Whether a state left behind is back: with all acknowledged since (it was staleness), or as it was left."""
        sums = self._sums_before(wrote)
        for index in range(len(self._shifts) - 1, -1, -1):
            shift = self._shifts[index]
            if shift.birth_before != shown.birth:
                continue
            doubts = self._doubts + [write for recovery, write in self._recovered if recovery.t_ns >= shift.t_ns]
            if self._fits(shift.offset, offset, doubts, t_ns):
                return self._heal(index, shown.birth, t_ns, boot)
            left = Sum(*shift.offset).plus(Sum(*shift.sums)).minus(Sum(*sums))
            old = (self._off_count, self._off_digest)
            if self._fits(left, offset, doubts, t_ns):
                self._off_count, self._off_digest = old
                self._shift(Anomaly.STALE, shown, offset, wrote, before, boot, t_ns)
                self._born = shift.acknowledged - shift.under
                self._stale += 1
                return Anomaly.STALE
        return None

    def _heal(self, index: int, birth: str, t_ns: int, boot: str) -> Anomaly:
        """Forget the shifts from this one on: nothing is missing of what they seemed to take away."""
        self._duplicated += sum(shift.anomaly is Anomaly.DUPLICATE for shift in self._shifts[index:])
        switched = birth != self._birth
        if switched:
            self._birth, self._born = birth, self._shifts[index].acknowledged - self._shifts[index].under
        dipped = any(shift.anomaly not in (_NONE, Anomaly.DUPLICATE) for shift in self._shifts[index:])
        self._shifts = self._shifts[:index]
        if dipped:
            self._stale += 1
            self._note(t_ns, Anomaly.STALE, boot)
        return Anomaly.STALE if switched else _NONE

    def _reborn(self, shown: Tally, offset: tuple[int, int], wrote: bool, before: str, boot: str, t_ns: int) -> Anomaly:
        """A birth not seen before: the state is a new one."""
        sums = self._sums_before(wrote)
        empty = (-sums[0], -sums[1] & MASK)
        old = (self._off_count, self._off_digest)
        fits = self._fits(empty, offset, self._doubts, t_ns)
        self._off_count, self._off_digest = old
        lost = self._acknowledged - wrote > self._born
        if lost or not fits or old != empty:
            found = Anomaly.LOST if lost else _NONE if fits else Anomaly.UNEXPLAINED
            self._shift(found, shown, offset, wrote, before, boot, t_ns)
            return found
        self._take(shown.birth, offset, wrote)
        return _NONE

    def _deviated(
        self, shown: Tally, offset: tuple[int, int], wrote: bool, before: str, boot: str, t_ns: int
    ) -> Anomaly:
        """The same birth with another state: what it looks like now, by the count alone."""
        last = self._shifts[-1] if self._shifts else None
        if last is not None and last.anomaly is Anomaly.ROLLED_BACK and last.acknowledged == self._acknowledged - wrote:
            # nothing was written in the dip: it goes on, deeper or on its way back
            self._stale += offset[0] > self._off_count
            self._shifts.pop()
            self._off_count, self._off_digest = last.offset
        found = self._looks(shown, offset[0], wrote)
        self._shift(found, shown, offset, wrote, before, boot, t_ns)
        return found

    def _looks(self, shown: Tally, off_count: int, wrote: bool) -> Anomaly:
        count_before = self._count + self._off_count - (self._write.count if wrote else 0)
        nothing = shown.count == 0 or (wrote and (shown.count, shown.digest) == self._write[2:4])
        if nothing and count_before > 0 and self._acknowledged - wrote > self._born:
            return Anomaly.LOST
        if off_count < self._off_count:
            return Anomaly.ROLLED_BACK
        extra = off_count - self._off_count
        if extra > len(self._doubts):
            return Anomaly.DUPLICATE
        return _NONE if comb(len(self._doubts), extra) > _MOST_TRIES else Anomaly.UNEXPLAINED

    def _shift(
        self, found: Anomaly, shown: Tally, offset: tuple[int, int], wrote: bool, before: str, boot: str, t_ns: int
    ) -> None:
        """Leave the present state behind, and take the shown one."""
        acknowledged = self._acknowledged - wrote
        self._shifts.append(
            Shift(
                t_ns=t_ns,
                anomaly=found,
                issued=self._issued,
                wrote=wrote,
                under=acknowledged - self._born,
                acknowledged=acknowledged,
                birth_before=self._birth,
                birth_after=shown.birth,
                boot_before=before,
                boot_after=boot,
                offset=(self._off_count, self._off_digest),
                sums=self._sums_before(wrote),
                state=(shown.count, shown.digest),
            )
        )
        if len(self._shifts) > MOST_SHIFTS:
            del self._shifts[0]
            self._dropped += 1
        self._take(shown.birth, offset, wrote)

    def _take(self, birth: str, offset: tuple[int, int], wrote: bool) -> None:
        if birth != self._birth:
            self._birth, self._born = birth, self._acknowledged - wrote
        self._off_count, self._off_digest = offset

    def _sums_before(self, wrote: bool) -> tuple[int, int]:
        if not wrote:
            return self._count, self._digest
        return self._count - self._write.count, self._digest - self._write.digest & MASK


def appearing(doubts: Sequence[Write], count: int, digest: int) -> tuple[Write, ...] | None:
    """The writes in doubt that together make up a difference; None where none do, or too many sums would have to be tried."""
    if (count, digest) == (0, 0):
        return ()
    plain = all(write.count == 1 for write in doubts)
    for size in (count,) if plain else range(1, len(doubts) + 1):
        if not 0 < size <= len(doubts) or comb(len(doubts), size) > _MOST_TRIES:
            continue
        for some in combinations(doubts, size):
            if sum(w.count for w in some) == count and sum(w.digest for w in some) & MASK == digest:
                return some
    return None
