"""The scenario of the ten million records; it is never run."""

from harness import At, Balancing, BuiltIn, Client, Design, Kill, Restart, Scenario, Sessions, SessionSteps, SessionUser


class Shopper(SessionUser):
    """Writes and reads alternately."""

    def session(self, cart: Client) -> SessionSteps:
        while True:
            yield cart.post("/cart/add", json={"item": "tea"}, writes="tea")
            yield cart.get("/cart")


SCENARIO = Scenario(
    designs=[Design("sticky", BuiltIn(state="memory"), Balancing("cookie"), at_risk="victim")],
    replicas=3,
    load=Sessions(concurrent=2000, duration="500s", warmup="2s"),
    faults=[At("200s", Kill(replica=1)), At("300s", Restart(replica=1))],
)
