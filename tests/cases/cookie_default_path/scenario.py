"""Members who log in below /auth and use /api, where a browser does not send the cookie."""

from typing import Any
from urllib.parse import urlencode

from locust import between

from harness import Command, Design, Scenario, Sessions, SessionUser, keeps
from harness.oracle.models import register
from harness.recipes import Json


class Member(SessionUser):
    model, wait_time = register, between(0.05, 0.2)
    observe = Json("user", missing="")

    def session(self, client: Any) -> Any:
        form = urlencode({"user": client.user})
        yield client.post("/auth/login", data=form, writes=client.user, reads=lambda reply: None)
        while True:
            yield client.get("/api/me")

    def final(self, client: Any) -> Any:
        return client.get("/api/me")


def service(attributes: str) -> Command:
    return Command("gunicorn server:app --threads 4 -b 127.0.0.1:{port}", ready="/health", env={"ATTR": attributes})


SCENARIO = Scenario(
    designs=[
        Design("no_path", service("")),
        Design("other_domain", service("; Path=/; Domain=shop.example.com")),
        Design("right", service("; Path=/")),
    ],
    replicas=2,
    load=Sessions(concurrent=20, duration="4s", warmup="1s"),
    expect=[keeps("no_path", "other_domain", "right")],
)
