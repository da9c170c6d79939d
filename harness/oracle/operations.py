"""Operation ids and their tokens: a write's name on the wire, and what it adds to a digest (docs/wire.md)."""

from hashlib import blake2b
from struct import Struct

MASK = 2**64 - 1

_pack = Struct("<QQQ").pack
_big = int.from_bytes


def operation(seed: int, writer: int, i: int) -> int:
    """The id of a writer's i-th write (from 1): a 64-bit hash, never 0, the same in every process."""
    return _big(blake2b(_pack(seed & MASK, writer, i), digest_size=8).digest(), "big") or 1


def op_text(op: int) -> str:
    """The id on the wire: 16 hex digits."""
    return f"{op:016x}"


def token(op: int) -> int:
    """What one application of the write adds to the digest: blake2b-64 of the id's 16 hex digits, big-endian."""
    return _big(blake2b(b"%016x" % op, digest_size=8).digest(), "big")
