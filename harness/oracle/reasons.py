"""The reasons for a session's verdict, in sentences."""

from collections.abc import Iterator, Sequence

from harness.observations.requests import Anomaly
from harness.oracle.history import MAX_DOUBTS
from harness.oracle.missing import MissingWrites
from harness.oracle.models import CounterModel, StatelessModel
from harness.oracle.reconstruction import Reconstruction
from harness.oracle.verdict import Loss

_NOTES = {
    Anomaly.LEAKED: "the reply showed another owner's session",
    Anomaly.FORCED_LOGIN: "the session was sent back to the login",
    Anomaly.STALE: "acknowledged writes that had been absent were there again: what lay between was stale",
}


def give_reasons(session: Reconstruction, missing: MissingWrites) -> Iterator[str]:
    """What was noted, what is missing, what is there but should not be, and what is uncertain."""
    for note in session.history.notes:
        yield f"{_at(note.t_ns)}: {_NOTES[note.anomaly]}{_by(note.boot)}."
    yield from _describe_missing(session, missing)
    yield from _describe_applied(session)
    yield from _describe_contradictions(session)
    yield from _describe_limits(session)


def _describe_missing(session: Reconstruction, missing: MissingWrites) -> Iterator[str]:
    history = session.history
    yield from map(_describe_loss, missing.losses)
    if history.divergences_dropped:
        yield f"{history.divergences_dropped} earlier changes of the state are not listed one by one."
    for stretch in missing.stretches:
        yield f"Writes {_list(stretch)} were acknowledged, and are gone together at the final read: rolled back."
    for single in missing.singles:
        yield f"Write {single} was acknowledged, and is absent at the final read."
    for write in missing.seen:
        yield f"Write {write} was in doubt, had appeared, and is gone again: below what was seen."
    if history.stale and all(note.anomaly is not Anomaly.STALE for note in history.notes):
        yield f"Acknowledged writes were absent and came back {history.stale} times."


def _describe_loss(loss: Loss) -> str:
    new = f"birth {loss.birth_after}" if loss.birth_after != loss.birth_before else "nothing in it"
    return (
        f"{_at(loss.t_ns)}: the state of birth {loss.birth_before}{_by(loss.boot_before)} had given way to one "
        f"with {new}{_by(loss.boot_after)}; it did not return, and {_count_writes(loss.writes)} went with it."
    )


def _describe_applied(session: Reconstruction) -> Iterator[str]:
    if session.duplicates:
        yield f"{_count_writes(session.duplicates)} applied once too often."
    if session.recovered:
        yield f"{_count_writes(len(session.recovered))} in doubt appeared later: recovered, which is legal."


def _describe_contradictions(session: Reconstruction) -> Iterator[str]:
    for write in sorted(session.defects):
        is_refused = write in session.writes.refused
        cause = "the balancer's log says it never reached a replica" if is_refused else "it failed"
        yield f"Write {write} is there although {cause}: a defect of the design or of the evidence."
    if session.history.disordered:
        yield f"{session.history.disordered} replies showed acknowledged writes in another order."
    if session.unexplained > session.contradictions:
        yield "A state was shown that no single explanation of lost, repeated and recovered writes accounts for."


def _describe_limits(session: Reconstruction) -> Iterator[str]:
    """What the judge cannot know about this session."""
    history = session.history
    if history.model == CounterModel.name and session.divergences:
        yield "A counter does not show which writes."
    if history.final is None and history.model == StatelessModel.name:
        yield "The service keeps nothing of the session: its replies were judged one by one."
    elif history.final is None:
        yield "The final read did not show the session's state: what it lacks is not known."
    if session.has_too_many_doubts:
        yield f"{len(session.writes.open)} writes are in doubt, more than the {MAX_DOUBTS} that can be distinguished."


def _at(t_ns: int) -> str:
    return f"At {t_ns / 1e9:.3f} s"


def _by(boot: str) -> str:
    return f" (boot {boot})" if boot else ""


def _count_writes(count: int) -> str:
    return f"{count} write" if count == 1 else f"{count} writes"


def _list(writes: Sequence[int]) -> str:
    is_run = writes[-1] - writes[0] == len(writes) - 1
    return f"{writes[0]} to {writes[-1]}" if is_run else ", ".join(map(str, writes))
