"""The final state of a session's ledger, frozen: all that the judge needs.

Its JSON is a line of ledgers.jsonl. A sum is ``[count, digest]`` there, with the digest as 16 hex digits, since JSON
readers lose digits of integers above 2^53.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

from harness.observations.identity import Change, IdentityChange, UnreadFinal
from harness.observations.requests import Anomaly
from harness.oracle.models import NOTHING, Sum
from harness.oracle.operations import op_text

#: A session with more writes in doubt at once is unknown: the judge would have to try too many sums.
MAX_DOUBTS = 12
MAX_SURPLUS = 10_000  # a number above a session's writes by more than this is no count of them


#: Runs of older versions do not have the last two fields of a divergence.
_LENGTH_BEFORE_SEEN = 13


class Divergence(NamedTuple):
    """A reply whose state was not the expected one; its state was accepted as correct from then on."""

    t_ns: int
    anomaly: Anomaly
    issued: int  # writes issued so far
    wrote: bool  # the reply acknowledged the newest of them
    under: int  # writes acknowledged under ``birth_before`` before this reply
    acknowledged: int  # writes acknowledged before this reply
    birth_before: str
    birth_after: str
    boot_before: str  # of the last acknowledged reply
    boot_after: str
    offset: Sum  # the state left behind, minus all that was acknowledged
    sums: Sum  # all that was acknowledged before this reply
    state: Sum  # shown
    known_ns: int = -1  # when a reply last showed what was expected; -1 if none had
    seen: int = 0  # writes issued by then

    @property
    def own_write(self) -> frozenset[int]:
        """The number of the write that the reply acknowledged, if it acknowledged one."""
        return frozenset((self.issued,)) if self.wrote else frozenset()

    @property
    def changes_birth(self) -> bool:
        """Whether the state in the reply was created anew, with another birth."""
        return self.birth_before != self.birth_after

    def to_json(self) -> tuple[object, ...]:
        """The fields as plain values, in order."""
        sums = {name: _sum_to_json(getattr(self, name)) for name in ("offset", "sums", "state")}
        return tuple({**self._asdict(), **sums}.values())

    @classmethod
    def from_json(cls, values: Sequence[Any]) -> "Divergence":
        """Restore it from ``to_json``."""
        row = cls(*values)
        if len(values) == _LENGTH_BEFORE_SEEN:
            row = row._replace(seen=row.issued)
        return row._replace(
            anomaly=Anomaly(row.anomaly),
            offset=_sum_from_json(row.offset),
            sums=_sum_from_json(row.sums),
            state=_sum_from_json(row.state),
        )


class Recovery(NamedTuple):
    """A write in doubt that appeared."""

    t_ns: int
    i: int
    issued: int = 0  # writes issued by then
    alike: tuple[int, ...] = ()  # others in doubt that have the same value: it may have been one of them
    has_twin: bool = False  # so has another entry that was shown: that one may have been applied twice


class Final(NamedTuple):
    """The state that the final read showed."""

    t_ns: int
    birth: str
    boot: str
    state: Sum


class Boot(NamedTuple):
    """From the acknowledged write ``i`` on, replies to acknowledged writes came from this boot."""

    t_ns: int
    boot: str
    i: int


class Note(NamedTuple):
    """One of the first replies with a leak, a forced login or the end of stale reads, which cause no divergence."""

    t_ns: int
    anomaly: Anomaly
    boot: str


@dataclass(frozen=True)
class SessionHistory:
    """One writer's session. A write is identified by its number ``i``, from 1; the seed determines its id and token."""

    seed: int
    session: int
    writer: int
    owner: str
    model: str
    issued: int
    acknowledged: int
    failed: tuple[tuple[int, int], ...] = ()  # runs of writes, inclusive at both ends
    in_doubt: tuple[int, ...] = ()  # not seen since
    recovered: tuple[Recovery, ...] = ()
    weights: tuple[tuple[int, int, int], ...] = ()  # i, count, digest of writes that do not add (1, token)
    divergences: tuple[Divergence, ...] = ()
    divergences_dropped: int = 0  # earlier ones, beyond what a ledger keeps
    sums: Sum = NOTHING  # of all that was acknowledged
    offset: Sum = NOTHING  # the state expected at the end, minus those sums
    stale: int = 0  # episodes in which acknowledged writes were absent and came back
    leaked: int = 0  # number of replies
    duplicated: int = 0  # surplus applications in divergences that are not kept
    omitted: int = 0  # acknowledged writes that were missing at once, in divergences that are not kept
    obscure: int = 0  # divergences that are not kept and have no simple meaning
    healed: tuple[Divergence, ...] = ()  # everything that they lacked came back later
    disordered: int = 0  # replies with acknowledged writes in another order
    forced_logins: int = 0
    forgot: bool = False  # more writes failed or stayed in doubt than a ledger can keep
    notes: tuple[Note, ...] = ()
    acked_boots: tuple[Boot, ...] = ()  # the latest changes
    final: Final | None = None
    room: str = ""  # the messages of all sessions in it were due to this one
    identity: tuple[IdentityChange, ...] = ()  # the latest changes of what identifies the session
    unread: UnreadFinal | None = None  # the last final read, if none showed anything of the session

    def to_json(self) -> dict[str, object]:
        """Plain values. Fields with their default value are omitted."""
        values = asdict(self)
        kept = {name: value for name, value in values.items() if value != _DEFAULTS.get(name, _DEFAULTS)}
        kept["sums"], kept["offset"] = _sum_to_json(self.sums), _sum_to_json(self.offset)
        kept["weights"] = [[i, *_sum_to_json((count, digest))] for i, count, digest in self.weights]
        kept["divergences"] = [divergence.to_json() for divergence in self.divergences]
        if self.healed:
            kept["healed"] = [divergence.to_json() for divergence in self.healed]
        if self.final is not None:
            kept["final"] = (*self.final[:3], _sum_to_json(self.final.state))
        return {_JSON_KEYS[name]: value for name, value in kept.items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "SessionHistory":
        """Restore it from ``to_json``, also after a round trip through JSON text."""
        known: dict[str, Any] = {name: values[key] for name, key in _JSON_KEYS.items() if key in values}
        known["sums"], known["offset"] = _sum_from_json(known["sums"]), _sum_from_json(known["offset"])
        known["weights"] = tuple((i, count, int(digest, 16)) for i, count, digest in known["weights"])
        known["divergences"] = tuple(map(Divergence.from_json, known["divergences"]))
        known["healed"] = tuple(map(Divergence.from_json, known.get("healed", ())))
        recovered = [Recovery(*row) for row in known.get("recovered", ())]
        known["recovered"] = tuple(row._replace(alike=tuple(row.alike)) for row in recovered)
        known["notes"] = tuple(Note(t_ns, Anomaly(anomaly), boot) for t_ns, anomaly, boot in known.get("notes", ()))
        known["acked_boots"] = tuple(Boot(*boot) for boot in known.get("acked_boots", ()))
        known["failed"] = tuple((first, last) for first, last in known.get("failed", ()))
        known["in_doubt"] = tuple(known.get("in_doubt", ()))
        changes = (IdentityChange(*change) for change in known.get("identity", ()))
        known["identity"] = tuple(change._replace(change=Change(change.change)) for change in changes)
        if known.get("unread") is not None:
            known["unread"] = UnreadFinal(*known["unread"])
        if known.get("final") is not None:
            t_ns, birth, boot, state = known["final"]
            known["final"] = Final(t_ns, birth, boot, _sum_from_json(state))
        return cls(**known)


_DEFAULTS = {field.name: field.default for field in fields(SessionHistory)}

#: The key of each field in ledgers.jsonl, by the field's name.
_JSON_KEYS = {field.name: field.name for field in fields(SessionHistory)} | {
    "divergences": "shifts",
    "divergences_dropped": "shifts_dropped",
}


def _sum_to_json(total: tuple[int, int]) -> tuple[int, str]:
    return total[0], op_text(total[1])


def _sum_from_json(pair: Sequence[Any]) -> Sum:
    return Sum(pair[0], int(pair[1], 16))
