"""Claims about sessions on an open connection: C18, C19."""

from harness.claims.claim import Claim, ClaimFinding, ClaimPoint, RequiredRun, Runs, UnsettledError, require_measured
from harness.common.durations import parse_seconds
from harness.results.summary import ArmFigures, MessageFigures

GAME, CHAT = RequiredRun("game"), RequiredRun("chat")


def _read_messages(arm: ArmFigures, name: str) -> MessageFigures:
    """The figures of an arm's WebSocket messages.

    Raises:
        UnsettledError: there were none.
    """
    if arm.messages is None:
        raise UnsettledError(f"{name} opened no WebSocket; run it again")
    return arm.messages


def _judge_game(runs: Runs) -> ClaimFinding:
    arms = {name: runs.arm("game", name) for name in ("memory", "redis")}
    messages = {name: _read_messages(arm, f"game, {name}") for name, arm in arms.items()}
    rows = [_describe_interruption(runs, name, arm, messages[name]) for name, arm in arms.items()]
    memory, redis = (arm.sessions for arm in arms.values())
    points = [
        ClaimPoint.share("memory", memory.lost, memory.judged),
        ClaimPoint.share("redis", redis.lost, redis.judged, 0.0),
    ]
    all_back = all(figures.reconnects >= figures.ended for figures in messages.values())
    holds = memory.lost > 0 == redis.lost and all_back
    return ClaimFinding.supported_if(holds, "; ".join(rows), "% of players lost", points)


def _describe_interruption(runs: Runs, design: str, arm: ArmFigures, messages: MessageFigures) -> str:
    if not messages.ended:
        raise UnsettledError(f"game, {design}: the dead replica held no player; use more rooms")
    tick_s = parse_seconds(str(runs.design("game", design).describe.get("option_tick", "100ms")))
    median = require_measured(messages.silence_ms.p50, "the silence") / 1000 / tick_s
    worst = require_measured(messages.silence_ms.max, "the silence") / 1000 / tick_s
    rejoin = require_measured(messages.rejoin_ms.p50, "the time to rejoin")
    return (
        f"{design}: {arm.sessions.lost} of {arm.sessions.judged} players lost their position, {messages.ended} were "
        f"cut off and back after {rejoin:.0f} ms (median), with a gap of {median:.0f} ticks (at most {worst:.0f})"
    )


def _judge_chat(runs: Runs) -> ClaimFinding:
    messages = {name: _read_messages(runs.arm("chat", name), f"chat, {name}") for name in ("alone", "bus", "history")}
    quiet = _read_messages(runs.arm("chat", "alone", "control"), "chat, alone")
    bus, history = messages["bus"], messages["history"]
    points = [
        *(
            ClaimPoint.share(name, figures.lost, figures.due, 0.0 if name == "history" else None)
            for name, figures in messages.items()
        ),
        ClaimPoint.share("alone, without a fault", quiet.lost, quiet.due),
    ]
    rows = [
        *(_describe_delivery(name, figures) for name, figures in messages.items()),
        f"after the kill {bus.opened_per_s_worst or 0:.0f} connections in the worst second, compared with "
        f"{bus.opened_per_s_before or 0:.1f} per second before, {bus.ended} cut off at once",
    ]
    holds = history.lost + history.repeated == 0 < quiet.lost and bus.lost == bus.missed and bus.ended > 0
    return ClaimFinding.supported_if(holds, "; ".join(rows), "% of messages lost", points)


def _describe_delivery(design: str, messages: MessageFigures) -> str:
    return (
        f"{design}: {messages.lost:,} of {messages.due:,} messages lost ({messages.missed:,} while away), "
        f"{messages.repeated} repeated, {messages.disordered} out of order"
    )


CLAIMS = (
    Claim(
        "C18", "a multiplayer game server is stateful", "6",
        "a game over WebSockets, each room on one replica, positions in memory or in Redis; kill -9 of one of three "
        "replicas",
        "memory loses the positions of the dead replica's players, Redis loses none; both cut them off, and all come "
        "back",
        (GAME,), _judge_game,
    ),
    Claim(
        "C19", "real-time chat needs a persistent socket", "6, 12",
        "a chat over WebSockets with rooms across three replicas: without a bus, with Redis pub/sub, and with a "
        "history as well; kill -9 of one replica",
        "without a bus messages are lost even without a fault; the bus loses only messages sent while their receiver "
        "is away, the history loses none; the dead replica's clients all reconnect at once",
        (CHAT,), _judge_chat,
    ),
)  # fmt: skip
