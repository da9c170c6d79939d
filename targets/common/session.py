"""The state of a session, which every store keeps: the writes that were applied to it, and its items."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, Self

_MOD = 1 << 64
#: How many operation ids a session remembers where repeats are dropped; an older repeat is applied again.
REMEMBERED = 32


def token(op: str) -> int:
    """The 64-bit token of an operation id (16 hex digits): BLAKE2b with an 8-byte digest, read big-endian."""
    return int.from_bytes(blake2b(op.encode("ascii"), digest_size=8).digest(), "big")


def hex64(number: int) -> str:
    """A 64-bit number as 16 hex digits."""
    return f"{number:016x}"


@dataclass(frozen=True, slots=True)
class WriterTally:
    """One writer's applied writes: their number, the last one's id, and the sum of their tokens mod 2^64."""

    count: int = 0
    last: str = ""
    digest: int = 0

    def plus(self, op: str) -> "WriterTally":
        """The tally with one more write."""
        return WriterTally(self.count + 1, op, (self.digest + token(op)) % _MOD)

    def to_response(self) -> dict[str, int | str]:
        """The tally as replies show it."""
        return {"count": self.count, "last": self.last, "digest": hex64(self.digest)}


@dataclass(frozen=True, slots=True)
class SessionState:
    """The state of one session. ``version`` grows by one with every write, for optimistic checks to compare."""

    birth: str
    owner: str = ""
    version: int = 0
    writers: Mapping[str, WriterTally] = field(default_factory=dict)
    items: Mapping[str, int] = field(default_factory=dict)
    recent: tuple[str, ...] = ()

    @classmethod
    def new(cls, owner: str) -> Self:
        """A new session with a unique birth."""
        return cls(birth=os.urandom(8).hex(), owner=owner)

    def with_write(self, writer: str, op: str, items: Mapping[str, int]) -> "SessionState":
        """The session after one write that leaves ``items``."""
        tally = self.writers.get(writer, WriterTally()).plus(op)
        return replace(self, version=self.version + 1, writers={**self.writers, writer: tally}, items=items)

    def with_recent(self, op: str) -> "SessionState":
        """The session with ``op`` among its recent operations."""
        return replace(self, recent=(*self.recent, op)[-REMEMBERED:])

    def to_response(self, writer: str) -> dict[str, int | str]:
        """The session as replies show it to one of its writers."""
        return {"birth": self.birth, "owner": self.owner, **self.writers.get(writer, WriterTally()).to_response()}

    def to_dict(self) -> dict[str, Any]:
        """The session in JSON's types. Writers are ``[count, last, digest]``, which keeps tokens short."""
        writers = {name: [tally.count, tally.last, hex64(tally.digest)] for name, tally in self.writers.items()}
        session = {
            "birth": self.birth,
            "owner": self.owner,
            "version": self.version,
            "writers": writers,
            "items": self.items,
        }
        return {**session, "recent": self.recent} if self.recent else session

    @classmethod
    def from_dict(cls, session: Mapping[str, Any]) -> Self:
        """The reverse of ``to_dict``."""
        writers = {
            name: WriterTally(count, last, int(digest, 16))
            for name, (count, last, digest) in session["writers"].items()
        }
        recent = tuple(session.get("recent", ()))
        return cls(session["birth"], session["owner"], session["version"], writers, session["items"], recent)

    def to_json(self) -> str:
        """The session as one line of JSON."""
        return json.dumps(self.to_dict(), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The reverse of ``to_json``."""
        return cls.from_dict(json.loads(text))
