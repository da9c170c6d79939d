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

from harness.common.errors import UsageError
from harness.observations.requests import Anomaly, Outcome
from harness.oracle.history import Boot, Divergence, Final, Note, Recovery, SessionHistory
from harness.oracle.models import NOTHING, TALLY, ModelFactory, Sum, tally
from harness.oracle.observed import Observed, Tally
from harness.oracle.operations import MASK, operation, token

MAX_DIVERGENCES = 32
MAX_KEPT = 64  # writes in doubt, recoveries, runs of failed writes
MAX_BOOTS = 16
MAX_NOTES = 8
_MAX_TRIES = 5000  # sums tried for one reply: 2^12 fit

_OK, _IN_DOUBT = Outcome.OK, Outcome.IN_DOUBT
_NONE = Anomaly.NONE


class Write(NamedTuple):
    """An issued write: its number, its token, what it adds, and the value for the model."""

    i: int
    token: int
    weight: Sum
    value: object = None


class UnexpectedRead(NamedTuple):
    """A reply that is not the expected one."""

    shown: Tally
    wrote: bool  # it acknowledged the newest write
    boot_before: str  # of the last acknowledged reply before it
    boot: str
    t_ns: int


class Ledger:
    """One writer's session. One request at a time: ``write`` (or nothing, for a read), the request, then ``settle``."""

    __slots__ = (
        "_acknowledged", "_birth", "_boot", "_boots", "_born", "_digest", "_disordered", "_doubts", "_dropped",
        "_duplicated", "_failed", "_final", "_forced", "_forgot", "_issued", "_last", "_leaked", "_model", "_n",
        "_notes", "_offset", "_op", "_recovered", "_retrying", "_seed", "_shifts", "_stale", "_weights", "_write",
        "owner", "room", "session", "writer",
    )  # fmt: skip

    def __init__(self, seed: int, session: int, writer: int, owner: str, model: ModelFactory = tally) -> None:
        if not callable(model):
            raise UsageError("a ledger makes a model of its own for each session", "pass models.items, not an instance")
        self.session, self.writer, self.owner = session, writer, owner
        self.room = ""  # whose messages are due to it
        self._seed = seed
        self._model = model()
        self._issued = self._acknowledged = 0
        self._op = self._last = 0  # the pending write's id; the newest one's
        self._write = Write(0, 0, NOTHING)  # the newest
        self._retrying = False
        self._n = self._digest = 0  # sum of all that was acknowledged
        self._offset = NOTHING
        self._birth = self._boot = ""
        self._born = 0  # acknowledged when this birth was first seen
        self._doubts: list[Write] = []
        self._recovered: list[tuple[Recovery, Write]] = []
        self._failed: list[tuple[int, int]] = []
        self._weights: list[tuple[int, int, int]] = []
        self._shifts: list[Divergence] = []
        self._dropped = self._stale = self._leaked = self._duplicated = self._disordered = self._forced = 0
        self._forgot = False
        self._notes: list[Note] = []
        self._boots: list[Boot] = []
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
            self._write = Write(i, mark, Sum(1, mark))
        else:
            self._weigh(i, mark, value)
        return op

    def settle(self, op: int, outcome: Outcome, observed: Tally | Observed | None, boot: str, t_ns: int) -> Anomaly:
        """Take the reply, or its absence, to the pending write ``op`` or to a read (0); say what was wrong with it.

        A write settled before as failed or in doubt may be settled again: the client has tried it once more.

        Raises:
            ValueError: ``op`` is neither pending nor one that may be tried again.
        """
        before, wrote, found = self._boot, False, _NONE
        if op:
            if op != self._op:
                self._reopen(op)
            self._op = 0
            if outcome == _OK:
                wrote = True
                self._acknowledge(t_ns, boot)
            else:
                self._not_acknowledged(outcome)
        if observed is None:
            return _NONE
        if isinstance(observed, Observed):
            observed, found = self._translated(observed, wrote)
        birth, owner, n, _, digest = observed
        off_n, off_digest = self._offset
        if (
            digest == self._digest + off_digest & MASK
            and n == self._n + off_n
            and birth == self._birth
            and owner == self.owner
        ):
            return found
        return max(found, self._examine(UnexpectedRead(observed, wrote, before, boot, t_ns)))

    def record_forced_login(self, t_ns: int, boot: str) -> Anomaly:
        """A live session was sent back to the login. A write that is pending was not applied."""
        if self._op:
            self.settle(self._op, Outcome.FAILED, None, boot, t_ns)
        self._forced += 1
        self._note(t_ns, Anomaly.FORCED_LOGIN, boot)
        return Anomaly.FORCED_LOGIN

    def record_final_read(self, outcome: Outcome, observed: Tally | Observed | None, boot: str, t_ns: int) -> Anomaly:
        """Take the sweep's final read. Without an observation of the session's own state it stays unknown."""
        anomaly = self.settle(0, outcome, observed, boot, t_ns)
        if observed is not None and anomaly is not Anomaly.LEAKED:
            self._final = Final(t_ns, self._birth, boot, self._sums().plus(self._offset))
        return anomaly

    def history(self) -> SessionHistory:
        """All that the judge needs, frozen."""
        return SessionHistory(
            seed=self._seed,
            session=self.session,
            writer=self.writer,
            owner=self.owner,
            room=self.room,
            model=self._model.name,
            issued=self._issued,
            acknowledged=self._acknowledged,
            failed=tuple(self._failed),
            in_doubt=tuple(write.i for write in self._doubts) + ((self._write.i,) if self._op else ()),
            recovered=tuple(recovery for recovery, _ in self._recovered),
            weights=tuple(self._weights),
            divergences=tuple(self._shifts),
            divergences_dropped=self._dropped,
            sums=Sum(self._n, self._digest),
            offset=self._offset,
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
        weight = self._model.weigh(mark, value)
        self._write = Write(i, mark, weight, value)
        if weight not in ((1, mark), (1, 0)):
            self._weights.append((i, *weight))

    def _acknowledge(self, t_ns: int, boot: str) -> None:
        write = self._write
        self._acknowledged += 1
        self._n += write.weight[0]
        self._digest = self._digest + write.weight[1] & MASK
        if boot != self._boot:
            self._boot = boot
            self._boots = [*self._boots[1 - MAX_BOOTS :], Boot(t_ns, boot, write.i)]
        if self._model is not TALLY:
            self._model.acknowledge(write.token, write.value, self._whole())

    def _not_acknowledged(self, outcome: Outcome) -> None:
        write = self._write
        if outcome == _IN_DOUBT or self._retrying:  # the first try of a retried write may still have been applied
            self._forgot |= len(self._doubts) >= MAX_KEPT
            self._doubts = [*self._doubts[1 - MAX_KEPT :], write]
            return
        if self._failed and self._failed[-1][1] == write.i - 1:
            self._failed[-1] = (self._failed[-1][0], write.i)
        else:
            self._forgot |= len(self._failed) >= MAX_KEPT
            self._failed = [*self._failed[1 - MAX_KEPT :], (write.i, write.i)]
        self._model.discard(write.token, write.value)

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
                self._offset = self._offset.minus(write.weight)
                return write
        return None

    def _note(self, t_ns: int, anomaly: Anomaly, boot: str) -> None:
        if len(self._notes) < MAX_NOTES:
            self._notes.append(Note(t_ns, anomaly, boot))

    # Other people's services

    def _translated(self, observed: Observed, wrote: bool) -> tuple[Tally, Anomaly]:
        """The tally that the model makes of it, and what is wrong with it that a tally does not show."""
        birth = self._birth if observed.birth is None else observed.birth
        owner = self.owner if observed.owner is None else observed.owner
        if self._is_foreign(owner):
            return Tally(birth, owner, 0, 0, 0), _NONE  # somebody else's: not to be measured
        if observed.state is None:
            state, anomaly = self._assumed(birth, wrote), _NONE
        else:
            state, anomaly = self._model.measure(observed.state, self._whole())
        self._disordered += anomaly is not _NONE
        return Tally(birth, owner, state.n, 0, state.digest), anomaly

    def _assumed(self, birth: str, wrote: bool) -> Sum:
        """The state where only the birth is shown: as it should be under that birth."""
        if birth == self._birth or not self._birth:
            return self._sums().plus(self._offset)
        for shift in reversed(self._shifts):
            if shift.birth_before == birth:
                return self._sums().plus(shift.offset)
        return self._write.weight if wrote else NOTHING

    def _whole(self) -> Sum:
        """The state with nothing missing: what it was before the present dip, and all acknowledged since."""
        offset = self._offset
        for shift in reversed(self._shifts):
            if shift.anomaly is not Anomaly.ROLLED_BACK:
                break
            offset = shift.offset
        return self._sums().plus(offset)

    # A reply that is not the expected one

    def _sums(self, before: UnexpectedRead | None = None) -> Sum:
        """The sum of all that was acknowledged; ``before`` a reply: without the write that it acknowledged."""
        sums = Sum(self._n, self._digest)
        return sums.minus(self._write.weight) if before is not None and before.wrote else sums

    def _is_foreign(self, owner: str) -> bool:
        return bool(self.owner and owner and owner != self.owner)

    def _examine(self, sight: UnexpectedRead) -> Anomaly:
        shown = sight.shown
        if self._is_foreign(shown.owner):
            self._leaked += 1
            self._note(sight.t_ns, Anomaly.LEAKED, sight.boot)
            return Anomaly.LEAKED
        self.owner = self.owner or shown.owner
        self._birth = self._birth or shown.birth
        offset = Sum(shown.count, shown.digest).minus(self._sums())
        if shown.birth == self._birth and self._recovers(self._offset, offset, self._doubts, sight.t_ns):
            self._offset = offset
            return _NONE
        returned = self._returned(sight, offset)
        if returned is not None:
            return returned
        return self._deviated(sight, offset) if shown.birth == self._birth else self._reborn(sight, offset)

    def _recovers(self, base: Sum, offset: Sum, doubts: Sequence[Write], t_ns: int) -> bool:
        """Whether nothing but writes in doubt makes the difference; they are recovered then."""
        appeared = appearing(doubts, offset.minus(base))
        if appeared is None:
            return False
        for write in appeared:
            if write in self._doubts:
                self._doubts.remove(write)
                self._forgot |= len(self._recovered) >= MAX_KEPT
                self._recovered = [*self._recovered[1 - MAX_KEPT :], (Recovery(t_ns, write.i), write)]
        return True

    def _returned(self, sight: UnexpectedRead, offset: Sum) -> Anomaly | None:
        """Whether a state left behind is back: with all acknowledged since (it was staleness), or as it was left."""
        for index in range(len(self._shifts) - 1, -1, -1):
            shift = self._shifts[index]
            if shift.birth_before != sight.shown.birth:
                continue
            doubts = self._doubts + [write for recovery, write in self._recovered if recovery.t_ns >= shift.t_ns]
            if self._recovers(shift.offset, offset, doubts, sight.t_ns):
                return self._heal(index, sight, offset)
            left = shift.offset.plus(shift.sums).minus(self._sums(sight))
            if self._recovers(left, offset, doubts, sight.t_ns):
                self._shift(Anomaly.STALE, sight, offset)
                self._born = shift.acknowledged - shift.under
                self._stale += 1
                return Anomaly.STALE
        return None

    def _heal(self, index: int, sight: UnexpectedRead, offset: Sum) -> Anomaly:
        """Forget the shifts from this one on: nothing is missing of what they seemed to take away."""
        healed = self._shifts[index:]
        del self._shifts[index:]
        switched = sight.shown.birth != self._birth
        self._birth, self._born, self._offset = sight.shown.birth, healed[0].acknowledged - healed[0].under, offset
        self._duplicated += sum(shift.anomaly is Anomaly.DUPLICATE for shift in healed)
        if any(shift.anomaly not in (_NONE, Anomaly.DUPLICATE) for shift in healed):
            self._stale += 1
            self._note(sight.t_ns, Anomaly.STALE, sight.boot)
        return Anomaly.STALE if switched else _NONE

    def _reborn(self, sight: UnexpectedRead, offset: Sum) -> Anomaly:
        """A birth not seen before: the state is a new one."""
        empty = NOTHING.minus(self._sums(sight))
        clean = self._recovers(empty, offset, self._doubts, sight.t_ns)
        lost = self._acknowledged - sight.wrote > self._born
        found = Anomaly.LOST if lost else _NONE if clean else Anomaly.UNEXPLAINED
        if lost or not clean or self._offset != empty:
            self._shift(found, sight, offset)
        else:
            self._take(sight, offset)
        return found

    def _deviated(self, sight: UnexpectedRead, offset: Sum) -> Anomaly:
        """The same birth with another state."""
        last = self._shifts[-1] if self._shifts else None
        written = self._acknowledged - sight.wrote
        if last is not None and last.anomaly is Anomaly.ROLLED_BACK and last.acknowledged == written:
            # nothing was written in the dip: it goes on, deeper or on its way back
            self._stale += offset.n > self._offset.n
            self._shifts.pop()
            self._offset = last.offset
        found = self._looks(sight, offset.n - self._offset.n)
        self._shift(found, sight, offset)
        return found

    def _looks(self, sight: UnexpectedRead, extra: int) -> Anomaly:
        """What a deviation looks like by the count alone, ``extra`` above the expected one."""
        shown = Sum(sight.shown.count, sight.shown.digest)
        nothing = shown.n == 0 or (sight.wrote and shown == self._write.weight)
        if nothing and self._sums(sight).plus(self._offset).n > 0 and self._acknowledged - sight.wrote > self._born:
            return Anomaly.LOST
        if extra < 0:
            return Anomaly.ROLLED_BACK
        if extra > len(self._doubts):
            return Anomaly.DUPLICATE
        return _NONE if comb(len(self._doubts), extra) > _MAX_TRIES else Anomaly.UNEXPLAINED

    def _shift(self, found: Anomaly, sight: UnexpectedRead, offset: Sum) -> None:
        """Leave the present state behind, and take the shown one."""
        acknowledged = self._acknowledged - sight.wrote
        shift = Divergence(
            t_ns=sight.t_ns,
            anomaly=found,
            issued=self._issued,
            wrote=sight.wrote,
            under=acknowledged - self._born,
            acknowledged=acknowledged,
            birth_before=self._birth,
            birth_after=sight.shown.birth,
            boot_before=sight.boot_before,
            boot_after=sight.boot,
            offset=self._offset,
            sums=self._sums(sight),
            state=Sum(sight.shown.count, sight.shown.digest),
        )
        self._dropped += len(self._shifts) >= MAX_DIVERGENCES
        self._shifts = [*self._shifts[1 - MAX_DIVERGENCES :], shift]
        self._take(sight, offset)

    def _take(self, sight: UnexpectedRead, offset: Sum) -> None:
        if sight.shown.birth != self._birth:
            self._birth, self._born = sight.shown.birth, self._acknowledged - sight.wrote
        self._offset = offset


def appearing(doubts: Sequence[Write], difference: Sum) -> tuple[Write, ...] | None:
    """The writes in doubt that together make the difference; None where none do, or too many would have to be tried."""
    if difference == NOTHING:
        return ()
    plain = all(write.weight.n == 1 for write in doubts)
    for size in (difference.n,) if plain else range(1, len(doubts) + 1):
        if not 0 < size <= len(doubts) or comb(len(doubts), size) > _MAX_TRIES:
            continue
        for some in combinations(doubts, size):
            if (
                sum(w.weight.n for w in some) == difference.n
                and sum(w.weight.digest for w in some) & MASK == difference.digest
            ):
                return some
    return None
