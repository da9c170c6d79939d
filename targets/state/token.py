"""With the client: the state travels in a signed token (JWT, HS256), and no server keeps anything.

Every write sets the cookie again and no read does, so a session expires ``ttl`` after its last write. Two writers that
start from the same token each get a token without the other's write; the cookie that the client keeps wins. Browsers
drop cookies of more than 4096 bytes: such a token is still sent, so that the loss can be observed. Requests with
more than 8 kB of cookies are refused (400).

``--option format=signed`` makes it a signed cookie like Flask's (itsdangerous), compressed where that makes it shorter.
``--option keys=split`` gives each replica its own key: a token is then valid only at the replica that signed it.
``--option skew=1.5s`` sets the clock of each replica that much ahead of the one before it (``r0``, ``r1``, ...): tokens
expire too early, or too late.
``/keys`` shows the ids of the keys and rotates them (``targets/http/keys.py``). A service that starts after a rotation
needs ``--option signing=2`` and ``accepted=1,2``.
"""

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from targets.common.session import SessionState
from targets.common.settings import Settings, SettingsError
from targets.http.errors import UnauthorizedError
from targets.http.keys import Key, Keyring
from targets.state import TTL

OPTIONS: tuple[str, ...] = ("ttl", "keys", "format", "signing", "accepted", "skew")
KEEPS_SESSIONS = True


class Format(Protocol):
    """Turns claims into a text and back."""

    def sign(self, claims: Mapping[str, Any], key: Key) -> str:
        """The signed text."""

    def read(self, handle: str, key: Key) -> Mapping[str, Any] | None:
        """The claims; None if the text does not have this format.

        Raises:
            UnauthorizedError: it is signed with another key.
        """


class Jwt:
    """A JSON Web Token, HS256."""

    def __init__(self) -> None:
        import jwt  # noqa: PLC0415 - takes 40 ms, which no other state needs to spend

        self._jwt = jwt

    def sign(self, claims: Mapping[str, Any], key: Key) -> str:
        """``header.claims.signature``."""
        return self._jwt.encode(dict(claims), key.secret, "HS256")

    def read(self, handle: str, key: Key) -> Mapping[str, Any] | None:
        """The claims, even if they have expired: the library only compares whole seconds."""
        try:
            return self._jwt.decode(handle, key.secret, algorithms=["HS256"], options={"verify_exp": False})
        except self._jwt.InvalidSignatureError as problem:
            raise UnauthorizedError("the token is signed with another key") from problem
        except self._jwt.InvalidTokenError:
            return None


class Signed:
    """A signed cookie, in itsdangerous' format."""

    def __init__(self) -> None:
        from itsdangerous import URLSafeSerializer  # noqa: PLC0415 - only this format needs it

        self._serializer = URLSafeSerializer

    def sign(self, claims: Mapping[str, Any], key: Key) -> str:
        """``claims.signature``, the claims compressed where that makes them shorter."""
        return str(self._serializer(key.secret, "session").dumps(dict(claims)))

    def read(self, handle: str, key: Key) -> Mapping[str, Any] | None:
        """The claims."""
        is_valid, claims = self._serializer(key.secret, "session").loads_unsafe(handle)
        if not isinstance(claims, dict):
            return None
        if not is_valid:
            raise UnauthorizedError("the cookie is signed with another key")
        return claims


FORMATS: Mapping[str, Callable[[], Format]] = {"jwt": Jwt, "signed": Signed}


class Token:
    """Signs a session into its handle and reads it back."""

    def __init__(
        self, keys: Keyring, ttl: float = TTL, clock: Callable[[], float] = time.time, form: str = "jwt"
    ) -> None:
        self.keys = keys
        self._format = FORMATS[form]()
        self._ttl, self._clock = ttl, clock

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def read(self, handle: str, *, to_write: bool = False) -> SessionState | None:
        """The session in the token; None if it has expired or is not a token.

        Raises:
            UnauthorizedError: it is signed with a key that is not accepted.
        """
        claims = self._claims(handle)
        return SessionState.from_dict(claims["session"]) if claims and claims["exp"] > self._clock() else None

    def _claims(self, handle: str) -> Mapping[str, Any] | None:
        """The claims, by the first of the accepted keys that verifies them."""
        for key in self.keys.accepted[:-1]:
            with contextlib.suppress(UnauthorizedError):
                return self._format.read(handle, key)
        return self._format.read(handle, self.keys.accepted[-1])

    async def create(self, session: SessionState) -> str:
        """The signed token."""
        return self._format.sign({"session": session.to_dict(), "exp": self._clock() + self._ttl}, self.keys.signing)

    async def write(self, handle: str, session: SessionState) -> str:
        """A new token; the old one stays valid until it expires."""
        return await self.create(session)


def create_store(settings: Settings) -> Token:
    """A signer with the options ``ttl``, ``keys`` (``shared`` or ``split``), ``format`` (``jwt`` or ``signed``).

    ``signing`` is the number of the key that signs, ``accepted`` (``1,2``) are the numbers of those that also verify.

    Raises:
        SettingsError: there is no secret, or the number of a key is wrong.
    """
    if not settings.secret:
        raise SettingsError("the state token needs --secret TEXT, the same for all replicas")
    split = settings.options.text("keys", "shared", ("shared", "split")) == "split"
    form = settings.options.text("format", "jwt", tuple(FORMATS))
    keys = Keyring(settings.secret, settings.replica if split else "")
    signing = settings.options.whole("signing", 1)
    accepted = settings.options.text("accepted", str(signing)).split(",")
    if not all(number.isascii() and number.isdigit() for number in accepted):
        raise SettingsError("--option accepted is a list of numbers, such as 1,2")
    keys.use(signing, [int(number) for number in accepted])
    number = int("".join(filter(str.isdigit, settings.replica)) or 0)
    ahead = number * settings.options.seconds("skew", 1.0) if "skew" in settings.options.values else 0.0
    return Token(keys, settings.options.seconds("ttl", TTL), lambda: time.time() + ahead, form)
