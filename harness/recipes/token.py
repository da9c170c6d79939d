"""A user whose session is a bearer token, as single-page applications and APIs have them."""

from typing import Any, ClassVar

from harness.load.http.client import Client, Request, Sleep
from harness.load.http.response import Response
from harness.load.locustfiles.session_user import SessionUser, between
from harness.load.sessions.behaviour import SessionSteps
from harness.load.sessions.carriers import Bearer
from harness.load.sessions.extractors import Number, nothing
from harness.oracle.models import counter

_RETRY = Sleep(0.2)  # between two tries to log in


class TokenCounter(SessionUser):
    """Fetches a token by a login in JSON, then counts with it; logs in again when the token is refused.

    The login's reply shows the token as ``access_token``; set ``carries = Bearer("path.to.it")`` if it is elsewhere.
    ``observe`` finds the count in a reply; by default it is the first whole number of the body.
    """

    abstract = True
    model = counter
    wait_time = between(0.05, 0.2)
    carries = Bearer()
    login: ClassVar[str] = "/token"
    write: ClassVar[str] = "/count"  # POST: raises the count by one
    read: ClassVar[str] = "/count"  # GET: shows it

    def credentials(self, client: Client, /) -> dict[str, Any]:
        """The JSON of the login."""
        return {"username": client.user, "password": "secret"}

    def observe(self, reply: Response, /) -> Any:
        """The first whole number of the body."""
        return Number()(reply)

    def session(self, client: Client, /) -> SessionSteps:
        """Log in, count and look; again when a reply is 401."""
        while True:
            reply = yield client.post(self.login, json=self.credentials(client), fresh=True, reads=nothing)
            if not reply.ok:
                yield _RETRY
                continue
            while reply.status != 401:
                yield client.post(self.write, writes=True)
                reply = yield client.get(self.read)

    def final(self, client: Client, /) -> Request:
        """The count."""
        return client.get(self.read)
