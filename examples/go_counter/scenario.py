"""A Go service that counts visits in its memory, behind cookie affinity: one of three processes is killed."""

from harness import At, Balancing, Command, Design, Kill, Restart, Scenario, Sessions, loses_the_at_risk
from harness.recipes import Number, SessionCounter


class Visitor(SessionCounter):
    observe = Number(r"been here (\d+) times")


SCENARIO = Scenario(
    designs=[Design("memory", Command("./counter", ready="/health"), Balancing("cookie"), at_risk="victim")],
    load=Sessions(concurrent=40, duration="5s", warmup="500ms"),
    faults=[At("2s", Kill(1)), At("3s", Restart(1))],
    expect=[loses_the_at_risk("memory", judged=30)],
)
