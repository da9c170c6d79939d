"""The keys that sign the tokens of clients: one key signs, and earlier ones can still be accepted.

A key is derived from the secret and a number, so that replicas with the same number have the same key. No reply has a
key in it: ``/keys`` shows ids, which are hashes. ``PUT /keys`` ``{"signing": 2, "accepted": [1, 2]}`` rotates the keys.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from aiohttp import web

from targets.http import request_fields
from targets.http.errors import BadRequestError
from targets.http.routes import Routes

PATH = "/keys"
_MAX_KEYS = 16  # accepted at once, since each is tried in turn


@dataclass(frozen=True)
class Key:
    """One key. Only its ``number`` and ``id`` are public."""

    number: int
    secret: bytes = field(repr=False)

    @property
    def id(self) -> str:
        """The first 16 hex digits of its SHA-256."""
        return hashlib.sha256(self.secret).hexdigest()[:16]


def derive_key(secret: str, replica: str, number: int) -> Key:
    """The key of this number, 32 bytes; with a replica's name, a key of that replica alone."""
    name = f"{replica}/{number}".encode()
    return Key(number, hashlib.blake2b(name, key=secret.encode()[:64], digest_size=32).digest())


class Keyring:
    """A replica's keys: ``signing`` signs, and each of ``accepted`` (the signing one first) verifies."""

    def __init__(self, secret: str, replica: str = "") -> None:
        self._secret, self._replica = secret, replica
        self.signing = derive_key(secret, replica, 1)
        self.accepted: tuple[Key, ...] = (self.signing,)

    def use(self, signing: int, accepted: Sequence[int]) -> None:
        """Sign with the key number ``signing``, and accept it and the ``accepted`` ones."""
        numbers = dict.fromkeys((signing, *accepted))
        self.accepted = tuple(derive_key(self._secret, self._replica, number) for number in numbers)
        self.signing = self.accepted[0]

    def describe(self) -> dict[str, object]:
        """The public description: numbers and ids."""
        return {
            "signing": self.signing.number,
            "accepted": sorted(key.number for key in self.accepted),
            "ids": {str(key.number): key.id for key in self.accepted},
        }

    def routes(self) -> Routes:
        """The routes of ``/keys``."""
        return {PATH: {"GET": self._show, "PUT": self._change}}

    async def _show(self, request: web.BaseRequest) -> web.Response:
        return request_fields.reply(self.describe())

    async def _change(self, request: web.BaseRequest) -> web.Response:
        fields = await request_fields.body(request)
        accepted = fields.get("accepted")
        if not isinstance(accepted, list) or not 1 <= len(accepted) <= _MAX_KEYS:
            raise BadRequestError(f"accepted is a list of 1 to {_MAX_KEYS} numbers")
        numbers = [request_fields.int_field({"accepted": number}, "accepted") for number in accepted]
        self.use(request_fields.int_field(fields, "signing"), numbers)
        return request_fields.reply(self.describe())


@runtime_checkable
class HasKeys(Protocol):
    """A store that signs what it gives to clients."""

    keys: Keyring
