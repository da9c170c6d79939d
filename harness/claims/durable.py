"""Claims about state that outlives its process: C08, C21, C24."""

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
EVERY = {"often": 0.5, "seldom": 1.5, "large": 1.5}
#: How much longer than it should an interval may last, and how many more writes than the mean it may hold.
GIVE = 0.3
#: The request by which scenarios/cqrs.py sees the lag.
CAUGHT_UP = "GET /cart, caught up"


def opened(arm: ArmFigures) -> tuple[float, float]:
    """What was on a restart's volume, in megabytes, and the seconds until its state was there.

    Raises:
        UnsettledError: nothing was restarted.
    """
    for fault in arm.faults:
        kept, took = (fault.evidence.get(f"healed_{key}") for key in ("volume_bytes", "opened_s"))
        if isinstance(kept, int | float) and isinstance(took, int | float):
            return kept / 1e6, float(took)
    raise UnsettledError("no restart told how long it took; run it again")


def _bounded_by_the_interval(runs: Runs) -> ClaimFinding:
    arms = {name: runs.arm("checkpoint", name) for name in EVERY}
    points = [
        ClaimPoint(
            f"{name}: every {every:g} s", require_measured(seconds_lost(arms[name]), "the rate of writes"), None, every
        )
        for name, every in EVERY.items()
    ]
    lost = sum(arm.writes.lost for arm in arms.values())
    if not lost:
        raise UnsettledError("no write was lost by any crash, so the bound was not tried; run it again")
    late = [name for name, point in zip(EVERY, points, strict=True) if point.value > (1 + GIVE) * EVERY[name]]
    for name in late:
        require_unsaturated(arms[name], name)  # on a machine that is late an interval may well be longer
    small, large = opened(arms["seldom"]), opened(arms["large"])
    says = (
        f"lost by the crash: {', '.join(f'{p.label} {p.value:.2f} s of writes' for p in points)}; "
        f"{sum(arm.sessions.lost for arm in arms.values())} sessions lost. A restart had its state "
        f"after {small[1]:.2f} s with {small[0]:.2f} MB on its volume, after {large[1]:.2f} s with {large[0]:.1f} MB"
    )
    kept = not any(arm.sessions.lost for arm in arms.values())
    return ClaimFinding.of(not late and kept and large[1] > small[1], says, "s of acknowledged writes lost", points)


def _nothing_lost_nothing_half_done(runs: Runs) -> ClaimFinding:
    logs = {name: runs.arm("eventlog", name) for name in ("synced", "long")}
    views = {name: runs.arm("cqrs", name) for name in ("quick_view", "late_view")}
    arms, sagas = {**logs, **views}, _sagas(runs, "logged")
    points = [ClaimPoint.share(name, arm.writes.lost, arm.writes.acknowledged, 0.0) for name, arm in arms.items()]
    points.append(ClaimPoint.share("sagas half done", sagas.half_done, sagas.begun, 0.0))
    lags = {name: require_measured(arm.names[CAUGHT_UP].p50_ms, "the lag") for name, arm in views.items()}
    size, took = opened(logs["long"])
    lost = sum(arm.writes.lost for arm in arms.values())
    stale = sum(arm.names["GET /cart"].anomalies for arm in views.values())
    reads = sum(arm.names["GET /cart"].ok for arm in views.values())
    says = (
        f"{lost} of {sum(arm.writes.acknowledged for arm in arms.values()):,} acknowledged events lost after a crash; "
        f"{size:.1f} MB were replayed in {took:.2f} s. Read models were {lags['quick_view']:.0f} and "
        f"{lags['late_view']:.0f} ms behind: {stale} of {reads} reads right after a write were stale, "
        f"and nothing was missing in the end. {sagas.half_done} of {sagas.begun} sagas half done, "
        f"{sagas.resumed} finished after the crash"
    )
    return ClaimFinding.of(lost == sagas.half_done == sagas.repeated == 0, says, "% lost, or half done", points)


def _a_coordinator_has_state(runs: Runs) -> ClaimFinding:
    logged, forgetful = _sagas(runs, "logged"), _sagas(runs, "forgetful")
    points = [
        ClaimPoint.share("without a log", forgetful.half_done, forgetful.begun),
        ClaimPoint.share("with a durable log", logged.half_done, logged.begun, 0.0),
    ]
    left = ", ".join(f"{count} after {step}" for step, count in logged.left_after.items())
    says = (
        f"its coordinator killed: without a log {forgetful.half_done} of {forgetful.begun} sagas stayed half done; "
        f"with one {logged.half_done} of {logged.begun}, {logged.resumed} of which the restart finished ({left})"
    )
    holds = forgetful.half_done > 0 and logged.half_done == logged.repeated == 0
    return ClaimFinding.of(holds, says, "% of sagas half done", points)


def _sagas(runs: Runs, design: str) -> Sagas:
    """The sagas of a design's faulted arm.

    Raises:
        UnsettledError: there were none, or the kill met none of them.
    """
    found = runs.arm("saga", design).sagas
    if found is None:
        raise UnsettledError(f"saga: the journal of {design} knows of none; run it again")
    if not found.resumed + found.half_done:
        raise UnsettledError(f"saga: the kill met no order of {design} half way; more users, or another run, would")
    return found


CLAIMS = (
    Claim(
        "C08", "state can be checkpointed", "9",
        "memory with a checkpoint every 0.5 s or 1.5 s, kill -9 under load, restart; a small state and a large one",
        "the lost writes are worth one interval at the most, no session is lost; a restart takes longer for more state",
        (CHECKPOINT,), _bounded_by_the_interval,
    ),
    Claim(
        "C21", "event sourcing, CQRS and sagas keep state over crashes", "12",
        "an event log with replay, a read model behind it, order sagas; kill -9 under load, restart",
        "no acknowledged event lost, reads late and not wrong in the end, no saga left half done",
        (EVENTLOG, CQRS, SAGA), _nothing_lost_nothing_half_done,
    ),
    Claim(
        "C24", "a transaction coordinator is stateful", "3",
        "order sagas whose coordinator is killed at every step, with a durable log of its own and without",
        "without its state orders stay half done, with it none",
        (SAGA,), _a_coordinator_has_state,
    ),
)  # fmt: skip
