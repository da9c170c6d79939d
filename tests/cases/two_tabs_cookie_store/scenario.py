"""Two tabs of one browser that add to one list, which is in the cookie: the later Set-Cookie wins."""

from collections.abc import Callable
from typing import Any

from locust import between

from harness import Command, Design, Scenario, Sessions, SessionUser, keeps
from harness.oracle.models import items


class Tab(SessionUser):
    model, devices, browser, wait_time = items, 2, "shared", between(0.02, 0.1)

    def mine(self, client: Any) -> Callable[[Any], list[str]]:
        return lambda reply: [item for item in reply.json()["items"] if item.startswith(f"w{client.number}-")]

    def session(self, client: Any) -> Any:
        for number in range(30):
            item = f"w{client.number}-{number}"
            yield client.post(f"/items/{item}", writes=item, reads=self.mine(client), name="add")
        while True:
            yield client.get("/items", reads=self.mine(client))

    def final(self, client: Any) -> Any:
        return client.get("/items", reads=self.mine(client))


SCENARIO = Scenario(
    designs=[
        Design("cookie_store", Command("gunicorn server:app --threads 8 -b 127.0.0.1:{port}", ready="/health")),
    ],
    replicas=2,
    load=Sessions(concurrent=20, duration="5s", warmup="1s"),
    expect=[keeps("cookie_store")],
)
