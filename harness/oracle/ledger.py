"""The ledger: what one client knows of its session while it runs, in constant memory and time per request.

The expected state of the service is the sum of all acknowledged writes, plus an **offset**. The offset is (0, 0) as
long as nothing is wrong. A write in doubt that appears is added to it, a lost write is subtracted, and a new birth
subtracts everything before it. Acknowledged writes change the sum but not the offset, so one comparison with the total
of the two shows whether a reply is right. Any other reply is examined once and becomes a **divergence**, with a new
offset. Earlier offsets are kept, so that a state that comes back is recognised: the replies in between were stale.

The judge (``harness.oracle.judge``) works out after the run what a divergence means.
"""

from collections.abc import Hashable, Iterable, Sequence
from itertools import chain
from math import comb
from typing import NamedTuple, TypeVar

from harness.common.errors import UsageError
from harness.observations.identity import MAX_CHANGES, IdentityChange, UnreadFinal
from harness.observations.requests import Anomaly, Outcome
from harness.oracle.history import MAX_SURPLUS, Boot, Divergence, Final, Note, Recovery, SessionHistory
from harness.oracle.models import (
    NOTHING,
    TALLY,
    Applied,
    CounterModel,
    LogModel,
    ModelFactory,
    Parts,
    RegisterModel,
    SetModel,
    Sum,
    add_up,
    tally,
)
from harness.oracle.observed import NO_STATE, Observed, Tally
from harness.oracle.operations import MASK, operation, token
from harness.oracle.writes import MAX_TRIES, Write, find_appeared

MAX_DIVERGENCES = 32
MAX_KEPT = 64  # writes in doubt, recoveries, runs of failed writes
MAX_BOOTS = 16
MAX_NOTES = 8

_Kept = TypeVar("_Kept")
_OK, _IN_DOUBT = Outcome.OK, Outcome.IN_DOUBT
_NONE = Anomaly.NONE
#: The state in the reply lacked something that should have been in it.
_LACKING = (Anomaly.STALE, Anomaly.ROLLED_BACK, Anomaly.LOST)
_OF_VALUES = (SetModel.name, LogModel.name)
_DISTINGUISHED = (TALLY.name, LogModel.name)  # the models whose writes each add one, with their own token


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
        "_acknowledged", "_aside", "_birth", "_boot", "_boots", "_born", "_count", "_digest", "_disordered",
        "_divergences", "_divergences_dropped", "_doubts", "_duplicated", "_failed", "_final", "_forced_logins",
        "_forgot", "_has_shown", "_healed", "_issued", "_known_ns", "_last", "_leaked", "_model", "_notes", "_obscure",
        "_offset", "_omitted", "_op", "_recovered", "_retrying", "_seed", "_seen", "_stale", "_weights", "_write",
        "identity", "owner", "room", "session", "shared", "unread", "writer",
    )  # fmt: skip

    def __init__(self, seed: int, session: int, writer: int, owner: str, model: ModelFactory = tally) -> None:
        if not callable(model):
            raise UsageError("each session needs a model of its own", "pass models.items, not an instance")
        self.session, self.writer, self.owner = session, writer, owner
        self.shared: dict[object, set[int]] | None = None  # with other devices: every value, and which of them wrote it
        self.room = ""  # the room whose messages are due to it
        self.identity: tuple[IdentityChange, ...] = ()
        self.unread: UnreadFinal | None = None  # the last final read, while none has shown anything
        self._seed = seed
        self._model = model()
        self._issued = self._acknowledged = 0
        self._aside: frozenset[int] = frozenset()  # ids of writes that are open beside others
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
        self._weights: dict[int, Parts] = {}  # of writes that do not add one with their own token, or without one
        self._divergences: list[Divergence] = []
        self._healed: list[Divergence] = []  # all that they lacked came back
        self._known_ns, self._seen = -1, 0  # when a reply last showed the expected state; the writes issued by then
        self._omitted = self._obscure = 0
        self._stale = self._leaked = self._duplicated = self._disordered = 0
        self._divergences_dropped = self._forced_logins = 0
        self._forgot = False
        self._has_shown = False  # whether some reply showed the state, and not its birth or owner alone
        self._notes: list[Note] = []
        self._boots: list[Boot] = []
        self._final: Final | None = None

    @property
    def model_name(self) -> str:
        """The name of what the session's state is taken for."""
        return self._model.name

    @property
    def has_doubts(self) -> bool:
        """Whether some write may still appear."""
        return bool(self._doubts)

    @property
    def lost(self) -> bool:
        """Whether, as far as is known now, the session's acknowledged state is gone."""
        return any(divergence.anomaly is Anomaly.LOST for divergence in self._divergences)

    def note_identity(self, change: IdentityChange) -> None:
        """Keep a change of what identifies the session; the first and the latest are kept."""
        first, latest = self.identity[:1], self.identity[1:]
        self.identity = (*first, *latest[2 - MAX_CHANGES :], change)

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

    def set_aside(self) -> None:
        """Leave the pending write open while others are sent beside it; ``settle`` takes it up again by its id."""
        self._aside |= {self._op}
        self._op = 0
        self._doubts = self._keep(self._doubts, self._write)

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
            observed, anomaly = self._translate(observed, wrote, t_ns)
        birth, owner, count, _, digest = observed
        off_count, off_digest = self._offset
        if (
            digest == self._digest + off_digest & MASK
            and count == self._count + off_count
            and birth == self._birth
            and owner == self.owner
        ):
            self._known_ns, self._seen = t_ns, self._issued
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
        """Record the final read of the sweep. Without an observation of its own state the session stays unknown.

        A birth alone is one where nothing but the birth was ever shown, or where it is another one.
        """
        before = self._birth
        anomaly = self.settle(0, outcome, observed, boot, t_ns)
        if isinstance(observed, Observed) and observed.state is None:
            is_known = not observed.birth or (self._has_shown and observed.birth == before)
            observed = None if is_known else observed
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
            weights=tuple((i, *part) for i, parts in self._weights.items() for part in parts or (NOTHING,)),
            divergences=tuple(self._divergences),
            divergences_dropped=self._divergences_dropped,
            healed=tuple(self._healed),
            sums=Sum(self._count, self._digest),
            offset=self._offset,
            stale=self._stale,
            leaked=self._leaked,
            duplicated=self._duplicated,
            omitted=self._omitted,
            obscure=self._obscure,
            disordered=self._disordered,
            forced_logins=self._forced_logins,
            forgot=self._forgot,
            notes=tuple(self._notes),
            acked_boots=tuple(self._boots),
            final=self._final,
            identity=self.identity,
            unread=self.unread if self._final is None else None,
        )

    # Writes

    def _weigh(self, i: int, mark: int, value: object) -> None:
        if self.shared is not None and isinstance(value, Hashable):
            self.shared.setdefault(value, set()).add(self.writer)
        parts = self._model.weigh(mark, value)
        self._write = Write(i, mark, add_up(parts), value)
        self._keep_weight(i, mark, parts)

    def _keep_weight(self, i: int, mark: int, parts: Parts) -> None:
        """Keep what a write adds, if that does not follow from its token."""
        self._weights.pop(i, None)
        if parts not in (((1, mark),), ((1, 0),)):
            self._weights[i] = parts

    def _acknowledge(self, t_ns: int, boot: str) -> None:
        write = self._write
        self._acknowledged += 1
        self._count += write.weight[0]
        self._digest = self._digest + write.weight[1] & MASK
        if boot != self._boot:
            self._boot = boot
            self._boots = [*self._boots[1 - MAX_BOOTS :], Boot(t_ns, boot, write.i)]
        if self._model is not TALLY:
            whole = self._sum_acknowledged().plus(self._whole_offset())
            self._offset = self._offset.plus(self._model.acknowledge(write.token, write.value, whole))

    def _record_failure(self, outcome: Outcome) -> None:
        write = self._write
        if outcome == _IN_DOUBT or self._retrying:  # the first try of a retried write may still have been applied
            self._doubts = self._keep(self._doubts, write)
            return
        if self._failed and self._failed[-1][1] == write.i - 1:
            self._failed[-1] = (self._failed[-1][0], write.i)
        else:
            self._failed = self._keep(self._failed, (write.i, write.i))
        self._model.discard(write.token, write.value)

    def _reopen(self, op: int) -> None:
        """Make a settled write pending again, because the client retries it."""
        if self._op:
            raise ValueError(f"the write {self._op:016x} is pending, not {op:016x}")
        write = self._take_back(op)
        if write is not None:
            self._write, self._retrying = write, op not in self._aside
            self._aside -= {op}
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

    def _keep(self, kept: Sequence[_Kept], more: _Kept) -> list[_Kept]:
        """The latest ``MAX_KEPT`` with one more, noting whether one was forgotten for it."""
        self._forgot |= len(kept) == MAX_KEPT
        return [*kept[1 - MAX_KEPT :], more]

    def _add_note(self, t_ns: int, anomaly: Anomaly, boot: str) -> None:
        if len(self._notes) < MAX_NOTES:
            self._notes.append(Note(t_ns, anomaly, boot))

    # User-supplied services

    def _translate(self, observed: Observed, wrote: bool, t_ns: int) -> tuple[Tally, Anomaly]:
        """The model's tally of a state, and anything wrong with it that a tally does not show."""
        birth = self._birth if observed.birth is None else observed.birth
        owner = self.owner if observed.owner is None else observed.owner
        if self._is_foreign(owner):
            return Tally(birth, owner, 0, 0, 0), _NONE  # another owner's state: the model cannot measure it
        if observed.state is None:
            state, anomaly = self._assume_state(birth, wrote), _NONE
        elif observed.state is NO_STATE:
            state, anomaly = NOTHING, _NONE
        else:
            state, anomaly, applied = self._model.measure(
                self._pick_own(observed.state), birth != (self._birth or birth)
            )
            self._has_shown = True
            for write in applied:
                self._take_applied(write, t_ns)
        self._disordered += anomaly is not _NONE
        return Tally(birth, owner, state.n, 0, state.digest), anomaly

    def _pick_own(self, state: object) -> object:
        """A state without what other devices alone put there; a number or a register shows nothing of whose it is."""
        if self.shared is None or self._model.name not in _OF_VALUES:
            return state
        if isinstance(state, str | bytes) or not isinstance(state, Iterable):
            return state
        return [value for value in state if self.writer in self.shared.get(value, (self.writer,))]

    def _take_applied(self, applied: Applied, t_ns: int) -> None:
        """Count a write in doubt as recovered, or one that failed, because the model recognises its effect."""
        failed = (Write(i, self._token(i), NOTHING) for first, last in self._failed for i in range(first, last + 1))
        write = next((write for write in chain(self._doubts, failed) if write.token == applied.token), None)
        if write is None:
            return
        if write in self._doubts:
            self._doubts.remove(write)
        weight = add_up(applied.parts)
        self._keep_weight(write.i, write.token, applied.parts)
        recovery = Recovery(t_ns, write.i, self._issued, has_twin=applied.has_twin)
        self._remember(recovery, write._replace(weight=weight))
        self._offset = self._offset.plus(weight)

    def _token(self, i: int) -> int:
        return token(operation(self._seed, self.writer, i))

    def _remember(self, recovery: Recovery, write: Write) -> None:
        if write.value is not None:
            alike = tuple(other.i for other in self._doubts if other.value == write.value)
            recovery = recovery._replace(alike=alike)
        self._recovered = self._keep(self._recovered, (recovery, write))

    def _assume_state(self, birth: str, wrote: bool) -> Sum:
        """The state of a reply that shows only the birth: the one expected under that birth."""
        if birth == self._birth or not self._birth:
            return self._sum_acknowledged().plus(self._offset)
        for divergence in reversed(self._divergences):
            if divergence.birth_before == birth:
                return self._sum_acknowledged().plus(divergence.offset)
        return self._write.weight if wrote else NOTHING

    def _whole_offset(self) -> Sum:
        """The offset with nothing missing: the one before the present rollback."""
        offset, is_register = self._offset, self._model.name == RegisterModel.name
        returned = False  # part of what was lost
        for divergence in reversed(self._divergences):
            if divergence.anomaly not in _LACKING or divergence.changes_birth:
                break
            if divergence.anomaly is Anomaly.LOST and is_register and not returned:
                break  # the next value does not stand for what was lost
            returned |= offset.n > divergence.offset.n
            offset = divergence.offset
        return offset

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
        index = self._find_caught_up(offset)
        if index is not None:
            return self._heal(index, read, offset)
        if self._recover(self._offset, offset, self._doubts, read.t_ns):
            # Also under another birth: an id is renewed at a login, and that alone loses nothing.
            self._birth, self._offset = shown.birth, offset
            self._known_ns, self._seen = read.t_ns, self._issued
            return _NONE
        returned = self._recognize_return(read, offset)
        if returned is not None:
            return returned
        anomaly = self._classify_by_count(read, offset)
        self._diverge(anomaly, read, offset)
        return anomaly

    def _recover(self, base: Sum, offset: Sum, doubts: Sequence[Write], t_ns: int) -> bool:
        """Whether writes in doubt alone explain the difference. If so, they are recovered."""
        appeared = find_appeared(doubts, offset.minus(base))
        if appeared is None:
            return False
        for write in appeared:
            if write in self._doubts:
                self._doubts.remove(write)
                self._remember(Recovery(t_ns, write.i, self._issued), write)
        return True

    def _find_caught_up(self, offset: Sum) -> int | None:
        """Of a number: the place of the latest divergence that it has caught up with, though doubts may explain it."""
        if self._model.name != CounterModel.name or offset == self._offset:
            return None
        places = reversed(range(len(self._divergences)))
        return next((place for place in places if self._divergences[place].offset == offset), None)

    def _recognize_return(self, read: UnexpectedRead, offset: Sum) -> Anomaly | None:
        """Check whether an earlier state is back: with all acknowledged since (it was stale), or as it was left."""
        for index in range(len(self._divergences) - 1, -1, -1):
            divergence = self._divergences[index]
            doubts = self._doubts + [write for recovery, write in self._recovered if recovery.t_ns >= divergence.t_ns]
            if self._recover(divergence.offset, offset, doubts, read.t_ns):
                return self._heal(index, read, offset)
            if divergence.birth_before != read.shown.birth:
                continue
            left = divergence.offset.plus(divergence.sums).minus(self._sum_acknowledged(read))
            if self._recover(left, offset, doubts, read.t_ns):
                self._diverge(Anomaly.STALE, read, offset)
                self._born = divergence.acknowledged - divergence.under
                self._stale += 1
                return Anomaly.STALE
        return None

    def _heal(self, index: int, read: UnexpectedRead, offset: Sum) -> Anomaly:
        """Set the divergences from this one on aside: everything that they lacked is back."""
        healed = self._divergences[index:]
        del self._divergences[index:]
        switched = read.shown.birth != self._birth
        self._birth, self._born, self._offset = read.shown.birth, healed[0].acknowledged - healed[0].under, offset
        self._known_ns, self._seen = read.t_ns, self._issued
        if self._model.name == CounterModel.name:
            self._doubt_again(healed[0], offset)
        # What a lagging replica shows is the first to be forgotten: that it was stale is all there is to know of it.
        kept = sorted((*self._healed, *healed), key=lambda divergence: divergence.anomaly in _LACKING)
        self._healed = kept[:MAX_DIVERGENCES]
        self._obscure += sum(divergence.anomaly not in _LACKING for divergence in kept[MAX_DIVERGENCES:])
        if any(divergence.anomaly in _LACKING for divergence in healed):
            self._stale += 1
            self._add_note(read.t_ns, Anomaly.STALE, read.boot)
        return Anomaly.STALE if switched else _NONE

    def _doubt_again(self, first: Divergence, offset: Sum) -> None:
        """Of a number, put back in doubt what was counted as recovered while it caught up with what it had lacked."""
        since = [pair for pair in self._recovered if pair[0].t_ns >= first.t_ns]
        for pair in since[max(0, offset.n - first.offset.n) :]:
            self._recovered.remove(pair)
            self._doubts = sorted([*self._doubts, pair[1]], key=lambda write: write.i)

    def _classify_by_count(self, read: UnexpectedRead, offset: Sum) -> Anomaly:
        """Classify a state that is not known by its count alone; the judge may find out more."""
        expected = self._sum_acknowledged(read).plus(self._offset).n
        fresh = self._issued - self._seen + len(self._doubts)  # the most that a new and empty state may hold by now
        is_new = read.shown.birth != self._birth
        is_register = self._model.name == RegisterModel.name
        is_empty = read.shown.count <= (fresh if is_new else read.wrote and not is_register)
        if is_empty and (is_new or expected > 0) and self._acknowledged - read.wrote > self._born:
            return Anomaly.LOST
        whole = self._whole_offset()
        is_older = is_register and self.lost and offset.n > self._offset.n  # a value from before the loss
        if offset.n < max(whole.n, self._offset.n) or is_older:
            return Anomaly.ROLLED_BACK
        extra = offset.n - max(whole.n, self._offset.n)
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
            known_ns=self._known_ns,
            seen=self._seen,
        )
        if len(self._divergences) >= MAX_DIVERGENCES:
            self._forget_oldest()
        self._divergences = [*self._divergences, divergence]
        self._accept(read, offset)

    def _forget_oldest(self) -> None:
        """Forget the oldest divergence. What its reply did with its own write stays counted."""
        oldest, *self._divergences = self._divergences
        self._divergences_dropped += 1
        own = self._token(oldest.issued) if self._model.name in _DISTINGUISHED else 0
        expected = oldest.offset.plus(oldest.sums).plus(Sum(1, own))
        extra = oldest.state.minus(expected)
        if oldest.wrote and 0 < extra.n <= MAX_SURPLUS and extra.digest == own * extra.n & MASK:
            self._duplicated += extra.n
        elif oldest.wrote and own and extra == NOTHING.minus(Sum(1, own)):  # a number may have lost any write
            self._omitted += 1
        elif oldest.anomaly not in _LACKING:
            self._obscure += 1

    def _accept(self, read: UnexpectedRead, offset: Sum) -> None:
        if read.shown.birth != self._birth:
            self._birth, self._born = read.shown.birth, self._acknowledged - read.wrote
        self._offset = offset
        self._known_ns, self._seen = read.t_ns, self._issued
