"""The TypeScript SDK with two replicas: sessions in memory, with a shared event store, and without sessions."""

from harness import At, Balancing, Command, Design, Kill, Restart, Scenario, Sessions, finds, keeps, loses_the_at_risk
from harness.recipes import Mcp

START = "node server.js"
BY_SESSION = Balancing("learn_header", key="Mcp-Session-Id")
MEMORY = Command(START, ready="/health")
EVENTS = Command(START, ready="/health", store="redis", env={"EVENTS": "{store}"})
STATELESS = Command(START, ready="/health", store="redis", env={"STATELESS": "{store}"})


class Agent(Mcp):
    tool, read_tool = "count", "total"


SCENARIO = Scenario(
    designs=[
        Design("spread", MEMORY, Balancing("round_robin")),
        Design("spread_events", EVENTS, Balancing("round_robin")),
        Design("affinity", MEMORY, BY_SESSION, at_risk="victim"),
        Design("stateless", STATELESS, Balancing("round_robin"), at_risk="none"),
    ],
    replicas=2,
    load=Sessions(concurrent=30, duration="4s", warmup="500ms"),
    faults=[
        At("2s", Kill(1), only=["affinity", "stateless"]),
        At("2500ms", Restart(1), only=["affinity", "stateless"]),
    ],
    expect=[
        finds("spread", among=("lost", "stale")),
        finds("spread_events", among=("lost", "stale")),
        loses_the_at_risk("affinity", judged=25),
        keeps("stateless"),
    ],
)
