"""What happened to every session and every write."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from harness.analysis.metrics.resources import to_int
from harness.analysis.metrics.state_removal import (
    StateRemoval,
    find_cause,
    find_causes,
    find_sessions_at_risk,
    find_state_removals,
)
from harness.common.intervals import exact_interval
from harness.observations.load_requests import LoadRequests
from harness.oracle.verdict import SessionVerdict
from harness.results.arm_files import ArmObservations
from harness.results.summary import SessionFigures, WriteFigures

JudgedSessions = Mapping[int, Sequence[SessionVerdict]]


def compute_session_figures(observed: ArmObservations, load: LoadRequests) -> SessionFigures:
    """Count the sessions by what happened to them, from their first request to the final read."""
    judged = group_judged_by_session(observed.judgements)
    removals = find_state_removals(observed.faults)
    lost = {session for session, verdicts in judged.items() if any(verdict.lost for verdict in verdicts)}
    losses = [loss for verdicts in judged.values() for verdict in verdicts if verdict.lost for loss in verdict.losses]
    at_risk, lost_not_at_risk, at_risk_not_lost = _compare_with_theory(judged, lost, removals, load)
    # A worker that died took the records of some sessions with it: the driver still counted them.
    seen = len(judged.keys() | set(load.frame["session"].unique().tolist()))
    started = max(seen, to_int(observed.driver.get("sessions")) or 0)
    replicas_seen = load.frame.dropna(subset=["replica"]).groupby("session")["replica"].nunique()
    return SessionFigures(
        started=started,
        judged=len(judged),
        at_risk=at_risk,
        expected_lost=None,
        lost=len(lost),
        loss_rate=len(lost) / len(judged) if judged else None,
        loss_interval_99=_compute_interval(len(lost), len(judged)),
        moved=int((replicas_seen > 1).sum()),
        rolled_back=_count_flagged(judged, "rolled_back"),
        stale=_count_flagged(judged, "stale"),
        leaked=_count_flagged(judged, "leaked"),
        forced_login=_count_flagged(judged, "forced_login"),
        unknown=started - len(judged),
        lost_by_cause=dict(Counter(find_cause(loss, removals) for loss in losses)),
        wrong=int(load.frame.loc[load.equals("anomaly", "wrong"), "session"].nunique()),
        lost_not_at_risk=lost_not_at_risk,
        at_risk_not_lost=at_risk_not_lost,
    )


def group_judged_by_session(verdicts: Sequence[SessionVerdict]) -> dict[int, list[SessionVerdict]]:
    """The verdicts of each session of which it is known what happened.

    Several writers may share a session: it is as bad as its worst writer says, and unknown if one of them is.
    """
    by_session: dict[int, list[SessionVerdict]] = {}
    for verdict in verdicts:
        by_session.setdefault(verdict.session, []).append(verdict)
    return {session: own for session, own in by_session.items() if not any(verdict.unknown for verdict in own)}


def _compare_with_theory(
    judged: JudgedSessions, lost: set[int], removals: Sequence[StateRemoval], load: LoadRequests
) -> tuple[int, int | None, int | None]:
    """How many judged sessions were at risk, were lost without being at risk, and were at risk without being lost.

    A session whose only loss is to a replica that came back empty is not expected to have been at risk of the fault.
    """
    if not removals:
        return 0, None, None
    at_risk = find_sessions_at_risk(load, removals) & judged.keys()
    by_fault = {session for session in lost if find_causes(judged[session], removals) != {"returned_empty"}}
    return len(at_risk), len(by_fault - at_risk), len(at_risk - lost)


def _count_flagged(judged: JudgedSessions, flag: str) -> int:
    return sum(any(getattr(verdict, flag) for verdict in verdicts) for verdicts in judged.values())


def _compute_interval(hits: int, total: int) -> tuple[float, float] | None:
    """The exact 99 % interval of a share; None of nothing."""
    if not total:
        return None
    low, high = exact_interval(hits, total, 0.99)
    return round(low, 6), round(high, 6)


def compute_write_figures(observed: ArmObservations, load: LoadRequests) -> WriteFigures:
    """Count the acknowledged writes by what happened to them; effects of the journal are writes too."""
    verdicts = observed.judgements
    return WriteFigures(
        acknowledged=sum(verdict.acknowledged for verdict in verdicts),
        lost=sum(verdict.lost_writes for verdict in verdicts) + _count_missing_effects(observed, load),
        duplicated=sum(verdict.duplicates for verdict in verdicts) + _count_repeated_effects(observed, load),
        in_doubt=sum(verdict.in_doubt for verdict in verdicts),
        recovered=sum(verdict.recovered for verdict in verdicts),
        unexplained=sum(verdict.unexplained for verdict in verdicts),
    )


def _count_repeated_effects(observed: ArmObservations, load: LoadRequests) -> int:
    """Effects that took place more than once, of sessions whose own state does not show it already."""
    times = Counter((effect.op, effect.what) for effect in observed.effects)
    repeated = [op for (op, _), count in times.items() if count > 1]
    if not repeated:
        return 0
    duplicated = {verdict.session for verdict in observed.judgements if verdict.duplicates}
    writes = load.frame[["op", "session"]].drop_duplicates("op")
    session_of = dict(zip(writes["op"].tolist(), writes["session"].tolist(), strict=True))
    return sum(session_of.get(op) not in duplicated for op in repeated)


def _count_missing_effects(observed: ArmObservations, load: LoadRequests) -> int:
    """Acknowledged writes of a kind that the effect journal records, and which are not in it."""
    if not observed.effects:
        return 0
    in_journal = np.unique(np.array([effect.op for effect in observed.effects], dtype=np.uint64))
    writes = load.frame[load.frame["op"].to_numpy() != 0]
    recorded = np.isin(writes["op"].to_numpy(), in_journal)
    of_recorded_kind = writes["name"].isin(writes.loc[recorded, "name"].unique())
    return int((of_recorded_kind & (writes["outcome"] == "ok") & ~recorded).sum())
