"""The judge: works out what happened to a session from its ledger's history. Pure; runs once per session at the end."""

from collections.abc import Iterator, Set

from harness.oracle.history import SessionHistory
from harness.oracle.missing import MissingWrites, find_missing_writes
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
        acknowledged=history.acknowledged,
        lost_writes=max(len(missing.writes), session.fewest_lost),
        duplicates=session.duplicates,
        in_doubt=len(session.writes.open) + sum(i not in session.writes.refused for _, i in history.recovered),
        recovered=len(session.recovered),
        unexplained=session.unexplained,
        losses=missing.losses,
        earlier_losses=history.divergences_dropped,
        acked_boots=tuple((t_ns, boot) for t_ns, boot, _ in history.acked_boots),
        why=tuple(give_reasons(session, missing)),
    )


def _outcomes(session: Reconstruction, missing: MissingWrites) -> set[SessionOutcome]:
    outcomes = {outcome for outcome, holds in _checks(session, missing) if holds}
    if not outcomes and missing.writes:
        return {SessionOutcome.LOST_WRITES}  # the ledger no longer remembers how they were lost
    return outcomes


def _checks(session: Reconstruction, missing: MissingWrites) -> Iterator[tuple[SessionOutcome, bool]]:
    history = session.history
    is_stretch = bool(missing.stretches or missing.seen)
    yield SessionOutcome.LEAKED, history.leaked > 0
    yield SessionOutcome.LOST, bool(missing.losses)
    yield SessionOutcome.ROLLED_BACK, is_stretch
    yield SessionOutcome.LOST_WRITES, bool(missing.singles) and not is_stretch
    yield SessionOutcome.UNEXPLAINED, session.unexplained > 0
    yield SessionOutcome.DUPLICATED, session.duplicates > 0
    yield SessionOutcome.STALE, session.is_stale
    yield SessionOutcome.FORCED_LOGIN, history.forced_logins > 0
    yield SessionOutcome.UNKNOWN, session.is_unknown
