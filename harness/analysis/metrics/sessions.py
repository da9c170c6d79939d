"""TODO: harness.analysis.metrics.sessions."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import beta

from harness.analysis.metrics.columns import Columns
from harness.analysis.metrics.resources import _whole
from harness.analysis.metrics.state_removal import _causes, find_cause, find_sessions_at_risk, find_state_removals
from harness.observations.requests import LOAD
from harness.oracle.verdict import SessionVerdict
from harness.results.arm_files import ArmObservations
from harness.results.summary import (
    SessionFigures,
    WriteFigures,
)


def _sessions(observed: ArmObservations) -> SessionFigures:
    judged = group_judged_by_session(observed.judgements)
    taken = find_state_removals(observed.events)
    risky = find_sessions_at_risk(observed.requests, taken) & judged.keys() if taken else frozenset()
    lost = {session for session, ones in judged.items() if any(one.lost for one in ones)}
    causes = Counter(
        find_cause(loss, taken) for ones in judged.values() for one in ones if one.lost for loss in one.losses
    )
    by_death = {session for session in lost if _causes(judged[session], taken) != {"returned_empty"}}
    load = Columns.of(observed.requests).frame
    seen = len(judged.keys() | set(load["session"].unique().tolist()))
    started = max(seen, _whole(observed.driver.get("sessions")) or 0)  # a worker that died took some with it
    return SessionFigures(
        started=started,
        judged=len(judged),
        at_risk=len(risky) if taken else 0,
        expected_lost=None,
        lost=len(lost),
        loss_rate=len(lost) / len(judged) if judged else None,
        loss_interval_99=interval(len(lost), len(judged)) if judged else None,
        moved=int((load.dropna(subset=["replica"]).groupby("session")["replica"].nunique() > 1).sum()),
        rolled_back=_having(judged, "rolled_back"),
        stale=_having(judged, "stale"),
        leaked=_having(judged, "leaked"),
        forced_login=_having(judged, "forced_login"),
        unknown=started - len(judged),
        lost_by_cause=dict(causes),
        wrong=int(load.loc[np.asarray(load["anomaly"] == "wrong"), "session"].nunique()),
        lost_not_at_risk=len(by_death - risky) if taken else None,
        at_risk_not_lost=len(risky - lost) if taken else None,
    )


def group_judged_by_session(judgements: Sequence[SessionVerdict]) -> dict[int, list[SessionVerdict]]:
    """The judgements of each session of which it is known what happened.

    Several writers may share a session: it is as bad as its worst writer says, and unknown where one of them is.
    """
    found: dict[int, list[SessionVerdict]] = {}
    for judgement in judgements:
        found.setdefault(judgement.session, []).append(judgement)
    return {session: ones for session, ones in found.items() if not any(one.unknown for one in ones)}


def _having(judged: Mapping[int, Sequence[SessionVerdict]], what: str) -> int:
    return sum(any(getattr(one, what) for one in ones) for ones in judged.values())


def interval(hits: int, of: int, confidence: float = 0.99) -> tuple[float, float]:
    """The exact interval of a share (Clopper and Pearson 1934)."""
    tail = (1 - confidence) / 2
    low = float(beta.ppf(tail, hits, of - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, of - hits)) if hits < of else 1.0
    return round(low, 6), round(high, 6)


def _writes(observed: ArmObservations) -> WriteFigures:
    ones = observed.judgements
    return WriteFigures(
        acknowledged=sum(one.acknowledged for one in ones),
        lost=sum(one.lost_writes for one in ones) + _missing_effects(observed),
        duplicated=sum(one.duplicates for one in ones) + _repeated_effects(observed),
        in_doubt=sum(one.in_doubt for one in ones),
        recovered=sum(one.recovered for one in ones),
        unexplained=sum(one.unexplained for one in ones),
    )


def _repeated_effects(observed: ArmObservations) -> int:
    """Effects that took place more than once, of sessions whose own state does not show it already."""
    repeated = [op for (op, _), times in Counter((one.op, one.what) for one in observed.effects).items() if times > 1]
    if not repeated:
        return 0
    told = {one.session for one in observed.judgements if one.duplicates}
    asked = observed.requests[observed.requests["phase"].to_numpy() == LOAD]
    requests = asked[["op", "session"]].drop_duplicates("op")
    of = dict(zip(requests["op"].tolist(), requests["session"].tolist(), strict=True))
    return sum(of.get(op) not in told for op in repeated)


def _missing_effects(observed: ArmObservations) -> int:
    """Acknowledged writes of a kind that the effect journal records, and which are not in it."""
    if not observed.effects:
        return 0
    done = np.unique(np.array([one.op for one in observed.effects], dtype=np.uint64))
    asked = observed.requests["phase"].to_numpy() == LOAD
    writes = observed.requests[asked & (observed.requests["op"].to_numpy() != 0)]
    there = np.isin(writes["op"].to_numpy(), done)
    recorded = writes["name"].isin(writes.loc[there, "name"].unique())
    return int((recorded & (writes["outcome"] == "ok") & ~there).sum())
