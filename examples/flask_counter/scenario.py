"""Flask's session in a signed cookie, in Redis with Flask-Session, or in memory: one process of three dies."""

from harness import At, Balancing, Command, Design, Kill, Restart, Scenario, Sessions, keeps, loses_the_at_risk
from harness.recipes import SessionCounter

GUNICORN = "gunicorn app:app --threads 8 -b 127.0.0.1:{port}"


class Visitor(SessionCounter):
    write, method, read = "/count", "POST", "/count"


SCENARIO = Scenario(
    designs=[
        Design("signed_cookie", Command(GUNICORN), at_risk="none"),
        Design("flask_session", Command(GUNICORN, env={"SESSIONS": "{store}"}, store="redis"), at_risk="none"),
        Design("memory", Command(GUNICORN, env={"SESSIONS": "memory"}), Balancing("cookie"), at_risk="victim"),
    ],
    load=Sessions(concurrent=40, duration="4s", warmup="500ms"),
    faults=[At("1500ms", Kill(1)), At("2500ms", Restart(1))],
    expect=[keeps("signed_cookie"), keeps("flask_session"), loses_the_at_risk("memory", judged=30)],
)
