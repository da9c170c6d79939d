"""What does a player find after the game server has died? Positions in its memory compared with positions in Redis.

All players of a room are sent to one replica (by the header X-Room), as game servers do.

harness run scenarios/game.py
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
    keeps,
    loses_only_the_at_risk,
)

PLAYERS = 5  # per room
PAUSE = 0.2  # seconds between two moves


class Player(SessionUser):
    """Moves and follows the ticks; rejoins its room whenever its connection breaks."""

    wait_time = between(0.02, 0.06)

    def session(self, game: Client) -> SessionSteps:
        room = str(game.number // PLAYERS)
        while True:
            reply = yield game.connect(f"/game?room={room}", headers={"X-Room": room})
            while reply.ok:
                reply = yield game.send(json={"dx": 1, "dy": 0}, writes="east")
                if reply.ok:
                    reply = yield game.listen(PAUSE)

    def final(self, game: Client) -> Request:
        return game.get("/game", headers={"X-Room": str(game.number // PLAYERS)})


BY_ROOM = Balancing("hash_header", key="X-Room")
TICK = {"tick": "50ms"}
DESIGNS = (
    Design("memory", BuiltIn("game", state="memory", options=TICK), BY_ROOM, at_risk="victim"),
    Design("redis", BuiltIn("game", state="redis", options=TICK), BY_ROOM, at_risk="none"),
)
EXPECT = (
    keeps("redis"),
    loses_only_the_at_risk("memory", judged=40),
    clean_control("memory", "redis"),
)

SCENARIO = Scenario(
    designs=DESIGNS,
    replicas=3,
    load=Sessions(concurrent=100, duration="20s", warmup="2s"),
    faults=[At("7s", Kill(replica=1)), At("13s", Restart(replica=1))],
    expect=EXPECT,
)
