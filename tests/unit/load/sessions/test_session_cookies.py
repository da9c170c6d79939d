"""A session's cookies: where they are sent, when they end, and what a loss has to do with it."""

import pytest

from harness.common.errors import UsageError
from harness.load.http.client import Client, Sleep
from harness.load.locustfiles.session_user import SessionUser
from harness.load.sessions.behaviour import SessionSteps
from harness.observations.identity import Change
from harness.observations.requests import Anomaly
from tests.support.load import Driven, Shelf, Visitor, drive, header, reply, scripted


class Keeper:
    """A service that finds its session by a cookie, and begins a new one without it."""

    def __init__(self, attributes: str) -> None:
        self._attributes = attributes
        self._shelves: list[Shelf] = []

    def __call__(self, request: bytes) -> bytes:
        sid = (header(request, "Cookie") or "").removeprefix("sid=")
        if sid:
            return self._shelves[int(sid)](request)
        self._shelves.append(Shelf(birth=f"b{len(self._shelves)}"))
        shown = self._shelves[-1](request)
        set_cookie = f"Set-Cookie: sid={len(self._shelves) - 1}{self._attributes}\r\n".encode()
        return shown.replace(b"\r\n\r\n", b"\r\n" + set_cookie + b"\r\n", 1)


def writes(client: Client, paths: tuple[str, ...] = ("/a", "/a"), pause: float = 0.0) -> SessionSteps:
    """One write per path, with a pause between them."""
    for path in paths:
        yield client.post(path, writes=True)
        yield Sleep(pause)


def missed(driven: Driven) -> list[tuple[int, str, str]]:
    """The losses in the reply to the first request without a cookie: when, which cookie, why."""
    changes = driven.sessions[0].ledger.history().identity
    return [(change.t_ns, change.name, change.why) for change in changes if change.change is Change.MISSED]


@pytest.mark.slow  # it takes seconds
def test_a_loss_in_the_reply_to_the_first_request_without_a_cookie_is_put_down_to_that() -> None:
    with scripted(otherwise=Keeper("; Max-Age=1")) as server:
        driven = drive(server.url, Visitor(lambda client: writes(client, pause=1.05)))
    assert driven.records["anomaly"].tolist() == [Anomaly.NONE, Anomaly.LOST]
    t_lost = int(driven.records["t_end"][1])
    assert missed(driven) == [(t_lost, "cookie sid", "expired: Max-Age 1")]
    assert driven.sessions[0].ledger.history().divergences[-1].t_ns == t_lost


def test_a_loss_with_the_cookie_sent_is_not() -> None:
    shelves = [Shelf("b1"), Shelf("b2")]
    first = shelves[0](b"").replace(b"\r\n\r\n", b"\r\nSet-Cookie: sid=1\r\nSet-Cookie: x=1; Domain=com\r\n\r\n", 1)
    with scripted(first, reply(), otherwise=shelves[1]) as server:
        driven = drive(server.url, Visitor(lambda client: writes(client, ("/a", "/a", "/a"))))
    assert Anomaly.LOST in driven.records["anomaly"].tolist()
    assert missed(driven) == []


def test_a_cookie_without_a_path_is_withheld_outside_of_its_folder() -> None:
    with scripted(otherwise=Keeper("")) as server:
        driven = drive(server.url, Visitor(lambda client: writes(client, ("/auth/login", "/auth/me", "/api/me"))))
        sent = [header(request, "Cookie") for request in server.requests]
    assert sent == [None, "sid=0", None]
    assert [what[1:] for what in missed(driven)] == [("cookie sid", "withheld: Path=/auth")]


def test_a_refused_cookie_explains_why_each_write_begins_a_new_session() -> None:
    with scripted(otherwise=Keeper("; Domain=shop.example.com")) as server:
        driven = drive(server.url, Visitor(writes))
    assert [what[1:] for what in missed(driven)] == [
        ("cookie sid", "refused: Domain=shop.example.com does not fit 127.0.0.1")
    ]


@pytest.mark.slow  # it takes seconds
def test_immortal_cookies_outlive_their_age() -> None:
    class Patient(Visitor):
        cookies = "immortal"

    with scripted(otherwise=Keeper("; Max-Age=1")) as server:
        driven = drive(server.url, Patient(lambda client: writes(client, pause=1.05)))
    assert driven.records["anomaly"].tolist() == [Anomaly.NONE, Anomaly.NONE]


def test_the_trace_names_what_set_a_cookie() -> None:
    with scripted(otherwise=Keeper("; Path=/")) as server:
        driven = drive(server.url, Visitor(writes))
    (change,) = driven.sessions[0].ledger.history().identity
    assert change[1:] == (Change.SET, "cookie sid", "0", "reply to /a")


class Tab(Visitor):
    devices = 2
    browser = "shared"


def test_tabs_of_one_browser_share_its_cookies_but_no_ledger() -> None:
    counting = iter(range(100))

    def renew(_: bytes) -> bytes:
        return reply(headers={"Set-Cookie": f"sid={next(counting)}"})

    with scripted(otherwise=renew) as server:
        driven = drive(server.url, *(Tab(lambda client: writes(client, pause=0.05)) for _ in range(2)))
        sent = [header(request, "Cookie") for request in server.requests]
    assert sent[:2] == [None, "sid=0"] and {*sent[2:]} <= {"sid=1", "sid=2"}, "a reply may not be there yet"
    assert [session.ledger.history().issued for session in driven.sessions] == [2, 2]


@pytest.mark.parametrize("wrong", [{"cookies": "eternal"}, {"browser": "both"}])
def test_only_known_ways_to_keep_cookies_are_accepted(wrong: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong.values()))):
        type("Wrong", (SessionUser,), wrong)
