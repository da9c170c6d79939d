"""A Django login (CSRF, a new session id) with its sessions in a database or a cache: one process of three dies."""

from harness import At, Balancing, Command, Design, Kill, Restart, Scenario, Sessions, keeps, loses_the_at_risk
from harness.recipes import Login, Text

GUNICORN = "gunicorn shop:application --threads 4 -b 127.0.0.1:{port}"


class Customer(Login):
    login_page = "/login/"
    who = Text(r"Signed in as (\w+)")


SCENARIO = Scenario(
    designs=[
        Design("database", Command(GUNICORN, ready="/health"), at_risk="none"),
        Design(
            "local_cache",
            Command(GUNICORN, ready="/health", env={"SESSIONS": "cache"}),
            Balancing("cookie"),
            at_risk="victim",
        ),
    ],
    load=Sessions(concurrent=20, duration="6s", warmup="1s"),
    faults=[At("2500ms", Kill(1)), At("3500ms", Restart(1))],
    expect=[keeps("database"), loses_the_at_risk("local_cache", judged=15)],
)
