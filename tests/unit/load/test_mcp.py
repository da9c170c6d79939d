"""The MCP client by what it sends, and what it makes of the replies; no server."""

import json
from typing import Any

import pytest

from harness.load.http.client import Client, Request
from harness.load.http.wire import HeadCache, Response, ResponseReader
from harness.load.locustfiles.session_user import Environment
from harness.recipes import Mcp, TokenCounter
from tests.unit.load.test_recipes import played


def reply(body: str, status: int = 200, kind: str = "application/json") -> Response:
    data = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    response = ResponseReader(HeadCache()).feed(data, "POST")
    assert response is not None
    return response


def result(**content: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": content})


def counted(number: int) -> str:
    return result(content=[{"type": "text", "text": str(number)}])


class Pinging(Mcp):
    pass


class Counting(Mcp):
    tool, read_tool = "count", "total"


def messages(requests: list[Request]) -> list[str]:
    return [f"{json.loads(request.body)['method']}{' W' if request.writes else ''}" for request in requests]


def test_without_a_tool_it_pings_and_the_first_ping_counts_as_written() -> None:
    requests = played(Pinging(Environment()), Client(1), lambda _: reply(result()), 5)
    assert messages(requests) == ["initialize", "notifications/initialized", "ping W", "ping", "ping"]
    assert [request.fresh for request in requests] == [True, False, False, False, False]


def test_with_a_tool_each_call_writes() -> None:
    requests = played(Counting(Environment()), Client(1), lambda _: reply(counted(1)), 4)
    assert messages(requests)[2:] == ["tools/call W"] * 2
    assert json.loads(requests[2].body)["params"] == {"name": "count", "arguments": {}}
    ids = [json.loads(request.body).get("id") for request in requests]
    assert ids == [1, None, 2, 3], "a notification has no id, and no two requests share one"


def test_it_initializes_again_when_the_session_is_gone_and_not_for_other_errors() -> None:
    answers = iter([result(), "", counted(1), "busy", counted(2), "gone", result()])

    def answer(_: Request) -> Response:
        body = next(answers)
        return reply(body, {"busy": 503, "gone": 404}.get(body, 200))

    requests = played(Counting(Environment()), Client(1), answer, 7)
    assert messages(requests)[-2:] == ["tools/call W", "initialize"]


def test_it_tries_to_initialize_until_that_succeeds() -> None:
    answers = iter([reply("no", 503), reply(result())])
    requests = played(Pinging(Environment()), Client(1), lambda _: next(answers), 3)
    assert messages(requests) == ["initialize", "initialize"]


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
def test_what_a_tool_shows_is_read_from_json_and_from_an_event_stream(kind: str) -> None:
    body = counted(7) if kind == "application/json" else f"event: message\ndata: {counted(7)}\n\n"
    assert Counting(Environment()).observe(reply(body, kind=kind)) == 7
    assert Pinging(Environment()).observe(reply(body, kind=kind)) == 1


def test_an_error_shows_nothing() -> None:
    error = json.dumps({"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "17"}})
    assert Counting(Environment()).observe(reply(error)) is None
    assert Counting(Environment()).observe(reply(result(isError=True, content=[{"text": "17"}]))) is None
    assert Pinging(Environment()).observe(reply(error)) is None


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (404, "Session not found"),
        (400, "Bad Request: No valid session ID provided"),
        (400, "Invalid or missing session ID"),
    ],
)
def test_what_the_sdks_and_their_examples_answer_for_an_unknown_session_means_gone(status: int, text: str) -> None:
    body = json.dumps({"jsonrpc": "2.0", "error": {"code": -32000, "message": text}, "id": None})
    assert Pinging(Environment()).is_gone(reply(body, status))


def test_the_final_read_shows_the_count_or_whether_the_session_is_there() -> None:
    pinging, counting = Pinging(Environment()).final(Client(1)), Counting(Environment()).final(Client(1))
    assert pinging is not None and messages([pinging]) == ["ping"]
    assert counting is not None and json.loads(counting.body)["params"]["name"] == "total"


class Caller(TokenCounter):
    pass


def test_a_token_is_fetched_first_and_again_when_it_is_refused() -> None:
    answers = iter([500, 200, 200, 200, 200, 401, 200])
    requests = played(Caller(Environment()), Client(1), lambda _: reply("1", next(answers)), 8)
    asked = [f"{request.method} {request.path}{' fresh' if request.fresh else ''}" for request in requests]
    assert asked == [
        "POST /token fresh",
        "POST /token fresh",
        "POST /count",
        "GET /count",
        "POST /count",
        "GET /count",
        "POST /token fresh",
    ]
