import socket
import threading
import time

import pytest

from harness.load.http.client import Client, Request
from harness.load.http.redirects import redirected_request
from harness.load.http.response import Head, Response
from harness.load.sessions.behaviour import SessionSteps
from harness.observations.requests import Outcome
from tests.support.load import Scripted, Shelf, Visitor, drive, header, reply, scripted

CLIENT = Client(1)
ORIGIN = "http://h:1"


def answered(status: int, location: str) -> Response:
    head = Head.parse(b"HTTP/1.1 %d Moved\r\nLocation: %b" % (status, location.encode()))
    return Response(head, status, b"")


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("/there", "/there"),
        ("there?x=1", "/a/there?x=1"),
        ("?x=1", "/a/b?x=1"),
        ("http://h:1/c", "/c"),
        ("http://h:1", "/"),
        ("//h:1/c#part", "/c"),
        ("HTTP://H:1/c", "/c"),
        ("/s\u00e9 a?\u00e9", "/s%C3%A9%20a?%C3%A9"),
        ("http://user:word@h:1/c", "/c"),
        ("\\c\\d", "/c/d"),
        ("http:\\\\h:1\\c?d\\e", "/c?d\\e"),
        ("http:c", "/a/c"),
        ("///h:1/c", "/c"),
        ("/c/../d/./e/..", "/d/"),
        ("../../../c", "/c"),
        ("/c/%2e%2E/d", "/d"),
        ("/c//d", "/c//d"),
        ("/to/http://elsewhere/", "/to/http://elsewhere/"),
        ("/c?", "/c?"),
        ("#part", "/a/b"),
        ('/"<c>|d^`{e}', "/%22%3Cc%3E%7Cd%5E%60%7Be%7D"),
        ("?\"<c>'|{d}", "/a/b?%22%3Cc%3E%27|{d}"),
    ],
)
def test_a_redirect_within_the_origin_leads_to_the_path_that_browsers_ask_for(location: str, path: str) -> None:
    hop = redirected_request(CLIENT.get("/a/b"), answered(302, location), ORIGIN)
    assert hop is not None and (hop.method, hop.path) == ("GET", path)


@pytest.mark.parametrize("location", ["http://other/", "https://h:1/", "http://h:2/", "mailto:a@b", "/\\other/"])
def test_a_redirect_off_the_origin_is_not_followed(location: str) -> None:
    assert redirected_request(CLIENT.get("/"), answered(302, location), ORIGIN) is None


def test_a_relative_redirect_keeps_the_empty_folders_and_the_query_of_its_page() -> None:
    page = CLIENT.get("/a//b?x=1")
    hops = [redirected_request(page, answered(302, location), ORIGIN) for location in ("c", "", "#part")]
    assert [hop and hop.path for hop in hops] == ["/a//c", None, "/a//b?x=1"]


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (303, "DELETE", "GET"),
        (303, "HEAD", "HEAD"),
        (302, "PUT", "PUT"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
    ],
)
def test_the_status_determines_method_and_body(status: int, method: str, then: str) -> None:
    hop = redirected_request(CLIENT.request(method, "/", data=b"body"), answered(status, "/there"), ORIGIN)
    assert hop is not None and (hop.method, hop.body) == (then, b"body" if then == method else b"")


@pytest.mark.parametrize("status", [200, 300, 304])
def test_other_responses_redirect_nowhere(status: int) -> None:
    assert redirected_request(CLIENT.get("/"), answered(status, "/there"), ORIGIN) is None


def moved(path: str, status: int = 302) -> bytes:
    return reply(status, b"", {"Location": path, "Set-Cookie": f"at={path.strip('/')}"})


class Visit:
    """What became of one request: the replies to its session, and the record of each request that was sent."""

    def __init__(self, server: Scripted, request: Request, user: type[Visitor] = Visitor) -> None:
        self.replies: list[Response] = []

        def session(client: Client) -> SessionSteps:
            self.replies.append((yield request))

        self.driven = drive(server.url, user(session))
        self.outcomes = self.driven.outcomes
        self.lines = [sent.split(b"\r\n")[0].decode() for sent in server.requests]
        records, names = self.driven.records, self.driven.context.names
        self.names = [names.lookup("name", number) for number in records["name"].tolist()]
        self.statuses = records["status"].tolist()
        self.writes = [op != 0 for op in records["op"].tolist()]


def test_each_hop_is_a_request_of_its_own_and_the_last_response_is_the_result() -> None:
    with scripted(moved("/b"), moved("/c"), reply(body=b"here")) as server:
        visit = Visit(server, CLIENT.get("/a", follow=2))
        assert b"Cookie: at=c\r\n" in server.requests[2]
    assert [response.body for response in visit.replies] == [b"here"]
    assert visit.names == ["GET /a", "GET /b", "GET /c"]
    assert (visit.statuses, visit.outcomes) == ([302, 302, 200], [Outcome.OK] * 3)
    assert visit.lines == ["GET /a HTTP/1.1", "GET /b HTTP/1.1", "GET /c HTTP/1.1"]


def test_a_request_with_a_name_of_its_own_keeps_ids_out_of_the_names_of_its_hops() -> None:
    with scripted(moved("/item/17"), moved("/item/18"), reply()) as server:
        assert Visit(server, CLIENT.get("/a", name="buy", follow=2)).names == [
            "buy",
            "buy, redirected",
            "buy, redirected",
        ]


def test_each_hop_has_its_own_time() -> None:
    def slow_to_redirect(request: bytes) -> bytes:
        if not request.startswith(b"GET /a "):
            return reply()
        time.sleep(0.1)
        return reply(302, b"", {"Location": "/b"})

    with scripted(otherwise=slow_to_redirect) as server:
        records = Visit(server, CLIENT.get("/a", follow=1)).driven.records
    assert records["t_end"][0] - records["t_sent"][0] >= 100_000_000
    assert records["t_intended"][1] == records["t_end"][0] <= records["t_sent"][1]


def test_one_redirect_too_many_is_the_result_and_has_failed() -> None:
    with scripted(otherwise=lambda request: moved("/again")) as server:
        visit = Visit(server, CLIENT.get("/a", follow=3))
    assert len(visit.lines) == 4
    assert [response.status for response in visit.replies] == [302]
    assert visit.outcomes == [Outcome.OK] * 3 + [Outcome.FAILED]


@pytest.mark.parametrize("location", ["http://[", "http://h:99999999/", "//[::1", "/x\\y" + "z" * 5000 + ":"])
def test_a_location_that_is_no_url_garbles_that_reply_alone(location: str) -> None:
    with scripted(moved(location), moved("/b"), reply()) as server:
        visit = Visit(server, CLIENT.get("/a", follow=3))
    assert len(visit.replies) == 1
    assert visit.outcomes[0] is (Outcome.OK if location.startswith("/x") else Outcome.IN_DOUBT)


@pytest.mark.parametrize(("then", "outcome"), [(200, Outcome.OK), (404, Outcome.FAILED), (500, Outcome.IN_DOUBT)])
def test_a_write_that_is_answered_by_see_other_is_acknowledged_whatever_that_page_answers(
    then: int, outcome: Outcome
) -> None:
    with scripted(moved("/b", 303), reply(then)) as server:
        visit = Visit(server, CLIENT.post("/a", data=b"x", writes=1, follow=1))
        assert [b"Idempotency-Key" in request for request in server.requests] == [True, False]
    assert visit.outcomes == [Outcome.OK, outcome]
    assert (visit.names, visit.writes) == (["POST /a", "GET /b"], [True, False])
    assert visit.driven.sessions[0].ledger.history().acknowledged == 1


@pytest.mark.parametrize(("then", "acknowledged"), [(200, 1), (409, 0)])
def test_a_write_that_is_sent_elsewhere_counts_by_the_reply_from_there(then: int, acknowledged: int) -> None:
    with scripted(moved("/b", 307), reply(then)) as server:
        visit = Visit(server, CLIENT.post("/a", data=b"x", writes=1, follow=1))
        keys = [header(request, "Idempotency-Key") for request in server.requests]
        assert keys[0] == keys[1] and all(request.endswith(b"x") for request in server.requests)
    assert (visit.names, visit.writes) == (["POST /a", "POST /b"], [False, True])
    assert visit.driven.sessions[0].ledger.history().acknowledged == acknowledged


@pytest.mark.parametrize("location", ["/b", "http://elsewhere/"])
def test_a_write_that_is_asked_to_go_elsewhere_and_does_not_is_not_done(location: str) -> None:
    with scripted(moved(location, 308)) as server:
        visit = Visit(server, CLIENT.post("/a", data=b"x", writes=1))
    assert visit.outcomes == [Outcome.FAILED]
    assert visit.driven.sessions[0].ledger.history().failed == ((1, 1),)


def test_the_login_page_behind_a_redirect_shows_nothing_of_the_session() -> None:
    class Member(Visitor):
        def forced_login(self, reply: Response, /) -> bool:
            return reply.status == 302

    with scripted(moved("/login"), reply(body=Shelf().body())) as server:
        visit = Visit(server, CLIENT.get("/a", follow=3), Member)
    assert visit.outcomes == [Outcome.FAILED, Outcome.OK]
    assert [response.status for response in visit.replies] == [200]
    assert visit.driven.sessions[0].ledger.history().forced_logins == 1


def test_at_the_head_a_redirect_is_followed_before_its_body_is_there() -> None:
    saved = threading.Event()

    def redirect_then_save(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 4\r\n\r\n")
        assert saved.wait(5)
        connection.sendall(b"done")

    def answer(request: bytes) -> bytes:
        saved.set()
        return reply(body=b"here")

    with scripted(redirect_then_save, otherwise=answer) as server:
        visit = Visit(server, CLIENT.get("/a", follow="head"))
    assert [response.body for response in visit.replies] == [b"here"]
    assert server.connections == 2
    assert visit.outcomes == [Outcome.OK, Outcome.OK]


def test_no_redirect_is_followed_by_default() -> None:
    with scripted(moved("/b")) as server:
        visit = Visit(server, CLIENT.get("/a"))
    assert (len(visit.lines), visit.replies[0].status) == (1, 302)
