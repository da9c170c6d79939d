"""The store comes back empty and all users start again at once: how many sessions begin per second, against before?

harness run scenarios/thundering_herd.py
"""

from locust import between

from harness import (
    At,
    Balancing,
    BuiltIn,
    Client,
    Design,
    Heal,
    KillStore,
    Request,
    Scenario,
    Sessions,
    SessionSteps,
    SessionUser,
    clean_control,
    loses_the_at_risk,
    surges,
)


class Visitor(SessionUser):
    """A visit of some seconds, followed by another one: visits begin all the time."""

    wait_time = between(0.2, 0.4)

    def session(self, cart: Client) -> SessionSteps:
        for _ in range(4 + cart.number % 9):
            yield cart.post("/cart/add", json={"item": "tea"}, writes="tea")
            yield cart.get("/cart")

    def final(self, cart: Client) -> Request:
        return cart.get("/cart")


# A visit lasts some seconds, so only some of the users begin one in any second; after the loss all of them do.
DESIGNS = (Design("hybrid", BuiltIn(state="redis"), Balancing("round_robin"), at_risk="victim"),)
EXPECT = (surges("hybrid", least=2.0), loses_the_at_risk("hybrid", judged=100), clean_control("hybrid"))

SCENARIO = Scenario(
    designs=DESIGNS,
    replicas=3,
    load=Sessions(concurrent=150, duration="16s", warmup="2s"),
    faults=[At("8s", KillStore()), At("9s", Heal(KillStore()))],
    expect=EXPECT,
    quick="7s",
)
