"""The Socket.IO client by the steps that it takes; no server."""

from typing import Any

from harness.load.http.client import OP, Client, Connect, Listen, Message, Request, Sleep
from harness.load.http.response import NO_RESPONSE, Head, Response
from harness.load.locustfiles.session_user import Environment
from harness.oracle.observed import Observed
from harness.recipes import SocketIo

HELLO = b'0{"sid":"engine-1","upgrades":["websocket"],"pingInterval":25000}'


class Guest(SocketIo):
    room, read = "lobby", "/count"


def reply(body: bytes = b"", status: int = 200) -> Response:
    return Response(Head(b"", status, []), status, body)


def connected(steps: Any) -> Any:
    """Play the steps until the socket is open; returns the next step."""
    hello = next(steps)
    assert (hello.path, hello.fresh) == ("/socket.io/?EIO=4&transport=polling", True)
    join = steps.send(reply(HELLO))
    assert (join.method, join.body) == ("POST", b"40")
    steps.send(reply(b"ok"))
    opening = steps.send(reply(b'40{"sid":"socket-1"}\x1e42["said",{}]'))
    assert isinstance(opening, Connect)
    assert (opening.path, opening.room) == ("/socket.io/?EIO=4&transport=websocket", "lobby")
    probe = steps.send(reply(status=101))
    assert isinstance(probe, Message) and probe.body == b"2probe" and probe.answer is not None
    assert probe.answer(reply(b"3probe")) and not probe.answer(reply(b"2"))
    upgraded = steps.send(reply(b"3probe", 101))
    assert upgraded.body == b"5"
    return steps.send(reply(status=101))


def test_only_the_handshakes_sid_travels_in_the_url() -> None:
    assert Guest.carries.find(reply(HELLO)) == "engine-1"
    assert Guest.carries.find(reply(b'40{"sid":"socket-1"}')) is None


def test_it_connects_by_polling_upgrades_and_emits_with_an_acknowledgement() -> None:
    user, client = Guest(Environment()), Client(1)
    emitted = connected(user.session(client))
    assert isinstance(emitted, Message) and emitted.writes is True
    assert emitted.body == b'421["say",{"op":"%b"}]' % OP.encode()
    assert emitted.answer is not None and emitted.reads is not None
    assert emitted.answer(reply(b"431[7]")) and not emitted.answer(reply(b"4312[7]"))
    assert emitted.reads(reply(b"431[7]")) == Observed(birth="socket-1", state=7)
    final = user.final(client)
    assert final is not None and final.path == "/count?id=socket-1"


def test_it_answers_pings_and_takes_messages_until_none_comes() -> None:
    steps = Guest(Environment()).session(Client(1))
    connected(steps)
    assert isinstance(steps.send(reply(b"431[1]", 101)), Listen)
    pong = steps.send(reply(b"2", 101))
    assert isinstance(pong, Message) and pong.body == b"3"
    assert isinstance(steps.send(reply(status=101)), Listen)
    assert isinstance(steps.send(reply(b'42["said",{}]', 101)), Listen)
    assert isinstance(steps.send(reply(status=204)), Message), "the next emission"


def test_it_connects_again_after_a_refusal_and_when_the_socket_breaks() -> None:
    steps = Guest(Environment()).session(Client(1))
    next(steps)
    refused = steps.send(reply(b'{"code":1,"message":"Session ID unknown"}', 400))
    assert isinstance(refused, Sleep)
    hello = next(steps)
    assert isinstance(hello, Request) and hello.name == "handshake"
    steps.close()
    steps = Guest(Environment()).session(Client(1))
    connected(steps)
    again = steps.send(NO_RESPONSE)
    assert isinstance(again, Request) and again.name == "handshake"


def test_a_socket_that_was_never_open_has_nothing_to_read() -> None:
    assert Guest(Environment()).final(Client(1)) is None
