"""The ledger: what one client knows of its session while it runs, in constant memory and time per request.

The expected state of the service is the sum of all acknowledged writes, plus an **offset**. The offset is (0, 0) as
long as nothing is wrong. A write in doubt that appears is added to it, a lost write is subtracted, and a new birth
subtracts everything before it. Acknowledged writes change the sum but not the offset, so one comparison with the total
of the two shows whether a reply is right. Any other reply is examined once and becomes a **divergence**, with a new
offset. Earlier offsets are kept, so that a state that comes back is recognised: the replies in between were stale.

The judge (``harness.oracle.judge``) works out after the run what a divergence means.
"""

from collections.abc import Sequence
from math import comb
from typing import NamedTuple

from harness.common.errors import UsageError
from harness.observations.requests import Anomaly, Outcome
from harness.oracle.history import Boot, Divergence, Final, Note, Recovery, SessionHistory
from harness.oracle.models import NOTHING, TALLY, ModelFactory, Sum, tally
from harness.oracle.observed import Observed, Tally
from harness.oracle.operations import MASK, operation, token
from harness.oracle.writes import MAX_TRIES, Write, find_appeared

MAX_DIVERGENCES = 32
MAX_KEPT = 64  # writes in doubt, recoveries, runs of failed writes
MAX_BOOTS = 16
MAX_NOTES = 8

_OK, _IN_DOUBT = Outcome.OK, Outcome.IN_DOUBT
_NONE = Anomaly.NONE


class UnexpectedRead(NamedTuple):
    """A reply whose state is not the expected one."""

    shown: Tally
    wrote: bool  # it acknowledged the newest write
    boot_before: str  # of the last acknowledged reply before it
    boot: str
    t_ns: int


class Ledger:
    """One writer's session, one request at a time: ``write`` (or nothing, for a read), the request, then ``settle``."""

    __slots__ = (
        "_acknowledged", "_birth", "_boot", "_boots", "_born", "_count", "_digest", "_disordered", "_divergences",
        "_divergences_dropped", "_doubts", "_duplicated", "_failed", "_final", "_forced_logins", "_forgot", "_issued",
        "_last", "_leaked", "_model", "_notes", "_offset", "_op", "_recovered", "_retrying", "_seed", "_stale",
        "_weights", "_write", "owner", "room", "session", "writer",
    )  # fmt: skip

    def __init__(self, seed: int, session: int, writer: int, owner: str, model: ModelFactory = tally) -> None:
        if not callable(model):
            raise UsageError("each session needs a model of its own", "pass models.items, not an instance")
        self.session, self.writer, self.owner = session, writer, owner
        self.room = ""  # the room whose messages are due to it
        self._seed = seed
        self._model = model()
        self._issued = self._acknowledged = 0
        self._op = self._last = 0  # ids of the pending and the newest write
        self._write = Write(0, 0, NOTHING)  # the newest write, or the one pending again
        self._retrying = False
        self._count = self._digest = 0  # the sum of all acknowledged writes
        self._offset = NOTHING
        self._birth = self._boot = ""
        self._born = 0  # the number acknowledged when this birth was first seen
        self._doubts: list[Write] = []
        self._recovered: list[tuple[Recovery, Write]] = []
        self._failed: list[tuple[int, int]] = []
        self._weights: list[tuple[int, int, int]] = []
        self._divergences: list[Divergence] = []
        self._stale = self._leaked = self._duplicated = self._disordered = 0
        self._divergences_dropped = self._forced_logins = 0
        self._forgot = False
        self._notes: list[Note] = []
        self._boots: list[Boot] = []
        self._final: Final | None = None

    @property
    def lost(self) -> bool:
        """Whether, as far as is known now, the session's acknowledged state is gone."""
        return any(divergence.anomaly is Anomaly.LOST for divergence in self._divergences)

    def write(self, value: object = None) -> int:
        """Issue the next write and return its id. It is pending until ``settle``."""
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
        """Record the reply, or its absence, for the pending write ``op`` or for a read (0); return its anomaly.

        A write settled earlier as failed or in doubt may be settled again, after the client has retried it.

        Raises:
            ValueError: ``op`` is neither pending nor a write that may be retried.
        """
        boot_before, wrote, anomaly = self._boot, False, _NONE
        if op:
            if op != self._op:
                self._reopen(op)
            self._op = 0
            if outcome == _OK:
                wrote = True
                self._acknowledge(t_ns, boot)
            else:
                self._record_failure(outcome)
        if observed is None:
            return _NONE
        if isinstance(observed, Observed):
            observed, anomaly = self._translate(observed, wrote)
        birth, owner, count, _, digest = observed
        off_count, off_digest = self._offset
        if (
            digest == self._digest + off_digest & MASK
            and count == self._count + off_count
            and birth == self._birth
            and owner == self.owner
        ):
            return anomaly
        return max(anomaly, self._examine(UnexpectedRead(observed, wrote, boot_before, boot, t_ns)))

    def record_forced_login(self, t_ns: int, boot: str) -> Anomaly:
        """Record that a live session was sent back to the login. A pending write was not applied."""
        if self._op:
            self.settle(self._op, Outcome.FAILED, None, boot, t_ns)
        self._forced_logins += 1
        self._add_note(t_ns, Anomaly.FORCED_LOGIN, boot)
        return Anomaly.FORCED_LOGIN

    def record_final_read(self, outcome: Outcome, observed: Tally | Observed | None, boot: str, t_ns: int) -> Anomaly:
        """Record the final read of the sweep. Without an observation of its own state the session stays unknown."""
        anomaly = self.settle(0, outcome, observed, boot, t_ns)
        if observed is not None and anomaly is not Anomaly.LEAKED:
            self._final = Final(t_ns, self._birth, boot, self._sum_acknowledged().plus(self._offset))
        return anomaly

    def history(self) -> SessionHistory:
        """The frozen history: all that the judge needs."""
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
            divergences=tuple(self._divergences),
            divergences_dropped=self._divergences_dropped,
            sums=Sum(self._count, self._digest),
            offset=self._offset,
            stale=self._stale,
            leaked=self._leaked,
            duplicated=self._duplicated,
            disordered=self._disordered,
            forced_logins=self._forced_logins,
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
        self._count += write.weight[0]
        self._digest = self._digest + write.weight[1] & MASK
        if boot != self._boot:
            self._boot = boot
            self._boots = [*self._boots[1 - MAX_BOOTS :], Boot(t_ns, boot, write.i)]
        if self._model is not TALLY:
            self._model.acknowledge(write.token, write.value, self._whole_state())

    def _record_failure(self, outcome: Outcome) -> None:
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
        """Make a settled write pending again, because the client retries it."""
        if self._op:
            raise ValueError(f"the write {self._op:016x} is pending, not {op:016x}")
        write = self._take_back(op)
        if write is not None:
            self._write, self._retrying = write, True
        elif op == self._last and self._failed and self._failed[-1][1] == self._issued:
            first, last = self._failed.pop()
            if first < last:
                self._failed.append((first, last - 1))
            self._model.weigh(self._write.token, self._write.value)
        else:
            raise ValueError(f"the write {op:016x} is not pending")

    def _take_back(self, op: int) -> Write | None:
        """Remove the write with this id from those in doubt or recovered, and return it."""
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

    def _add_note(self, t_ns: int, anomaly: Anomaly, boot: str) -> None:
        if len(self._notes) < MAX_NOTES:
            self._notes.append(Note(t_ns, anomaly, boot))

    # User-supplied services

    def _translate(self, observed: Observed, wrote: bool) -> tuple[Tally, Anomaly]:
        """The model's tally of a state, and anything wrong with it that a tally does not show."""
        birth = self._birth if observed.birth is None else observed.birth
        owner = self.owner if observed.owner is None else observed.owner
        if self._is_foreign(owner):
            return Tally(birth, owner, 0, 0, 0), _NONE  # another owner's state: the model cannot measure it
        if observed.state is None:
            state, anomaly = self._assume_state(birth, wrote), _NONE
        else:
            state, anomaly = self._model.measure(observed.state, self._whole_state())
        self._disordered += anomaly is not _NONE
        return Tally(birth, owner, state.n, 0, state.digest), anomaly

    def _assume_state(self, birth: str, wrote: bool) -> Sum:
        """The state of a reply that shows only the birth: the one expected under that birth."""
        if birth == self._birth or not self._birth:
            return self._sum_acknowledged().plus(self._offset)
        for divergence in reversed(self._divergences):
            if divergence.birth_before == birth:
                return self._sum_acknowledged().plus(divergence.offset)
        return self._write.weight if wrote else NOTHING

    def _whole_state(self) -> Sum:
        """The state with nothing missing: the one before the present rollback, plus all writes acknowledged since."""
        offset = self._offset
        for divergence in reversed(self._divergences):
            if divergence.anomaly is not Anomaly.ROLLED_BACK:
                break
            offset = divergence.offset
        return self._sum_acknowledged().plus(offset)

    # A reply with an unexpected state

    def _sum_acknowledged(self, before: UnexpectedRead | None = None) -> Sum:
        """The sum of all acknowledged writes; with ``before``, without the write that this reply acknowledged."""
        sums = Sum(self._count, self._digest)
        return sums.minus(self._write.weight) if before is not None and before.wrote else sums

    def _is_foreign(self, owner: str) -> bool:
        return bool(self.owner and owner and owner != self.owner)

    def _examine(self, read: UnexpectedRead) -> Anomaly:
        shown = read.shown
        if self._is_foreign(shown.owner):
            self._leaked += 1
            self._add_note(read.t_ns, Anomaly.LEAKED, read.boot)
            return Anomaly.LEAKED
        self.owner = self.owner or shown.owner
        self._birth = self._birth or shown.birth
        offset = Sum(shown.count, shown.digest).minus(self._sum_acknowledged())
        if shown.birth == self._birth and self._recover(self._offset, offset, self._doubts, read.t_ns):
            self._offset = offset
            return _NONE
        returned = self._recognize_return(read, offset)
        if returned is not None:
            return returned
        if shown.birth == self._birth:
            return self._accept_deviation(read, offset)
        return self._accept_new_birth(read, offset)

    def _recover(self, base: Sum, offset: Sum, doubts: Sequence[Write], t_ns: int) -> bool:
        """Whether writes in doubt alone explain the difference. If so, they are recovered."""
        appeared = find_appeared(doubts, offset.minus(base))
        if appeared is None:
            return False
        for write in appeared:
            if write in self._doubts:
                self._doubts.remove(write)
                self._forgot |= len(self._recovered) >= MAX_KEPT
                self._recovered = [*self._recovered[1 - MAX_KEPT :], (Recovery(t_ns, write.i), write)]
        return True

    def _recognize_return(self, read: UnexpectedRead, offset: Sum) -> Anomaly | None:
        """Check whether an earlier state is back: with all acknowledged since (it was stale), or as it was left."""
        for index in range(len(self._divergences) - 1, -1, -1):
            divergence = self._divergences[index]
            if divergence.birth_before != read.shown.birth:
                continue
            doubts = self._doubts + [write for recovery, write in self._recovered if recovery.t_ns >= divergence.t_ns]
            if self._recover(divergence.offset, offset, doubts, read.t_ns):
                return self._forget_divergences(index, read, offset)
            left = divergence.offset.plus(divergence.sums).minus(self._sum_acknowledged(read))
            if self._recover(left, offset, doubts, read.t_ns):
                self._diverge(Anomaly.STALE, read, offset)
                self._born = divergence.acknowledged - divergence.under
                self._stale += 1
                return Anomaly.STALE
        return None

    def _forget_divergences(self, index: int, read: UnexpectedRead, offset: Sum) -> Anomaly:
        """Forget the divergences from this one on: everything that they lacked is back."""
        healed = self._divergences[index:]
        del self._divergences[index:]
        switched = read.shown.birth != self._birth
        self._birth, self._born, self._offset = read.shown.birth, healed[0].acknowledged - healed[0].under, offset
        self._duplicated += sum(divergence.anomaly is Anomaly.DUPLICATE for divergence in healed)
        if any(divergence.anomaly not in (_NONE, Anomaly.DUPLICATE) for divergence in healed):
            self._stale += 1
            self._add_note(read.t_ns, Anomaly.STALE, read.boot)
        return Anomaly.STALE if switched else _NONE

    def _accept_new_birth(self, read: UnexpectedRead, offset: Sum) -> Anomaly:
        """Accept a state with a birth not seen before."""
        empty = NOTHING.minus(self._sum_acknowledged(read))
        clean = self._recover(empty, offset, self._doubts, read.t_ns)
        lost = self._acknowledged - read.wrote > self._born
        anomaly = Anomaly.LOST if lost else _NONE if clean else Anomaly.UNEXPLAINED
        if lost or not clean or self._offset != empty:
            self._diverge(anomaly, read, offset)
        else:
            self._accept(read, offset)
        return anomaly

    def _accept_deviation(self, read: UnexpectedRead, offset: Sum) -> Anomaly:
        """Accept another state of the same birth."""
        last = self._divergences[-1] if self._divergences else None
        written = self._acknowledged - read.wrote
        if last is not None and last.anomaly is Anomaly.ROLLED_BACK and last.acknowledged == written:
            # nothing was written since the rollback: this reply continues it, further back or on the way forward again
            self._stale += offset.n > self._offset.n
            self._divergences.pop()
            self._offset = last.offset
        anomaly = self._classify_by_count(read, offset.n - self._offset.n)
        self._diverge(anomaly, read, offset)
        return anomaly

    def _classify_by_count(self, read: UnexpectedRead, extra: int) -> Anomaly:
        """Classify a deviation by its count alone, which is ``extra`` above the expected count."""
        shown = Sum(read.shown.count, read.shown.digest)
        is_empty = shown.n == 0 or (read.wrote and shown == self._write.weight)
        was_empty = self._sum_acknowledged(read).plus(self._offset).n <= 0
        if is_empty and not was_empty and self._acknowledged - read.wrote > self._born:
            return Anomaly.LOST
        if extra < 0:
            return Anomaly.ROLLED_BACK
        if extra > len(self._doubts):
            return Anomaly.DUPLICATE
        return _NONE if comb(len(self._doubts), extra) > MAX_TRIES else Anomaly.UNEXPLAINED

    def _diverge(self, anomaly: Anomaly, read: UnexpectedRead, offset: Sum) -> None:
        """Leave the present state behind, and accept the one in the reply."""
        acknowledged = self._acknowledged - read.wrote
        divergence = Divergence(
            t_ns=read.t_ns,
            anomaly=anomaly,
            issued=self._issued,
            wrote=read.wrote,
            under=acknowledged - self._born,
            acknowledged=acknowledged,
            birth_before=self._birth,
            birth_after=read.shown.birth,
            boot_before=read.boot_before,
            boot_after=read.boot,
            offset=self._offset,
            sums=self._sum_acknowledged(read),
            state=Sum(read.shown.count, read.shown.digest),
        )
        self._divergences_dropped += len(self._divergences) >= MAX_DIVERGENCES
        self._divergences = [*self._divergences[1 - MAX_DIVERGENCES :], divergence]
        self._accept(read, offset)

    def _accept(self, read: UnexpectedRead, offset: Sum) -> None:
        if read.shown.birth != self._birth:
            self._birth, self._born = read.shown.birth, self._acknowledged - read.wrote
        self._offset = offset
