"""What one reply shows of a session's state."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

#: What is not below this counts no writes: a clock, or the id of something.
MAX_COUNT = 2**31


class Tally(NamedTuple):
    """What a built-in target shows of one writer: how many writes are applied, and the sum of their tokens."""

    birth: str  # nonce from the creation of the state
    owner: str
    count: int  # type: ignore[assignment] # the wire's name for it; tuple.count() is not used
    last: int  # id of the last applied write; 0 at first
    digest: int  # sum mod 2^64


class Observed(NamedTuple):
    """What a user-supplied service shows; None for what is not shown. ``state`` is what the ledger's model reads."""

    birth: str | None = None
    owner: str | None = None
    state: object = None


#: The state of a session that the service does not know, whatever the model.
NO_STATE: Final = object()
#: What a reply shows that says that the session is gone.
GONE: Final = Observed(state=NO_STATE)


def tally_from_json(body: Mapping[str, object]) -> Tally | None:
    """The tally in the ``session`` object of a decoded reply; None if the body has no well-formed one."""
    try:
        shown = body["session"]
        birth, owner, count = shown["birth"], shown["owner"], shown["count"]  # type: ignore[index] # decoded JSON: checked by the except below
        last, digest = int(shown["last"] or "0", 16), int(shown["digest"], 16)  # type: ignore[index] # the same
    except (KeyError, TypeError, ValueError):
        return None
    if type(count) is not int or type(birth) is not str or type(owner) is not str:
        return None
    if not 0 <= count < MAX_COUNT or not birth:
        return None
    return Tally(birth, owner, count, last, digest)


class _Session(msgspec.Struct, gc=False):
    birth: str
    owner: str
    count: int
    last: str
    digest: str


class _Body(msgspec.Struct, gc=False):
    session: _Session


_decode = msgspec.json.Decoder(_Body).decode
_new = tuple.__new__


def decode_tally(body: bytes) -> Tally | None:
    """The tally from the bytes of a JSON reply; nothing else in them is decoded.

    Raises:
        ValueError: they are not such JSON; ``tally_from_json`` decides whether it is well formed.
    """
    shown = _decode(body).session
    birth, count, last = shown.birth, shown.count, shown.last
    if not 0 <= count < MAX_COUNT or not birth:
        return None
    return _new(Tally, (birth, shown.owner, count, int(last, 16) if last else 0, int(shown.digest, 16)))
