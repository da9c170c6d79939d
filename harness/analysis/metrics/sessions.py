"""What happened to every session and every write."""

from collections import Counter
from collections.abc import Mapping, Sequence, Set

import numpy as np

from harness.analysis.metrics.not_judged import explain_not_judged
from harness.analysis.metrics.resources import to_int
from harness.analysis.metrics.state_removal import (
    StateRemoval,
    find_causes,
    find_known_at_risk,
    find_state_removals,
    list_causes,
)
from harness.common.intervals import exact_interval
from harness.observations.load_requests import LoadRequests
from harness.oracle.verdict import SessionVerdict
from harness.results.arm_files import ArmObservations
from harness.results.summary import SessionFigures, WriteFigures

SessionVerdicts = Mapping[int, Sequence[SessionVerdict]]


def compute_session_figures(observed: ArmObservations, load: LoadRequests) -> SessionFigures:
    """Count the sessions by what happened to them, from their first request to the final read.

    What is proven counts, whether the session was judged to its end or not. A session that was not judged only leaves
    the denominators, unless something is proven of it.
    """
    sessions = _group_by_session(observed.judgements)
    known = group_known_by_session(observed.judgements)
    judged = {session for session, verdicts in known.items() if not any(verdict.unknown for verdict in verdicts)}
    removals = find_state_removals(observed.faults)
    lost = {session for session, verdicts in sessions.items() if any(verdict.lost for verdict in verdicts)}
    causes = [cause for own in sessions.values() for each in own if each.lost for cause in list_causes(each, removals)]
    theory = find_known_at_risk(observed, load, removals)
    at_risk, lost_not_at_risk, at_risk_not_lost = _compare_with_theory(known, lost, removals, theory)
    # A worker that died took the records of some sessions with it: the driver still counted them.
    seen = len(sessions.keys() | set(load.frame["session"].unique().tolist()))
    started = max(seen, to_int(observed.driver.get("sessions")) or 0)
    replicas_seen = load.frame.dropna(subset=["replica"]).groupby("session")["replica"].nunique()
    return SessionFigures(
        started=started,
        judged=len(judged),
        at_risk=at_risk,
        expected_lost=None,
        lost=len(lost),
        loss_rate=len(lost) / len(known) if known else None,
        loss_interval_99=_compute_interval(len(lost), len(known)),
        moved=int((replicas_seen > 1).sum()),
        rolled_back=_count_flagged(sessions, "rolled_back"),
        stale=_count_flagged(sessions, "stale"),
        leaked=_count_flagged(sessions, "leaked"),
        forced_login=_count_flagged(sessions, "forced_login"),
        unknown=started - len(judged),
        lost_by_cause=dict(Counter(causes)),
        wrong=int(load.frame.loc[load.equals("anomaly", "wrong"), "session"].nunique()),
        lost_not_at_risk=lost_not_at_risk,
        at_risk_not_lost=at_risk_not_lost,
        not_judged_because=explain_not_judged(observed, sessions.keys() - judged, started - len(sessions)),
        proven=len(known) - len(judged),
        unexplained=sum(any(verdict.unexplained for verdict in own) for own in sessions.values()),
    )


def group_known_by_session(verdicts: Sequence[SessionVerdict]) -> dict[int, list[SessionVerdict]]:
    """The verdicts of each session of which it is known what happened: to its end, or that something bad did.

    Several writers may share a session: it is as bad as its worst writer says, and not judged if one of them is not.
    Where no session has written, none had anything to keep.
    """
    has_writes = not all(verdict.is_idle for verdict in verdicts)
    return {
        session: own
        for session, own in _group_by_session(verdicts).items()
        if any(map(is_harmed, own)) or (has_writes and not any(verdict.unknown for verdict in own))
    }


def _group_by_session(verdicts: Sequence[SessionVerdict]) -> dict[int, list[SessionVerdict]]:
    by_session: dict[int, list[SessionVerdict]] = {}
    for verdict in verdicts:
        by_session.setdefault(verdict.session, []).append(verdict)
    return by_session


def is_harmed(verdict: SessionVerdict) -> bool:
    """Whether something bad is proven of the session, whatever else is unknown."""
    flags = (verdict.lost, verdict.rolled_back, verdict.stale, verdict.leaked, verdict.duplicated, verdict.forced_login)
    return any(flags) or verdict.lost_writes > 0


def _compare_with_theory(
    known: SessionVerdicts, lost: set[int], removals: Sequence[StateRemoval], at_risk: Set[int] | None
) -> tuple[int | None, int | None, int | None]:
    """How many sessions were at risk, were lost without being at risk, and were at risk without being lost.

    ``known`` are those of which it is known what happened, at least in part. A session whose only loss is to a replica
    that came back empty is not expected to have been at risk of the fault.
    """
    if not removals:
        return 0, None, None
    if at_risk is None:
        return None, None, None
    expected = at_risk & known.keys()
    by_fault = {session for session in lost if find_causes(known[session], removals) != {"returned_empty"}}
    return len(expected), len(by_fault - expected), len(expected - lost)


def _count_flagged(sessions: SessionVerdicts, flag: str) -> int:
    return sum(any(getattr(verdict, flag) for verdict in verdicts) for verdicts in sessions.values())


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
        lost_not_at_risk=_count_lost_not_at_risk(observed, load),
    )


def _count_lost_not_at_risk(observed: ArmObservations, load: LoadRequests) -> int | None:
    """The acknowledged writes lost by sessions that were not at risk, and not to a replica that came back empty."""
    removals = find_state_removals(observed.faults)
    at_risk = find_known_at_risk(observed, load, removals)
    if not removals or not len(load) or at_risk is None:
        return None
    return sum(
        verdict.lost_writes
        for session, own in _group_by_session(observed.judgements).items()
        for verdict in own
        if session not in at_risk and find_causes(own, removals) != {"returned_empty"}
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
