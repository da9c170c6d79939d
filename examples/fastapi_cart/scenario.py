"""A FastAPI cart in process memory, behind cookie affinity: one of three processes is killed."""

from harness import At, Balancing, Command, Design, Kill, Restart, Scenario, Sessions, loses_the_at_risk
from harness.recipes import Cart


class Shopper(Cart):
    """Adds with /cart/add and reads /cart, as the recipe does by default."""


SCENARIO = Scenario(
    designs=[
        Design(
            "memory",
            Command("uvicorn app:app --port {port} --log-level warning", ready="/health"),
            Balancing("cookie"),
            at_risk="victim",
        )
    ],
    load=Sessions(concurrent=40, duration="6s", warmup="500ms"),
    faults=[At("2s", Kill(1)), At("3s", Restart(1))],
    expect=[loses_the_at_risk("memory", judged=30)],
)
