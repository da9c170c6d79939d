"""Claims about sessions that live on an open connection: C18, C19."""

from harness.claims.claim import Claim, ClaimFinding, ClaimPoint, RequiredRun, Runs, UnsettledError, require_measured
from harness.common.durations import parse_seconds
from harness.results.summary import ArmFigures, MessageFigures

GAME, CHAT = RequiredRun("game"), RequiredRun("chat")


def _heard(arm: ArmFigures, what: str) -> MessageFigures:
    """What happened on an arm's WebSockets.

    Raises:
        UnsettledError: there were none.
    """
    if arm.messages is None:
        raise UnsettledError(f"{what} opened no WebSocket; run it again")
    return arm.messages


def _server_holds_the_game(runs: Runs) -> ClaimFinding:
    arms = {name: runs.arm("game", name) for name in ("memory", "redis")}
    points, rows = [], []
    back = True
    for name, arm in arms.items():
        found, sessions = _heard(arm, f"game, {name}"), arm.sessions
        if not found.ended:
            raise UnsettledError(f"game, {name}: the dead replica held no player; more rooms would have one")
        tick = parse_seconds(str(runs.design("game", name).describe.get("option_tick", "100ms")))
        gap = require_measured(found.silence_ms.p50, "the silence") / 1000 / tick
        worst = require_measured(found.silence_ms.max, "the silence") / 1000 / tick
        rejoin = require_measured(found.rejoin_ms.p50, "the time to rejoin")
        back &= found.reconnects >= found.ended
        points.append(ClaimPoint.share(name, sessions.lost, sessions.judged, 0.0 if name == "redis" else None))
        rows.append(
            f"{name}: {sessions.lost} of {sessions.judged} players lost their position, {found.ended} were cut off and "
            f"back after {rejoin:.0f} ms (median), with a gap of {gap:.0f} ticks (at most {worst:.0f})"
        )
    lost = {name: arm.sessions.lost for name, arm in arms.items()}
    return ClaimFinding.of(lost["memory"] > 0 == lost["redis"] and back, "; ".join(rows), "% of players lost", points)


def _chat_keeps_a_socket(runs: Runs) -> ClaimFinding:
    found = {name: _heard(runs.arm("chat", name), f"chat, {name}") for name in ("alone", "bus", "history")}
    calm = _heard(runs.arm("chat", "alone", "control"), "chat, alone")
    predicted = {"history": 0.0}
    points = [ClaimPoint.share(name, one.lost, one.due, predicted.get(name)) for name, one in found.items()]
    points.append(ClaimPoint.share("alone, without a fault", calm.lost, calm.due))
    rows = [
        f"{name}: {one.lost:,} of {one.due:,} messages lost ({one.missed:,} while away), {one.repeated} repeated, "
        f"{one.disordered} out of order"
        for name, one in found.items()
    ]
    bus, history = found["bus"], found["history"]
    rows.append(
        f"after the kill {bus.opened_per_s_worst or 0:.0f} connections in the worst second against "
        f"{bus.opened_per_s_before or 0:.1f} a second before, {bus.ended} cut off at once"
    )
    holds = history.lost + history.repeated == 0 < calm.lost and bus.lost == bus.missed and bus.ended > 0
    return ClaimFinding.of(holds, "; ".join(rows), "% of messages lost", points)


CLAIMS = (
    Claim(
        "C18", "a multiplayer game server is stateful", "6",
        "a game over WebSockets, each room on one replica, positions in memory or in Redis; kill -9 of one of three",
        "memory loses the positions of the dead replica's players, Redis none; both cut them off, and all come back",
        (GAME,), _server_holds_the_game,
    ),
    Claim(
        "C19", "real-time chat needs a persistent socket", "6, 12",
        "a chat over WebSockets with rooms across three replicas: without a bus, with Redis pub/sub, with a history "
        "too; kill -9 of one replica",
        "without a bus messages are lost even without a fault; the bus loses only what is said while one is away, the "
        "history nothing; the dead replica's connections are all made anew at once",
        (CHAT,), _chat_keeps_a_socket,
    ),
)  # fmt: skip
