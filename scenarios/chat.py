"""Who receives the messages sent while a replica dies? Rooms across replicas: no bus, a bus, a bus with history.

harness run scenarios/chat.py
"""

import json
import random

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
    Sleep,
    clean_control,
    delivers,
    keeps,
    loses_messages,
)

MEMBERS = 8  # of a room
MOST_SAID = 12  # messages per session, before it leaves
PAUSE = 0.4  # seconds of listening after each message
BACKOFF = 0.3  # seconds before a session comes back, on average


class Chatter(SessionUser):
    """Says something, then listens for a while; rejoins its room whenever its connection breaks."""

    wait_time = between(0.05, 0.15)

    def session(self, chat: Client) -> SessionSteps:
        room, left = str(chat.number // MEMBERS), random.randint(1, MOST_SAID)
        while left:
            reply = yield chat.connect(f"/chat?room={room}&after={_place(chat)}", room=room)
            while reply.ok and left:
                reply = yield chat.send(json={"text": "hello"}, writes="hello")
                left -= 1
                if reply.ok:
                    reply = yield chat.listen(PAUSE)
            if not reply.ok:
                yield Sleep(random.uniform(0.5, 1.5) * BACKOFF)

    def final(self, chat: Client) -> Request:
        return chat.get("/chat")


def _place(chat: Client) -> str:
    """The point up to which this session has received its room's history."""
    return str(json.loads(chat.latest.body).get("at", "0")) if chat.latest else "0"


SPREAD, STICKY = Balancing("round_robin"), Balancing("cookie")
#: Users hear only those who happen to be on the same replica, and a dead replica takes its sessions with it.
ALONE = Design("alone", BuiltIn("chat", state="memory"), STICKY, at_risk="victim")
#: A room spans the replicas; messages sent while a user is away are gone.
BUS = Design("bus", BuiltIn("chat", state="redis", options={"bus": "redis"}), SPREAD, at_risk="none")
#: A user who comes back receives the missed messages.
HISTORY = Design(
    "history",
    BuiltIn("chat", state="redis", options={"bus": "redis", "history": "yes"}),
    SPREAD,
    at_risk="none",
)

EXPECT = (
    loses_messages("alone", "bus"),
    delivers("history"),
    keeps("bus", "history"),
    clean_control("bus", "history"),
)

SCENARIO = Scenario(
    designs=[ALONE, BUS, HISTORY],
    replicas=3,
    load=Sessions(concurrent=120, duration="20s", warmup="2s"),
    faults=[At("7s", Kill(replica=1)), At("13s", Restart(replica=1))],
    expect=EXPECT,
)
