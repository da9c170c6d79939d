"""The ready-made users by what they ask for, and what they make of the replies; no server, no Locust run."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pytest

from harness.load.http.client import Client, Request
from harness.load.http.wire import HeadCache, Response, ResponseReader
from harness.load.locustfiles.session_user import Environment
from harness.load.sessions.behaviour import parse_tally
from harness.load.sessions.extractors import Json, Number
from harness.oracle.observed import Observed
from harness.recipes import Cart, Login, Probe, SessionCounter, ShortVisit
from harness.recipes.pages import hidden_fields


def reply(body: str, status: int = 200, location: str = "") -> Response:
    head = f"Location: {location}\r\n" if location else ""
    data = f"HTTP/1.1 {status} X\r\n{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()
    response = ResponseReader(HeadCache()).feed(data, "GET")
    assert response is not None
    return response


def played(user: Any, client: Client, answer: Callable[[Request], Response], steps: int) -> list[Request]:
    """The requests of so many steps, each answered."""
    session, requests = user.session(client), []
    step = next(session)
    for _ in range(steps):
        if isinstance(step, Request):
            requests.append(step)
            with suppress(StopIteration):
                step = session.send(answer(step))
        else:
            step = next(session)
    return requests


def lines(requests: Sequence[Request]) -> list[str]:
    return [f"{request.method} {request.path}{' W' if request.writes is not None else ''}" for request in requests]


class Visits(SessionCounter):
    write, method, read = "/count", "POST", "/count"
    observe = Number()


class Page(SessionCounter):
    write = "/visits"


def test_a_counter_is_incremented_and_read() -> None:
    requests = played(Visits(Environment()), Client(1), lambda _: reply("1"), 4)
    assert lines(requests) == ["POST /count W", "GET /count", "POST /count W", "GET /count"]


def test_a_counter_that_reads_increment_too_allows_for_the_last_reads() -> None:
    user, client = Page(Environment()), Client(1)
    assert lines(played(user, client, lambda _: reply("1"), 2)) == ["GET /visits W"] * 2

    def look(shown: str) -> object:
        last = user.final(client)
        assert last.reads is not None
        return last.reads(reply(shown))

    assert [look(f"visit {count}") for count in (3, 4, 5)] == [2, 2, 2]
    assert look("visit 1") == 0


def test_every_write_puts_another_item_into_the_cart() -> None:
    class Shopper(Cart):
        form, item = True, "sku"

    requests = played(Shopper(Environment()), Client(1), lambda _: reply("{}"), 4)
    assert lines(requests) == ["POST /cart/add W", "GET /cart", "POST /cart/add W", "GET /cart"]
    assert [request.body for request in requests if request.body] == [b"sku=item-1", b"sku=item-2"]
    assert [request.writes for request in requests if request.body] == ["item-1", "item-2"]
    assert Shopper(Environment()).observe(reply('{"items": ["a"]}')) == ["a"]


def test_a_visit_that_is_over_is_judged_by_its_last_read_and_another_by_the_final_one() -> None:
    user, over, unfinished = ShortVisit(Environment()), Client(1), Client(2)
    full, empty = reply('{"items": {"tea": 3}}'), reply('{"items": {}}')
    assert lines(played(user, over, lambda _: full, 4)) == ["POST /cart/add W"] * 3 + ["GET /cart"]
    played(user, unfinished, lambda _: full, 2)
    seen_last, read_now = user.final(over), user.final(unfinished)
    assert seen_last.reads is not None and seen_last.reads(empty) == parse_tally(full)
    assert lines([read_now]) == ["GET /cart"] and read_now.reads is None


FORM = "<form><input type=HIDDEN name='csrf' value='t&amp;1'><input type='hidden' name=next value='/'><input name=q>"


def test_hidden_fields_are_taken_from_the_form() -> None:
    assert hidden_fields(FORM) == {"csrf": "t&1", "next": "/"}


def site(request: Request) -> Response:
    if request.path == "/login":
        return reply(FORM) if request.method == "GET" else reply("", 303, "/")
    return reply("Signed in as <b>u7</b>")


def test_a_login_sends_the_token_of_the_form_and_counts_once_a_page_shows_it() -> None:
    requests = played(Login(Environment()), Client(7), site, 5)
    assert lines(requests) == ["GET /login", "POST /login", "GET /", "GET / W", "GET /"]
    assert requests[1].body == b"csrf=t%261&next=%2F&username=u7&password=secret"
    assert requests[3].writes == "u7"


def test_a_failed_login_is_repeated_and_loses_nothing() -> None:
    def refuses(request: Request) -> Response:
        return reply("no", 403) if request.method == "POST" else site(request)

    requests = played(Login(Environment()), Client(7), refuses, 5)
    assert lines(requests) == ["GET /login", "POST /login", "GET /login", "POST /login"]


@pytest.mark.parametrize(
    ("page", "seen"),
    [
        (reply("Signed in as <b>u7</b>"), Observed(owner="u7", state="u7")),
        (reply("Signed in as <b>u71</b>"), Observed(owner="u7", state="")),
        (reply("", 302, "/login?next=/"), Observed(owner="u7", state="")),
    ],
)
def test_the_state_of_a_login_is_the_user_that_the_page_names(page: Response, seen: Observed) -> None:
    look = Login(Environment()).visit(Client(7))
    assert look.reads is not None and look.reads(page) == seen


def test_the_page_of_another_user_names_its_owner() -> None:
    class Named(Login):
        who = Json("name")

    look = Named(Environment()).visit(Client(7))
    assert look.reads is not None and look.reads(reply('{"name": "u8"}')) == Observed(owner="u8", state="u8")


@pytest.mark.parametrize(
    ("answer", "forced"),
    [
        (reply("", 401), True),
        (reply("", 302, "/login?next=/"), True),
        (reply("", 303, "http://127.0.0.1:8080/login"), True),
        (reply("", 302, "/login/"), True),
        (reply("", 302, "/login/oauth2/code/x"), False),
        (reply("", 302, "/loginless"), False),
        (reply("", 302, "/en/login"), False),
        (reply("", 302, "/cart"), False),
        (reply("", 403), False),
    ],
)
def test_a_401_or_a_redirect_to_the_login_forces_a_login(answer: Response, forced: bool) -> None:
    assert Login(Environment()).forced_login(answer) is forced


@pytest.mark.parametrize(
    ("page", "location", "forced"),
    [
        ("/*/login", "/en/login?next=/cart", True),
        ("/*/login", "/login", False),
        ("/login/", "/login", True),
        ("/", "/", True),
        ("/", "/cart", False),
    ],
)
def test_a_login_page_may_be_a_pattern_of_paths(page: str, location: str, forced: bool) -> None:
    class Signed(Login):
        login_page = page

    assert Signed(Environment()).forced_login(reply("", 302, location)) is forced


def test_the_probe_recognises_a_counter_on_the_page() -> None:
    user, client, visits = Probe(Environment()), Client(1), iter(range(1, 100))
    assert lines(played(user, client, lambda _: reply(f"visits: {next(visits)}"), 5)) == ["GET /"] * 3 + ["GET / W"] * 2
    last = user.final(client)
    assert last is not None and last.reads is not None
    assert last.reads(reply("visits: 6")) == 2  # three were learned from, the last look counts itself
    assert last.reads(reply("visits: 1")) == 0


def test_the_probe_compares_the_values_that_belong_to_the_session() -> None:
    user, client, pages = Probe(Environment()), Client(1), iter(["<p>Hi", *["<p>Hi <b>u1</b>"] * 9])
    requests = played(user, client, lambda _: reply(next(pages)), 5)
    assert lines(requests) == ["GET /"] * 3 + ["GET / W", "GET /"]
    assert requests[4].reads is not None
    assert [requests[4].reads(reply(page)) for page in ("<p>Hi <b>u1</b>", "<p>Hi")] == [1, 0]


def test_the_probe_observes_nothing_if_the_page_shows_nothing() -> None:
    user, client = Probe(Environment()), Client(1)
    assert lines(played(user, client, lambda _: reply("Hi"), 6)) == ["GET /"] * 6
    assert user.final(client) is None
