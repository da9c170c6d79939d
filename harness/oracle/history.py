"""A Testimony: what a ledger remembers at the end of a session, frozen; all that the judge needs."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, cast

from harness.observations.requests import Anomaly
from harness.oracle.models import NOTHING, Sum
from harness.oracle.operations import op_text

#: Writes in doubt at once beyond which a session is unknown.
MAX_DOUBTS = 12


class Divergence(NamedTuple):
    """A reply whose state was not the expected one, and which was taken as the state from then on."""

    t_ns: int
    anomaly: Anomaly
    issued: int  # writes issued so far
    wrote: bool  # the reply acknowledged the newest of them
    under: int  # acknowledged under ``birth_before`` before this reply
    acknowledged: int  # before this reply
    birth_before: str
    birth_after: str
    boot_before: str  # of the last acknowledged reply
    boot_after: str
    offset: Sum  # the state left behind, minus all that was acknowledged (count, digest)
    sums: Sum  # all that was acknowledged before this reply
    state: Sum  # shown


class Recovery(NamedTuple):
    """A write in doubt that appeared."""

    t_ns: int
    i: int


class Final(NamedTuple):
    """The state that the final read showed."""

    t_ns: int
    birth: str
    boot: str
    state: Sum


class Boot(NamedTuple):
    """From this acknowledged write on, replies to such came from this boot."""

    t_ns: int
    boot: str
    i: int


class Note(NamedTuple):
    """One of the first replies of a kind that leaves no shift: a leak, a forced login, a stale episode that is over."""

    t_ns: int
    anomaly: Anomaly
    boot: str


@dataclass(frozen=True)
class SessionHistory:
    """One writer's session. Writes are told by their number ``i``, from 1; ids and tokens follow from the seed."""

    seed: int
    session: int
    writer: int
    owner: str
    model: str
    issued: int
    acknowledged: int
    failed: tuple[tuple[int, int], ...] = ()  # runs of writes, both ends included
    in_doubt: tuple[int, ...] = ()  # and not seen since
    recovered: tuple[Recovery, ...] = ()
    weights: tuple[tuple[int, int, int], ...] = ()  # i, count, digest of writes that do not add (1, token)
    shifts: tuple[Divergence, ...] = ()
    shifts_dropped: int = 0  # earlier ones, beyond what a ledger keeps
    sums: Sum = NOTHING  # of all that was acknowledged
    offset: Sum = NOTHING  # of the state expected at the end from those sums
    stale: int = 0  # episodes in which acknowledged writes were absent and came back
    leaked: int = 0  # replies
    duplicated: int = 0  # duplicates seen and gone again
    disordered: int = 0  # replies with acknowledged writes in another order
    forced_logins: int = 0
    forgot: bool = False  # more writes failed or stayed in doubt than a ledger keeps apart
    notes: tuple[Note, ...] = ()
    acked_boots: tuple[Boot, ...] = ()  # the latest changes
    final: Final | None = None
    room: str = ""  # the messages of all sessions in it were due to this one

    def to_json(self) -> dict[str, object]:
        """Plain values; sums are hex text, since they pass 2^53. What is at its default is left out."""
        plain = {key: value for key, value in asdict(self).items() if value != _DEFAULTS.get(key, _DEFAULTS)}
        plain["sums"], plain["offset"] = _text(self.sums), _text(self.offset)
        plain["weights"] = [[i, *_text((count, digest))] for i, count, digest in self.weights]
        plain["shifts"] = [
            shift._replace(offset=_text(shift.offset), sums=_text(shift.sums), state=_text(shift.state))
            for shift in self.shifts
        ]
        if self.final is not None:
            plain["final"] = self.final._replace(state=_text(self.final.state))
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, object]) -> "SessionHistory":
        """Back from ``to_json``, also by way of JSON text."""
        told = cast("dict[str, Any]", dict(plain))
        told["sums"], told["offset"] = _sums(told["sums"]), _sums(told["offset"])
        told["weights"] = tuple((i, count, int(digest, 16)) for i, count, digest in told["weights"])
        told["shifts"] = tuple(_shift(shift) for shift in told["shifts"])
        told["recovered"] = tuple(Recovery(*recovery) for recovery in told.get("recovered", ()))
        told["notes"] = tuple(Note(t, Anomaly(anomaly), boot) for t, anomaly, boot in told.get("notes", ()))
        told["acked_boots"] = tuple(Boot(*boot) for boot in told.get("acked_boots", ()))
        told["failed"] = tuple((first, last) for first, last in told.get("failed", ()))
        told["in_doubt"] = tuple(told.get("in_doubt", ()))
        if told.get("final") is not None:
            t_ns, birth, boot, state = told["final"]
            told["final"] = Final(t_ns, birth, boot, _sums(state))
        return cls(**told)


_DEFAULTS = {key: field.default for key, field in SessionHistory.__dataclass_fields__.items()}


def _text(sums: tuple[int, int]) -> Any:
    return (sums[0], op_text(sums[1]))


def _sums(text: Any) -> Sum:
    return Sum(text[0], int(text[1], 16))


def _shift(plain: list[Any]) -> Divergence:
    shift = Divergence(*plain)
    return shift._replace(
        anomaly=Anomaly(shift.anomaly),
        offset=_sums(shift.offset),
        sums=_sums(shift.sums),
        state=_sums(shift.state),
    )
