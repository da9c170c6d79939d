"""The judge against seeded bugs: a cart service that drops, repeats, forgets or mixes up writes at a known rate.

Every bench runs it automatically; this file holds the users that drive it.
"""

from locust import constant

from harness import Balancing, BuiltIn, Client, Design, Request, Scenario, Sessions, SessionSteps, SessionUser, finds


class Checker(SessionUser):
    """Twelve writes, each followed by a read."""

    wait_time = constant(0)

    def session(self, cart: Client) -> SessionSteps:
        for _ in range(12):
            yield cart.post("/cart/add", json={"item": "tea"}, writes="tea")
            yield cart.get("/cart")

    def final(self, cart: Client) -> Request:
        return cart.get("/cart")


SCENARIO = Scenario(
    designs=[
        Design("faulty", BuiltIn(state="faulty", options={"bugs": "drop:0.1,lose:0.1"}), Balancing("round_robin"))
    ],
    replicas=1,
    load=Sessions(concurrent=60, duration="3s", warmup="0s"),
    expect=[finds("faulty", among=("lost",))],
)
