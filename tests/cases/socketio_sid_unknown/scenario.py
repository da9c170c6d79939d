"""Long polling whose sid only one process knows; a reply of 400 says that it is gone."""

import json
from typing import Any, ClassVar

from locust import between

from harness import (
    At,
    Balancing,
    Body,
    Command,
    Design,
    Kill,
    Restart,
    Scenario,
    Sessions,
    SessionUser,
    Status,
    finds,
    loses_the_at_risk,
)
from harness.oracle.models import counter
from harness.recipes import Json

IO = "/socket.io/?EIO=4&transport=polling"


class Talker(SessionUser):
    model, wait_time, observe = counter, between(0.05, 0.2), Json("messages")
    gone: ClassVar[Any] = Status(400) & Body("Session ID unknown")

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.sids: dict[int, str] = {}

    def session(self, client: Any) -> Any:
        hello = yield client.get(IO, reads=lambda reply: None, name="handshake")
        if not hello.ok:
            return
        sid = self.sids[client.number] = json.loads(hello.body[1:])["sid"]
        while True:
            yield client.post(f"{IO}&sid={sid}", data=b"4hello", writes=True, name="POST message")
            yield client.get(f"{IO}&sid={sid}", name="GET poll")

    def final(self, client: Any) -> Any:
        sid = self.sids.get(client.number)
        return sid and client.get(f"{IO}&sid={sid}", name="GET poll")


SERVER = Command("node server.js", ready="/health")
SCENARIO = Scenario(
    designs=[
        Design("rr", SERVER),
        Design("sticky", SERVER, Balancing("cookie"), at_risk="victim"),
    ],
    load=Sessions(concurrent=30, duration="5s", warmup="1s"),
    faults=[At("2s", Kill(1)), At("3s", Restart(1))],
    expect=[finds("rr", among=("lost", "stale")), loses_the_at_risk("sticky", judged=25)],
)
