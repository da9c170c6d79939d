import time

import pytest

from harness.load.http.client import Client, Request
from harness.load.http.redirects import redirected_request
from harness.load.http.response import Head, Response
from harness.load.sessions.behaviour import SessionSteps
from harness.observations.requests import Outcome
from tests.support.load import Scripted, Visitor, drive, reply, scripted

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
    ],
)
def test_a_redirect_within_the_origin_leads_to_its_path(location: str, path: str) -> None:
    hop = redirected_request(CLIENT.get("/a/b"), answered(302, location), ORIGIN)
    assert hop is not None and (hop.method, hop.path) == ("GET", path)


@pytest.mark.parametrize("location", ["http://other/", "https://h:1/", "http://h:2/", "mailto:a@b"])
def test_a_redirect_off_the_origin_is_not_followed(location: str) -> None:
    assert redirected_request(CLIENT.get("/"), answered(302, location), ORIGIN) is None


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


def visit(server: Scripted, request: Request) -> tuple[list[Response], list[Outcome], list[str]]:
    replies = []

    def session(client: Client) -> SessionSteps:
        replies.append((yield request))

    driven = drive(server.url, Visitor(session))
    lines = [sent.split(b"\r\n")[0].decode() for sent in server.requests]
    assert len(driven.records) == 1
    assert driven.context.names.lookup("name", int(driven.records["name"][0])) == f"{request.method} {request.path}"
    return replies, driven.outcomes, lines


def test_followed_redirects_count_as_one_request_with_the_last_response() -> None:
    with scripted(moved("/b"), moved("/c"), reply(body=b"here")) as server:
        replies, outcomes, lines = visit(server, CLIENT.get("/a", follow=2))
        assert b"Cookie: at=c\r\n" in server.requests[2]
    assert [reply.body for reply in replies] == [b"here"]
    assert outcomes == [Outcome.OK]
    assert lines == ["GET /a HTTP/1.1", "GET /b HTTP/1.1", "GET /c HTTP/1.1"]


@pytest.mark.parametrize("connection", ["keep-alive", "close"])
def test_the_time_of_a_redirected_request_counts_from_its_first_send(connection: str) -> None:
    def slow_to_redirect(request: bytes) -> bytes:
        if not request.startswith(b"GET /a "):
            return reply()
        time.sleep(0.1)
        return reply(302, b"", {"Location": "/b", "Connection": connection})

    with scripted(otherwise=slow_to_redirect) as server:
        request = CLIENT.get("/a", follow=1)

        def session(client: Client) -> SessionSteps:
            yield request

        records = drive(server.url, Visitor(session)).records
    assert records["t_end"][0] - records["t_sent"][0] >= 100_000_000


def test_one_redirect_too_many_is_the_response() -> None:
    with scripted(otherwise=lambda request: moved("/again")) as server:
        replies, _, lines = visit(server, CLIENT.get("/a", follow=3))
    assert len(lines) == 4
    assert [reply.status for reply in replies] == [302]


def test_no_redirect_is_followed_by_default() -> None:
    with scripted(moved("/b")) as server:
        replies, _, lines = visit(server, CLIENT.get("/a"))
    assert (len(lines), replies[0].status) == (1, 302)


def test_a_redirected_write_keeps_its_key_unless_it_becomes_a_read() -> None:
    for status, keys in ((307, 2), (303, 1)):
        with scripted(moved("/b", status), reply()) as server:
            visit(server, CLIENT.post("/a", data=b"x", writes=1, follow=1))
            assert sum(b"Idempotency-Key" in request for request in server.requests) == keys
