"""Users of pages: a counter, a cart, a login, and one that knows nothing but a path."""

import re
from collections.abc import Generator
from html.parser import HTMLParser
from typing import Any, ClassVar
from urllib.parse import urlencode

from harness.load.http.client import Client, Request, Sleep
from harness.load.http.response import Response
from harness.load.locustfiles.session_user import Environment, SessionUser, between
from harness.load.sessions.behaviour import SessionSteps, parse_tally
from harness.load.sessions.carriers import Header
from harness.load.sessions.extractors import Json, Number, Text, nothing, text_of
from harness.oracle.models import counter, items, register
from harness.oracle.observed import Observed
from harness.oracle.page import OwnLines, VisitCounter, learn_session_mark

_LOGIN_RETRY = Sleep(0.2)  # between two tries to log in


class SessionCounter(SessionUser):
    """A page that counts: every request of ``method`` to ``write`` raises the session's count by one.

    ``read`` shows it without raising it; if there is no such page (None) the final read counts too, and is
    subtracted. ``observe`` finds the count in a reply; by default it is the first whole number of the body.
    """

    abstract = True
    model = counter
    wait_time = between(0.05, 0.2)
    write: ClassVar[str] = "/"
    method: ClassVar[str] = "GET"
    read: ClassVar[str | None] = None

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._looks: dict[int, int] = {}  # of each session, the final reads that were answered

    def observe(self, reply: Response, /) -> Any:
        """The first whole number of the body."""
        return Number()(reply)

    def session(self, client: Client, /) -> SessionSteps:
        """Raise it, and read it where that can be done."""
        while True:
            yield client.request(self.method, self.write, writes=True)
            if self.read is not None:
                yield client.get(self.read)

    def final(self, client: Client, /) -> Request:
        """The count, without what the looks at it have added."""
        if self.read is not None:
            return client.get(self.read)
        return client.request(self.method, self.write, reads=lambda reply: self._look(client, reply))

    def _look(self, client: Client, reply: Response) -> int | None:
        looks = self._looks[client.number] = self._looks.get(client.number, 0) + 1
        count = self.observe(reply)
        return max(0, count - looks) if isinstance(count, int) else None


class Cart(SessionUser):
    """A cart, a list, a set of anything: ``add`` takes one item more, ``read`` shows them all.

    Items are sent as the field ``item`` of a JSON body, or of a form. ``observe`` finds the items in a reply; by
    default they are the JSON's ``items``.
    """

    abstract = True
    model = items
    wait_time = between(0.05, 0.2)
    add: ClassVar[str] = "/cart/add"
    read: ClassVar[str] = "/cart"
    item: ClassVar[str] = "item"
    form: ClassVar[bool] = False
    most: ClassVar[int] = 50  # items in one session

    def observe(self, reply: Response, /) -> Any:
        """The JSON's ``items``."""
        return Json("items")(reply)

    def session(self, client: Client, /) -> SessionSteps:
        """Add something, look at it all."""
        for number in range(1, self.most + 1):
            name = f"item-{number}"
            body = {"data": urlencode({self.item: name})} if self.form else {"json": {self.item: name}}
            yield client.post(self.add, **body, writes=name, reads=self._only_on_read)
            yield client.get(self.read)

    @staticmethod
    def _only_on_read(_: Response) -> None:
        """What answers an addition need not show the cart."""

    def final(self, client: Client, /) -> Request:
        """All of it."""
        return client.get(self.read)


class Shopper(SessionUser):
    """The built-in cart's user: fills a cart and looks at it, for as long as the load lasts."""

    abstract = True
    wait_time = between(0.05, 0.2)

    def session(self, client: Client, /) -> SessionSteps:
        """Add something, look at it all."""
        while True:
            yield client.post("/cart/add", json={"item": "tea"}, writes="tea")
            yield client.get("/cart")

    def final(self, client: Client, /) -> Request:
        """All of it."""
        return client.get("/cart")


class ShortVisit(Shopper):
    """The built-in cart's user on a short visit: fills a cart, looks at it, and the visit is over.

    A finished visit has nothing left to lose, so it is judged by its last read; a visit in progress by the final read.
    """

    abstract = True

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._seen_last: dict[int, Any] = {}  # by the number of the session

    def session(self, client: Client, /) -> SessionSteps:
        """Add three things, look at them."""
        for _ in range(3):
            yield client.post("/cart/add", json={"item": "tea"}, writes="tea")
        last = yield client.get("/cart")
        if last.ok:
            self._seen_last[client.number] = parse_tally(last)

    def final(self, client: Client, /) -> Request:
        """All of it, as it was seen last if the visit is over."""
        if client.number in self._seen_last:
            return client.get("/cart", reads=lambda _: self._seen_last[client.number])
        return super().final(client)


class Login(SessionUser):
    """A login by a form, then visits to a page that says who is logged in.

    The form's hidden fields (a CSRF token) are fetched first and sent along. Who is logged in is read from ``home``:
    by default the user's name stands somewhere in it; ``who`` (such as ``Text("Hello, (\\\\w+)")``) reads whose it is,
    and so detects another user's. Logged out means lost: the session's own state is that it is logged in.
    """

    abstract = True
    model = register
    wait_time = between(0.05, 0.2)
    login_page: ClassVar[str] = "/login"
    submit: ClassVar[str | None] = None  # where the form goes; None: to its own page
    home: ClassVar[str] = "/"
    fields: ClassVar[tuple[str, str]] = ("username", "password")
    who: ClassVar[Text | Json | Header | None] = None

    def credentials(self, client: Client, /) -> tuple[str, str]:
        """Name and password of a session."""
        return client.user, "secret"

    def session(self, client: Client, /) -> SessionSteps:
        """Log in, then come back again and again."""
        yield from self.log_in(client)
        # That the session is there counts as acknowledged once a page has shown it.
        yield self.visit(client, writes=self.credentials(client)[0])
        yield from self.visits(client)

    def visits(self, client: Client, /) -> SessionSteps:
        """What a logged-in user does; only looking, unless overridden."""
        while True:
            yield self.visit(client)

    def log_in(self, client: Client, /) -> Generator[Request | Sleep, Response, None]:
        """Try until a page shows the user as logged in: nothing is lost before that."""
        name, password = self.credentials(client)
        while True:
            form = yield client.get(self.login_page, reads=nothing)
            if form.ok:
                filled = {**hidden_fields(text_of(form)), self.fields[0]: name, self.fields[1]: password}
                submitted = yield client.post(self.submit or self.login_page, data=urlencode(filled), reads=nothing)
                page = (yield client.get(self.home, reads=nothing)) if submitted.ok else submitted
                if page.status == 200 and self._name_on(client, page) == name:
                    return
            yield _LOGIN_RETRY

    def visit(self, client: Client, /, **options: Any) -> Request:
        """A look at the page that says who is logged in."""
        return client.get(self.home, reads=lambda reply: self._observe_name(client, reply), **options)

    def final(self, client: Client, /) -> Request:
        """Is it still logged in?"""
        return self.visit(client)

    def _observe_name(self, client: Client, reply: Response) -> Observed:
        name = self._name_on(client, reply) if reply.status == 200 else ""
        mine = name in ("", self.credentials(client)[0])
        return Observed(owner=client.user if mine else name, state=name)

    def _name_on(self, client: Client, reply: Response) -> str:
        """The name on the page; empty if no user is logged in."""
        if self.who is not None:
            return str(self.who(reply) or "")
        name = self.credentials(client)[0]
        return name if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text_of(reply)) else ""


class Probe(SessionUser):
    """Does the session's cookie still give the same page? For a service of which only a path is known.

    What identifies a session is sought in its first three pages (``harness.oracle.page``): a count of its visits, or
    lines that another session's page lacks. If there is neither, its sessions stay unknown.
    """

    abstract = True
    model = counter
    wait_time = between(0.05, 0.2)
    path: ClassVar[str] = "/"

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._views: dict[int, _View] = {}

    def session(self, client: Client, /) -> SessionSteps:
        """Three looks to learn from, then look and compare."""
        pages: list[str] = []
        while len(pages) < 3:
            reply = yield client.get(self.path, reads=nothing)
            pages = [*pages, text_of(reply)] if reply.ok else []
        own = learn_session_mark(*pages)
        if own is None:
            while True:
                yield client.get(self.path, reads=nothing)
        view = self._views[client.number] = _View(own, pages[-1])
        yield client.get(self.path, writes=True, reads=view.state)
        while True:
            yield client.get(self.path, writes=True if view.counts else None, reads=view.state)

    def final(self, client: Client, /) -> Request | None:
        """The same page, once more."""
        view = self._views.get(client.number)
        return None if view is None else client.get(self.path, reads=view.look)


class _View:
    """What one session's page shows, as a count: of its visits since it was learned, or 1 while it is the same."""

    def __init__(self, own: VisitCounter | OwnLines, learned: str) -> None:
        self._own = own
        self._last = self._base = own.count(learned) if isinstance(own, VisitCounter) else 0
        self._looks = 0

    @property
    def counts(self) -> bool:
        """Whether each visit counts."""
        return isinstance(self._own, VisitCounter)

    def state(self, reply: Response) -> int | None:
        """The count that a page shows."""
        page = text_of(reply)
        if isinstance(self._own, OwnLines):
            return int(self._own.holds(page))
        count = self._own.count(page)
        if count < self._last:  # it began from zero, not from where it was learned
            self._base = 0
        self._last = count
        return max(0, count - self._base)

    def look(self, reply: Response) -> int | None:
        """The same without what the last looks have added."""
        self._looks += self.counts
        state = self.state(reply)
        return None if state is None else max(0, state - self._looks)


class _Hidden(HTMLParser):
    """The hidden fields of a page's forms."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        fields = dict(attrs)
        if tag == "input" and (fields.get("type") or "").lower() == "hidden" and fields.get("name"):
            self.fields[fields["name"] or ""] = fields.get("value") or ""


def hidden_fields(page: str) -> dict[str, str]:
    """The names and values of a page's hidden inputs, such as its CSRF token."""
    parser = _Hidden()
    parser.feed(page)
    return parser.fields
