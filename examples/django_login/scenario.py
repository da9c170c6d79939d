"""A Django login (CSRF token, new session id), its sessions in a database, when one of three processes is killed."""

from harness import At, Command, Design, Kill, Restart, Scenario, Sessions, keeps
from harness.recipes import Login, Text


class Customer(Login):
    login_page = "/login/"
    who = Text(r"Signed in as (\w+)")


SCENARIO = Scenario(
    designs=[
        Design(
            "database",
            target=Command("gunicorn shop:application --threads 4 -b 127.0.0.1:{port}", ready="/health"),
            at_risk="none",
        )
    ],
    load=Sessions(concurrent=20, duration="6s", warmup="1s"),
    faults=[At("2500ms", Kill(1)), At("3500ms", Restart(1))],
    expect=[keeps("database")],
)
