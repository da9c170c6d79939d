"""With the client: the state itself travels in a signed token (JWT, HS256), and no server keeps anything.

The cookie is set anew by every write and by no read, so a session expires ``ttl`` after its last write. Two writers
that start from the same token each get one that lacks the other's write; the cookie that the client keeps wins.
Browsers drop cookies of more than 4096 bytes: such a token is sent all the same, so that the loss can be seen.
Requests with more than 8 kB of cookies are refused (400).
``--option keys=split`` gives every replica a key of its own: a token then holds only where it was signed.
"""

import hashlib
import time
from collections.abc import Callable

from targets.problems import Rejected
from targets.session import Session
from targets.settings import Settings, SettingsError
from targets.state import TTL

OPTIONS: tuple[str, ...] = ("ttl", "keys")
KEEPS_SESSIONS = True


class Token:
    """Signs a session into its handle and reads it back."""

    def __init__(self, key: bytes, ttl: float = TTL, clock: Callable[[], float] = time.time) -> None:
        import jwt  # noqa: PLC0415 - 40 ms that only this place needs to spend

        self._jwt = jwt
        self._key, self._ttl, self._clock = key, ttl, clock

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def read(self, handle: str, *, to_write: bool = False) -> Session | None:
        """The session in the token; None where it has expired or is no token at all.

        Raises:
            Rejected: it was signed with another key.
        """
        try:  # the time is checked here, since the library counts whole seconds only
            claims = self._jwt.decode(handle, self._key, algorithms=["HS256"], options={"verify_exp": False})
        except self._jwt.InvalidSignatureError as problem:
            raise Rejected("the token was signed with another key") from problem
        except self._jwt.InvalidTokenError:
            return None
        return Session.of_plain(claims["session"]) if claims["exp"] > self._clock() else None

    async def create(self, session: Session) -> str:
        """The signed token."""
        return self._jwt.encode({"session": session.plain(), "exp": self._clock() + self._ttl}, self._key, "HS256")

    async def write(self, handle: str, session: Session) -> str:
        """A new token; the old one stays valid until it expires."""
        return await self.create(session)


def signing_key(secret: str, replica: str = "") -> bytes:
    """32 bytes derived from the secret, for one replica where it is named."""
    return hashlib.blake2b(replica.encode(), key=secret.encode()[:64], digest_size=32).digest()


def place(settings: Settings) -> Token:
    """A signer with the options ``ttl`` and ``keys`` (``shared`` or ``split``).

    Raises:
        SettingsError: there is no secret.
    """
    if not settings.secret:
        raise SettingsError("the state token needs --secret TEXT, the same for all replicas")
    split = settings.options.text("keys", "shared", ("shared", "split")) == "split"
    key = signing_key(settings.secret, settings.replica if split else "")
    return Token(key, settings.options.seconds("ttl", TTL))
