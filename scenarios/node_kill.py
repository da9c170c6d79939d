"""What does a dead node do to the sessions? One of three replicas is killed under load, and comes back empty.

harness run scenarios/node_kill.py
locust -f scenarios/node_kill.py --headless --host http://127.0.0.1:8080 -u 50 -t 20s
"""

from locust import between

from harness import (
    At,
    Balancing,
    BuiltIn,
    Client,
    Design,
    Kill,
    Request,
    Restart,
    Scenario,
    Sessions,
    SessionSteps,
    SessionUser,
    clean_control,
    finds,
    keeps,
    loses_the_at_risk,
)


class Shopper(SessionUser):
    """Fills a cart, looks at it after every change, and now and then takes something out or orders."""

    wait_time = between(0.05, 0.2)

    def session(self, cart: Client) -> SessionSteps:
        while True:
            for item in ("tea", "honey", "rusks"):
                yield cart.post("/cart/add", json={"item": item}, writes=item)
                yield cart.get("/cart")
            yield cart.post("/cart/remove", json={"item": "rusks"}, writes="rusks")
            yield cart.get("/cart")
            yield cart.post("/checkout", writes="order")
            yield cart.get("/cart")

    def final(self, cart: Client) -> Request:
        return cart.get("/cart")


STATELESS = Design("stateless", BuiltIn(state="token"), Balancing("round_robin"), at_risk="none")
STICKY = Design("sticky", BuiltIn(state="memory"), Balancing("cookie"), at_risk="victim")
HYBRID = Design("hybrid", BuiltIn(state="redis"), Balancing("round_robin"), at_risk="none")
BROKEN = Design("broken", BuiltIn(state="memory"), Balancing("round_robin"))
SPLIT_KEYS = Design("split_keys", BuiltIn(state="token", options={"keys": "split"}), Balancing("round_robin"))

EXPECT = (
    keeps("stateless", "hybrid"),
    loses_the_at_risk("sticky", judged=150),
    finds("broken", among=("lost", "stale")),
    finds("split_keys", among=("forced_login",)),
    clean_control("stateless", "sticky", "hybrid"),
)

SCENARIO = Scenario(
    designs=[STATELESS, STICKY, HYBRID, BROKEN, SPLIT_KEYS],
    replicas=3,
    load=Sessions(concurrent=200, duration="14s", warmup="2s"),
    faults=[At("5s", Kill(replica=1)), At("9s", Restart(replica=1))],
    expect=EXPECT,
    quick="3500ms",
)
