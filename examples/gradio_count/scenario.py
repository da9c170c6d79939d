"""Gradio keeps the state of a tab in its process, under the ``session_hash`` that the tab chose; one of two dies."""

import json
import random

from harness import (
    At,
    Balancing,
    Command,
    Design,
    Health,
    Kill,
    Restart,
    Scenario,
    Sessions,
    SessionUser,
    between,
    finds,
    loses_the_at_risk,
)
from harness.load.http.server_sent_events import events_of
from harness.oracle.models import counter

ADD, TOTAL = 0, 1  # the app's functions, in the order of their definition


class Tab(SessionUser):
    """Every call takes two requests: one joins the queue, the other reads the result from a stream of events."""

    model, wait_time = counter, between(0.05, 0.2)
    timeout = 5  # the replica that does not have a call never ends the stream

    def __init__(self, environment):
        super().__init__(environment)
        self.tabs = {}

    def session(self, client):
        self.tabs[client.number] = f"{random.getrandbits(64):x}"
        while True:
            yield from self.call(client, ADD, writes=True)

    def final(self, client):
        yield from self.call(client, TOTAL)

    def call(self, client, function, **options):
        tab = self.tabs[client.number]
        order = {"data": [None], "fn_index": function, "session_hash": tab}
        reply = yield client.post("/gradio_api/queue/join", json=order, reads=lambda _: None, name="join", **options)
        if reply.ok:
            job = reply.json()["event_id"]
            path = f"/gradio_api/queue/data?session_hash={tab}"
            yield client.get(path, reads=lambda stream: result_of(job, stream), name="result")


def result_of(job, stream):
    """The number that a call gave; None if the stream does not hold its end."""
    for event in events_of(stream):
        message = json.loads(event.data)
        if message.get("event_id") == job and message["msg"] == "process_completed" and message["success"]:
            return message["output"]["data"][-1]
    return None


APP = Command("python app.py", ready="/config", ready_within="60s", env={"GRADIO_ANALYTICS_ENABLED": "False"})
PATIENT = Health(interval="2s", fall=10)  # on two cores, its start keeps the other replica from answering for a while
SCENARIO = Scenario(
    designs=[
        Design("spread", APP, Balancing("round_robin", health=PATIENT)),
        Design("affinity", APP, Balancing("cookie", health=PATIENT), at_risk="victim"),
    ],
    replicas=2,
    load=Sessions(concurrent=20, duration="6s", warmup="2s"),
    faults=[
        At("2s", Kill(1), only=["affinity"]),
        At("2500ms", Restart(1), only=["affinity"]),
    ],
    expect=[finds("spread", among=("lost", "stale")), loses_the_at_risk("affinity", judged=15)],
)
