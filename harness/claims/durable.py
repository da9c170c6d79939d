"""Claims about state that outlives its process: C08, C21, C24."""

from collections.abc import Mapping

from harness.claims.claim import (
    Claim,
    ClaimFinding,
    ClaimPoint,
    RequiredRun,
    Runs,
    UnsettledError,
    require_measured,
    require_unsaturated,
)
from harness.results.summary import ArmFigures, Sagas
from harness.scenario.expectations import seconds_lost

CHECKPOINT, EVENTLOG, CQRS, SAGA = (
    RequiredRun("checkpoint"),
    RequiredRun("eventlog"),
    RequiredRun("cqrs"),
    RequiredRun("saga"),
)
#: Seconds between two checkpoints, by design (scenarios/checkpoint.py).
CHECKPOINT_INTERVALS_S = {"often": 0.5, "seldom": 1.5, "large": 1.5}
#: A loss may exceed one interval by this share: the checkpoint may be late, and the writes are not quite uniform.
TOLERANCE = 0.3
#: The name of the requests by which scenarios/cqrs.py measures the lag.
CAUGHT_UP = "GET /cart, caught up"


def read_recovery(arm: ArmFigures) -> tuple[float, float]:
    """The size of a restarted process's volume in megabytes, and the seconds until its state was restored.

    Raises:
        UnsettledError: no restart recorded them.
    """
    for fault in arm.faults:
        size, duration_s = (fault.evidence.get(f"healed_{key}") for key in ("volume_bytes", "opened_s"))
        if isinstance(size, int | float) and isinstance(duration_s, int | float):
            return size / 1e6, float(duration_s)
    raise UnsettledError("no restart recorded how long it took; run it again")


def _judge_checkpoints(runs: Runs) -> ClaimFinding:
    arms = {name: runs.arm("checkpoint", name) for name in CHECKPOINT_INTERVALS_S}
    points = _seconds_lost_points(arms)
    if not any(arm.writes.lost for arm in arms.values()):
        raise UnsettledError("no crash lost a write, so the bound was not tested; run it again")
    bounded = {name: _is_loss_bounded(name, points[name].value, arm) for name, arm in arms.items()}
    small_mb, small_s = read_recovery(arms["seldom"])
    large_mb, large_s = read_recovery(arms["large"])
    lost_sessions = sum(arm.sessions.lost for arm in arms.values())
    losses = ", ".join(f"{point.label} {point.value:.2f} s of writes" for point in points.values())
    says = (
        f"lost by the crash: {losses}; {lost_sessions} sessions lost. A restart had restored its state after "
        f"{small_s:.2f} s with {small_mb:.2f} MB on its volume, after {large_s:.2f} s with {large_mb:.1f} MB"
    )
    holds = all(bounded.values()) and lost_sessions == 0 and large_s > small_s
    return ClaimFinding.supported_if(holds, says, "s of acknowledged writes lost", list(points.values()))


def _seconds_lost_points(arms: Mapping[str, ArmFigures]) -> Mapping[str, ClaimPoint]:
    """By design, the lost writes as the seconds of load that they are worth."""
    lost_s = {name: require_measured(seconds_lost(arm), "the rate of writes") for name, arm in arms.items()}
    return {
        name: ClaimPoint(f"{name}: every {interval_s:g} s", lost_s[name], None, interval_s)
        for name, interval_s in CHECKPOINT_INTERVALS_S.items()
    }


def _is_loss_bounded(name: str, lost_s: float, arm: ArmFigures) -> bool:
    """Whether a design lost no more than one interval.

    Raises:
        UnsettledError: it lost more on a machine that was too slow, where an interval may well have been longer.
    """
    if lost_s <= (1 + TOLERANCE) * CHECKPOINT_INTERVALS_S[name]:
        return True
    require_unsaturated(arm, name)
    return False


def _judge_event_sourcing(runs: Runs) -> ClaimFinding:
    logs = {name: runs.arm("eventlog", name) for name in ("synced", "long")}
    views = {name: runs.arm("cqrs", name) for name in ("quick_view", "late_view")}
    arms, sagas = {**logs, **views}, _read_sagas(runs, "logged")
    points = [ClaimPoint.share(name, arm.writes.lost, arm.writes.acknowledged, 0.0) for name, arm in arms.items()]
    points.append(ClaimPoint.share("sagas half done", sagas.half_done, sagas.begun, 0.0))
    size_mb, replay_s = read_recovery(logs["long"])
    lost = sum(arm.writes.lost for arm in arms.values())
    says = (
        f"{lost} of {sum(arm.writes.acknowledged for arm in arms.values()):,} acknowledged events lost after a crash; "
        f"{size_mb:.1f} MB were replayed in {replay_s:.2f} s. {_describe_views(views)}, and nothing was missing in the "
        f"end. {sagas.half_done} of {sagas.begun} sagas half done, {sagas.resumed} finished after the crash"
    )
    holds = lost == sagas.half_done == sagas.repeated == 0
    return ClaimFinding.supported_if(holds, says, "% lost, or half done", points)


def _describe_views(views: Mapping[str, ArmFigures]) -> str:
    """The lag of the read models, and the stale reads that it caused."""
    quick, late = (require_measured(arm.names[CAUGHT_UP].p50_ms, "the lag") for arm in views.values())
    reads = [arm.names["GET /cart"] for arm in views.values()]
    stale, ok = sum(read.anomalies for read in reads), sum(read.ok for read in reads)
    return (
        f"Read models were {quick:.0f} and {late:.0f} ms behind: {stale} of {ok} reads right after a write were stale"
    )


def _judge_coordinator(runs: Runs) -> ClaimFinding:
    logged, forgetful = _read_sagas(runs, "logged"), _read_sagas(runs, "forgetful")
    points = [
        ClaimPoint.share("without a log", forgetful.half_done, forgetful.begun),
        ClaimPoint.share("with a durable log", logged.half_done, logged.begun, 0.0),
    ]
    steps = ", ".join(f"{count} after {step}" for step, count in logged.left_after.items())
    says = (
        f"when the coordinator was killed, {forgetful.half_done} of {forgetful.begun} sagas stayed half done without a "
        f"log; with one {logged.half_done} of {logged.begun}, and the restart finished {logged.resumed} ({steps})"
    )
    holds = forgetful.half_done > 0 and logged.half_done == logged.repeated == 0
    return ClaimFinding.supported_if(holds, says, "% of sagas half done", points)


def _read_sagas(runs: Runs, design: str) -> Sagas:
    """The sagas of a design's fault arm.

    Raises:
        UnsettledError: there were none, or the kill interrupted none of them.
    """
    sagas = runs.arm("saga", design).sagas
    if sagas is None:
        raise UnsettledError(f"saga: the journal of {design} contains none; run it again")
    if not sagas.resumed + sagas.half_done:
        raise UnsettledError(f"saga: the kill interrupted no order of {design}; use more users, or run it again")
    return sagas


CLAIMS = (
    Claim(
        "C08", "state can be checkpointed", "9",
        "memory with a checkpoint every 0.5 s or 1.5 s, kill -9 under load, restart; a small state and a large one",
        "lost writes are worth at most one interval, no session is lost; a restart takes longer for a large state",
        (CHECKPOINT,), _judge_checkpoints,
    ),
    Claim(
        "C21", "event sourcing, CQRS and sagas keep state over crashes", "12",
        "an event log with replay, a read model behind it, order sagas; kill -9 under load, restart",
        "no acknowledged event is lost, reads may be late but are right in the end, and no saga stays half done",
        (EVENTLOG, CQRS, SAGA), _judge_event_sourcing,
    ),
    Claim(
        "C24", "a transaction coordinator is stateful", "3",
        "order sagas whose coordinator is killed at every step, with a durable log of its own and without",
        "without its log orders stay half done, with its log none do",
        (SAGA,), _judge_coordinator,
    ),
)  # fmt: skip
