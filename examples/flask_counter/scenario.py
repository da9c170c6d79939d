"""A Flask service with its session in a signed cookie, or in its memory, when one of three processes is killed."""

from harness import At, Balancing, Command, Design, Kill, Restart, Scenario, Sessions, keeps, loses_the_at_risk
from harness.recipes import SessionCounter

GUNICORN = "gunicorn app:app --threads 8 -b 127.0.0.1:{port}"


class Visitor(SessionCounter):
    write, method, read = "/count", "POST", "/count"


SCENARIO = Scenario(
    designs=[
        Design("signed_cookie", target=Command(GUNICORN), at_risk="none"),
        Design(
            "memory",
            target=Command(GUNICORN, env={"SESSIONS": "memory"}),
            balancing=Balancing("cookie"),
            at_risk="victim",
        ),
    ],
    load=Sessions(concurrent=40, duration="5s", warmup="500ms"),
    faults=[At("2s", Kill(1)), At("3s", Restart(1))],
    expect=[keeps("signed_cookie"), loses_the_at_risk("memory", judged=30)],
)
