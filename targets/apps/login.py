"""Logins: a JWT, an opaque token or a session cookie proves who sends a request, until it expires or is revoked.

- ``POST /login``        makes a login; its credential comes as ``access_token`` and as the ``session`` cookie
- ``GET /me``            shows the login; 401 if the credential is unknown, has expired or was revoked
- ``POST /logout``       revokes the login, where a server can remember that, and deletes the cookie
- ``POST /introspect``   ``token=...`` as a form: ``{"active": true, "sub", ...}`` or ``{"active": false}`` (RFC 7662)

The credential is the ``session`` cookie, or ``Authorization: Bearer ...``. ``--option scheme``:

- ``jwt``      over the state ``token``: the signature is the whole check; it holds until it expires, logout or not
- ``session``  over the other states: the replica looks the login up in its store
- ``opaque``   over the other states: for each request the replica calls ``/introspect`` of the authorisation server,
  which is the replica ``--option auth=NAME``, by default the replica itself, over HTTP too

A login expires ``ttl`` after it was made. RFC 7662 requires that the caller authenticates; this app does not.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol
from urllib.parse import parse_qs

import aiohttp
from aiohttp import web

from targets.apps import AppContext
from targets.common.session import SessionState
from targets.common.settings import Settings, SettingsError
from targets.http import request_fields
from targets.http.errors import BadRequestError, UnauthorizedError, UnavailableError
from targets.http.routes import Routes
from targets.state import SessionStore

OPTIONS: tuple[str, ...] = ("scheme", "auth")
KEEPS_SESSIONS = True

INTROSPECT = "/introspect"
#: How long the authorisation server may take.
TIMEOUT = aiohttp.ClientTimeout(total=1)
_REVOKED = "revoked"
_BEARER = "Bearer "


class Check(Protocol):
    """Decides whether a credential is valid."""

    async def login(self, credential: str, writer: str) -> dict[str, Any] | None:
        """The login as replies show it; None if the credential is not valid.

        Raises:
            UnavailableError: the server that decides cannot be reached.
        """


class StoreCheck:
    """Reads the login from the store, which for a token is the credential itself."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store

    async def session(self, credential: str) -> SessionState | None:
        """The login, unless it is unknown, expired or revoked."""
        try:
            session = await self._store.read(credential)
        except UnauthorizedError:
            return None
        return None if session is None or _REVOKED in session.items else session

    async def login(self, credential: str, writer: str) -> dict[str, Any] | None:
        """The login as replies show it."""
        session = await self.session(credential)
        return None if session is None else dict(session.to_response(writer))


class IntrospectionCheck:
    """Asks the authorisation server for every request: a cached answer would stay valid after a logout."""

    def __init__(self, address: str) -> None:
        self._url = f"http://{address}{INTROSPECT}"
        self._client: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """A scope in which connections are kept between requests."""
        async with aiohttp.ClientSession(timeout=TIMEOUT, connector=aiohttp.TCPConnector(limit=64)) as self._client:
            yield

    async def login(self, credential: str, writer: str) -> dict[str, Any] | None:
        """The login as the authorisation server reports it."""
        assert self._client is not None  # noqa: S101 - the service enters ``connected`` before it listens
        try:
            call = self._client.post(self._url, data={"token": credential}, headers={"X-Writer": writer})
            async with call as reply:
                reply.raise_for_status()
                introspection = await reply.json()
        except (aiohttp.ClientError, OSError, TimeoutError) as problem:
            raise UnavailableError(f"the authorisation server does not answer: {type(problem).__name__}") from problem
        return introspection["session"] if introspection["active"] else None


class LoginApp:
    """The four requests."""

    def __init__(self, store: SessionStore, check: Check) -> None:
        self._store, self._check, self._store_check = store, check, StoreCheck(store)

    async def login(self, request: web.BaseRequest) -> web.Response:
        """``POST /login``."""
        session = SessionState.new(request_fields.owner(request))
        handle = await self._store.create(session)
        login = {
            "session": session.to_response(request_fields.writer(request)),
            "access_token": handle,
            "token_type": "Bearer",
        }
        return _with_cookie(request_fields.reply(login), f"{request_fields.COOKIE}={handle}; HttpOnly; Path=/")

    async def me(self, request: web.BaseRequest) -> web.Response:
        """``GET /me``."""
        credential = _credential(request)
        login = await self._check.login(credential, request_fields.writer(request)) if credential else None
        if login is None:
            raise UnauthorizedError("no login, or one that is no longer valid: POST /login")
        return request_fields.reply({"session": login})

    async def logout(self, request: web.BaseRequest) -> web.Response:
        """``POST /logout``: a write. Over a JWT it makes another, revoked token, and the old one stays valid."""
        credential = _credential(request)
        session = await self._store_check.session(credential) if credential else None
        if session is not None:
            revoked = session.with_write(
                request_fields.writer(request), request_fields.operation(request), {**session.items, _REVOKED: 1}
            )
            await self._store.write(credential, revoked)
        return _with_cookie(
            request_fields.reply({"logged_out": session is not None}), f"{request_fields.COOKIE}=; Max-Age=0; Path=/"
        )

    async def introspect(self, request: web.BaseRequest) -> web.Response:
        """``POST /introspect``."""
        credentials = parse_qs((await request.read()).decode("ascii", "replace")).get("token")
        if credentials is None:
            raise BadRequestError("the form has no token=")
        session = await self._store_check.session(credentials[0])
        if session is None:
            return request_fields.reply({"active": False})
        login = session.to_response(request_fields.writer(request))
        return request_fields.reply({"active": True, "sub": session.owner, "token_type": "Bearer", "session": login})


def _credential(request: web.BaseRequest) -> str:
    """The bearer token, else the cookie; empty without either."""
    header = request.headers.get("Authorization", "")
    return header.removeprefix(_BEARER) if header.startswith(_BEARER) else request_fields.cookie(request)


def _with_cookie(response: web.Response, cookie: str) -> web.Response:
    response.headers["Set-Cookie"] = cookie
    return response


def create_routes(context: AppContext) -> Routes:
    """The four routes.

    Raises:
        SettingsError: the scheme does not work over this state, or the authorisation server has no address.
    """
    check: Check = StoreCheck(context.store)
    if _scheme(context.settings) == "opaque":
        check = introspected = IntrospectionCheck(_authorisation_address(context.settings))
        context.background.append(introspected.connected)
    logins = LoginApp(context.store, check)
    return {
        "/login": {"POST": logins.login},
        "/me": {"GET": logins.me},
        "/logout": {"POST": logins.logout},
        INTROSPECT: {"POST": logins.introspect},
    }


def _scheme(settings: Settings) -> str:
    in_token = settings.state == "token"
    scheme = settings.options.text("scheme", "jwt" if in_token else "session", ("jwt", "opaque", "session"))
    if in_token != (scheme == "jwt"):
        why = "is the login itself" if scheme == "jwt" else "is only a key"
        other = "give it --state token" if scheme == "jwt" else "keep the login in another state than token"
        raise SettingsError(f"--option scheme={scheme}: its credential {why}, so {other}")
    return scheme


def _authorisation_address(settings: Settings) -> str:
    name = settings.options.text("auth", settings.replica)
    if name not in settings.peers:
        known = ", ".join(settings.peers) or "none"
        raise SettingsError(f"scheme=opaque needs the address of the replica {name}, and --peers has only: {known}")
    return settings.peers[name]
