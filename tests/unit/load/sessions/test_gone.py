import time

import pytest

from harness.load.http.client import Client, Request, Sleep
from harness.load.http.response import Response
from harness.load.sessions.behaviour import SessionSteps, no_steps
from harness.load.sessions.carriers import Body
from harness.load.sessions.gone import JsonRpcError, Sign, Status
from harness.load.sessions.sweep import FinalSweep
from harness.observations.identity import Change, UnreadFinal
from harness.observations.requests import SWEEP, Anomaly, Outcome
from harness.oracle.judge import judge
from harness.oracle.models import counter
from harness.oracle.outcome import SessionOutcome
from tests.support.load import Rig, Scripted, Shelf, Visitor, reply, scripted
from tests.unit.load.sessions.test_extractors import reply as answer

UNKNOWN = b'{"code":1,"message":"Session ID unknown"}'
RPC = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Session not found"}}'
EVENTS = b"event: message\ndata: " + RPC + b"\n\n"


def with_status(code: int, body: bytes, head: str = "") -> Response:
    return Response(answer(body, head).head, code, body)


@pytest.mark.parametrize(
    ("sign", "reply", "matches"),
    [
        (Status(404), with_status(404, b""), True),
        (Status(404), with_status(400, b""), False),
        (Status(404, 410), with_status(410, b""), True),
        (Body("Session ID unknown"), with_status(400, UNKNOWN), True),
        (Body("Session ID unknown"), with_status(400, b"{}"), False),
        (Status(400) & Body("unknown"), with_status(400, UNKNOWN), True),
        (Status(404) & Body("unknown"), with_status(400, UNKNOWN), False),
        (Status(404) | Body("unknown"), with_status(400, UNKNOWN), True),
        (Status(404) | Body("unknown") & Status(500), with_status(400, UNKNOWN), False),
        (JsonRpcError(-32600), with_status(200, RPC), True),
        (JsonRpcError(-32601), with_status(200, RPC), False),
        (JsonRpcError("not found"), with_status(200, RPC), True),
        (JsonRpcError("not found"), with_status(200, EVENTS, "Content-Type: text/event-stream\r\n"), True),
        (JsonRpcError("not found"), with_status(200, b'{"error": "not found"}'), False),
        (JsonRpcError("not found"), with_status(200, b"<html>not found"), False),
    ],
)
def test_a_sign_matches_the_replies_that_it_names(sign: Sign, reply: Response, matches: bool) -> None:
    assert sign.matches(reply) is matches


class Talker(Visitor):
    gone = (Status(404), Body("Session ID unknown"))


def write_twice(client: Client) -> SessionSteps:
    yield client.post("/say", writes="a")
    yield client.post("/say", writes="b")


def swept(server: Scripted, user: Visitor, *then: bytes) -> Rig:
    """A rig whose session has run and was read for the last time; these are the last replies."""
    done: list[bool] = []
    rig = Rig(server.url)
    rig.visit(user)
    server.script(*then)
    rig.context.stopping = True
    FinalSweep(rig.registry, 5000, lambda: done.append(True)).start(time.monotonic_ns())
    rig.until(lambda: bool(done))
    return rig


def test_a_session_that_is_gone_at_the_end_is_lost() -> None:
    with scripted(otherwise=Shelf()) as server:
        rig = swept(server, Talker(write_twice), *[reply(400, UNKNOWN)] * 9)
        rig.close()
    verdict = judge(rig.sessions[0].ledger.history())
    assert (verdict.outcome, verdict.lost_writes, verdict.unread) == (SessionOutcome.LOST, 2, None)
    gone = [change for change in verdict.identity if change.change is Change.GONE]
    assert [change.why for change in gone] == [f"reply 400: {UNKNOWN.decode()}"]


def test_without_such_a_sign_it_is_unknown_with_the_reply_that_it_got() -> None:
    with scripted(otherwise=Shelf()) as server:
        rig = swept(server, Visitor(write_twice), *[reply(400, UNKNOWN)] * 9)
        rig.close()
    verdict = judge(rig.sessions[0].ledger.history())
    assert verdict.unknown and verdict.unread == UnreadFinal(400, UNKNOWN.decode())


class Mistyped(Visitor):
    model = counter

    def observe(self, reply: Response, /) -> object:
        return "2"


def test_a_final_read_of_a_type_that_the_model_does_not_read_says_so() -> None:
    with scripted(otherwise=Shelf()) as server:
        rig = swept(server, Mistyped(write_twice))
        rig.close()
    verdict = judge(rig.sessions[0].ledger.history())
    assert verdict.unknown and verdict.unread == UnreadFinal(200, "a counter is an integer, not '2'")


def test_a_write_that_finds_the_session_gone_failed_even_if_no_replica_is_named() -> None:
    def lose(client: Client) -> SessionSteps:
        yield client.post("/say", writes="a")
        server.script(reply(404, replica=""))
        yield client.post("/say", writes="b")

    with scripted(otherwise=Shelf()) as server:
        rig = Rig(server.url)
        rig.visit(Talker(lose))
        rig.close()
    row = rig.rows()[1]
    assert (Outcome(row["outcome"]), Anomaly(row["anomaly"])) == (Outcome.FAILED, Anomaly.LOST)
    assert judge(rig.sessions[0].ledger.history()).in_doubt == 0


class LoggingIn(Visitor):
    """Its final read takes two requests and a pause."""

    gone = Status(404)

    def final(self, client: Client, /) -> Request | SessionSteps | None:
        return self.steps(client)

    def steps(self, client: Client) -> SessionSteps:
        token = yield client.post("/token", reads=lambda reply: None)
        yield Sleep(0.001)
        yield client.get(f"/cart?token={token.status}")


def test_a_final_read_of_several_steps_is_judged_by_the_last() -> None:
    with scripted(otherwise=Shelf()) as server:
        rig = swept(server, LoggingIn(write_twice), reply(201, b"{}"))
        rig.close()
    assert server.requests[-1].startswith(b"GET /cart?token=201 ")
    assert judge(rig.sessions[0].ledger.history()).outcome is SessionOutcome.KEPT
    rows = rig.rows()
    assert [int(row["status"]) for row in rows[rows["phase"] == SWEEP]] == [201, 200]


def test_a_step_that_says_gone_ends_the_final_read() -> None:
    with scripted(otherwise=Shelf()) as server:
        rig = swept(server, LoggingIn(write_twice), *[reply(404)] * 9)
        rig.close()
    assert judge(rig.sessions[0].ledger.history()).outcome is SessionOutcome.LOST
    assert not any(request.startswith(b"GET /cart") for request in server.requests)


def test_a_step_that_gets_no_reply_begins_the_final_read_again() -> None:
    with scripted(otherwise=Shelf()) as server:
        rig = swept(server, LoggingIn(write_twice), reply(201), reply(503, replica=""))
        rig.close()
    last = [request.split(b" ")[1] for request in server.requests[2:]]
    assert last == [b"/token", b"/cart?token=201", b"/token", b"/cart?token=200"]
    assert judge(rig.sessions[0].ledger.history()).outcome is SessionOutcome.KEPT


def test_a_final_read_that_yields_nothing_leaves_the_session_unknown() -> None:
    class Nothing(Visitor):
        def final(self, client: Client, /) -> Request | SessionSteps | None:
            return no_steps()

    with scripted(otherwise=Shelf()) as server:
        rig = swept(server, Nothing(write_twice))
        rig.close()
    verdict = judge(rig.sessions[0].ledger.history())
    assert verdict.unknown and verdict.unread == UnreadFinal(0, "")
