"""The judge: works out what happened to a session from its ledger's history. Pure; runs once per session at the end."""

from collections.abc import Iterator, Set

from harness.oracle.history import SessionHistory
from harness.oracle.missing import MissingWrites, find_missing_writes
from harness.oracle.models import StatelessModel
from harness.oracle.outcome import SessionOutcome, gravest
from harness.oracle.reasons import give_reasons
from harness.oracle.reconstruction import Reconstruction
from harness.oracle.verdict import SessionVerdict


def judge(history: SessionHistory, refused: Set[int] = frozenset()) -> SessionVerdict:
    """Judge one session.

    ``refused`` are the ids of writes that, by a balancer's log, never reached an upstream: those in doubt among them
    were not applied, and one that appears nevertheless is a defect.
    """
    session = Reconstruction(history, refused)
    missing = find_missing_writes(session)
    return SessionVerdict(
        session=history.session,
        writer=history.writer,
        owner=history.owner,
        room=history.room,
        lost=bool(missing.losses),
        rolled_back=missing.is_rolled_back,
        stale=session.is_stale,
        leaked=history.leaked > 0,
        duplicated=session.duplicates > 0,
        forced_login=history.forced_logins > 0,
        unknown=session.is_unknown,
        outcome=gravest(_outcomes(session, missing)),
        is_idle=not history.acknowledged and history.model != StatelessModel.name,
        acknowledged=history.acknowledged,
        lost_writes=max(len(missing.writes) + history.omitted, session.fewest_lost),
        duplicates=session.duplicates,
        in_doubt=len(session.writes.open)
        + sum(recovery.i not in session.writes.failed for recovery in session.writes.recovered),
        recovered=len(session.recovered),
        unexplained=session.unexplained,
        losses=missing.losses,
        earlier_losses=history.divergences_dropped,
        acked_boots=tuple((t_ns, boot) for t_ns, boot, _ in history.acked_boots),
        why=tuple(give_reasons(session, missing)),
        identity=history.identity,
        unread=history.unread,
    )


def _outcomes(session: Reconstruction, missing: MissingWrites) -> Iterator[SessionOutcome]:
    history = session.history
    checks = {
        SessionOutcome.LEAKED: history.leaked > 0,
        SessionOutcome.LOST: bool(missing.losses),
        SessionOutcome.ROLLED_BACK: missing.is_rolled_back,
        SessionOutcome.LOST_WRITES: bool(missing.writes) or session.fewest_lost > 0 or history.omitted > 0,
        SessionOutcome.UNEXPLAINED: session.unexplained > 0,
        SessionOutcome.DUPLICATED: session.duplicates > 0,
        SessionOutcome.STALE: session.is_stale,
        SessionOutcome.FORCED_LOGIN: history.forced_logins > 0,
        SessionOutcome.UNKNOWN: session.is_unknown,
    }
    return (outcome for outcome, holds in checks.items() if holds)
