"""A session store that runs out of memory: half of its data has to go."""

from harness import At, Command, Design, Evict, Heal, Scenario, Sessions, keeps
from harness.recipes import SessionCounter


class Visitor(SessionCounter):
    write, method, read = "/count", "POST", "/count"


evict = Evict(share=0.5)

SCENARIO = Scenario(
    designs=[
        Design(
            "flask_session",
            at_risk="none",
            target=Command(
                "gunicorn server:app --threads 8 -b 127.0.0.1:{port}",
                ready="/health",
                store="redis",
                env={"STORE": "{store}"},
            ),
        )
    ],
    replicas=2,
    load=Sessions(concurrent=30, duration="8s", warmup="1s"),
    faults=[At("4s", evict), At("6s", Heal(evict))],
    expect=[keeps("flask_session")],
)
