"""Socket.IO with its state in the process, and with its Redis adapter: one of two processes is killed."""

from harness import (
    At,
    Balancing,
    Command,
    Design,
    Kill,
    Restart,
    Scenario,
    Sessions,
    finds,
    loses_messages,
    loses_the_at_risk,
)
from harness.recipes import SocketIo

ALONE = Command("node server.js", ready="/health")
ADAPTER = Command("node server.js", ready="/health", store="redis", env={"REDIS_URL": "{store}"})


class Guest(SocketIo):
    room, read = "lobby", "/count"


SCENARIO = Scenario(
    designs=[
        Design("spread", ALONE, Balancing("round_robin")),
        Design("sticky", ALONE, Balancing("cookie"), at_risk="victim"),
        Design("adapter", ADAPTER, Balancing("cookie"), at_risk="victim"),
    ],
    replicas=2,
    load=Sessions(concurrent=16, duration="5s", warmup="1s"),
    faults=[
        At("2500ms", Kill(1), only=["sticky", "adapter"]),
        At("3s", Restart(1), only=["sticky", "adapter"]),
    ],
    expect=[
        finds("spread", among=("lost", "stale", "unknown")),  # without any fault: most never get past the handshake
        loses_the_at_risk("sticky", "adapter", judged=12),
        loses_messages("sticky"),
    ],
)
