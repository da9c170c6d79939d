"""Does an MCP server survive a second replica? Its sessions in memory, and without sessions, with the official SDK."""

from harness import (
    At,
    Balancing,
    Command,
    Design,
    Kill,
    Restart,
    RollingDeploy,
    Scenario,
    Sessions,
    finds,
    keeps,
    loses_the_at_risk,
)
from harness.recipes import Mcp

MEMORY = Command("python server.py", ready=None)
STATELESS = Command("python server.py", ready=None, store="redis", env={"STORE": "{store}"})
BY_SESSION = Balancing("learn_header", key="Mcp-Session-Id")


class Agent(Mcp):
    tool, read_tool = "count", "total"


SCENARIO = Scenario(
    designs=[
        Design("spread", MEMORY, Balancing("round_robin")),
        Design("affinity", MEMORY, BY_SESSION, at_risk="victim"),
        Design("deployed", MEMORY, BY_SESSION),
        Design("stateless", STATELESS, Balancing("round_robin"), at_risk="none"),
    ],
    replicas=2,
    load=Sessions(concurrent=30, duration="4s", warmup="500ms"),
    faults=[
        At("2s", Kill(1), only=["affinity", "stateless"]),
        At("2500ms", Restart(1), only=["affinity", "stateless"]),
        At("1500ms", RollingDeploy(), only=["deployed"]),
    ],
    expect=[
        finds("spread", among=("lost", "stale")),  # without any fault
        loses_the_at_risk("affinity", judged=25),
        finds("deployed", among=("lost",)),
        keeps("stateless"),
    ],
)
