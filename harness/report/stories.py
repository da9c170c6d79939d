"""The stories of the sessions to which something happened: what each client saw, and why it was judged so."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from harness.analysis.explain import ArmTracer, NotableSession, SessionTrace, TraceLine, find_notable_sessions
from harness.results.arm_files import ArmObservations

#: A page has this many stories at most.
MOST = 200
_AROUND = 2  # lines kept before and after each that says something
_MOST_LINES = 60


@dataclass(frozen=True)
class Story:
    """One session: its outcome in a few words, what happened in lines of text, and why it was judged so."""

    session: int
    title: str
    lines: tuple[str, ...]
    why: tuple[str, ...]


@dataclass(frozen=True)
class ArmStories:
    """The stories of one arm; ``sessions`` counts all to which something happened, those without a story too."""

    design: str
    arm: str
    sessions: int
    stories: tuple[Story, ...]


def collect(
    arms: Sequence[ArmObservations], must_fail: frozenset[str] = frozenset(), most: int = MOST
) -> tuple[ArmStories, ...]:
    """The stories of every arm's first repeat, those with the fault first; of each kind of outcome as many as fit.

    Those of the positive controls, which ``must_fail``, come last and fill what room is left.
    """
    first = {(arm.design, arm.arm): arm for arm in reversed(arms)}
    ordered = sorted(first.values(), key=lambda arm: (arm.design in must_fail, arm.arm != "fault"))
    found = {(arm.design, arm.arm): find_notable_sessions([arm]) for arm in ordered}
    chosen: list[NotableSession] = []
    for control in (False, True):
        groups = [_by_kind(sessions) for (design, _), sessions in found.items() if (design in must_fail) == control]
        chosen += _take_turns(groups)
    chosen = chosen[:most]
    collected = []
    for arm in ordered:
        own = sorted((s for s in chosen if (s.design, s.arm) == (arm.design, arm.arm)), key=lambda s: s.session)
        if own:
            tracer = ArmTracer(arm)
            stories = tuple(_write(session, trace) for session in own if (trace := tracer.trace(session.session)))
            collected.append(ArmStories(arm.design, arm.arm, len(found[arm.design, arm.arm]), stories))
    return tuple(collected)


def _by_kind(sessions: Sequence[NotableSession]) -> list[NotableSession]:
    """The sessions of an arm, one of each outcome and cause in turn, so that a rare one is among the first."""
    kinds: dict[tuple[str, bool | None, str], list[NotableSession]] = {}
    for session in sessions:
        kinds.setdefault((session.kind, session.at_risk, session.cause), []).append(session)
    return list(_take_turns(list(kinds.values())))


def _take_turns(groups: Sequence[Sequence[NotableSession]]) -> Iterator[NotableSession]:
    """The first of each group, then the second of each, and so on; a session with two outcomes once."""
    seen = set()
    for row in zip_longest(*groups):
        for session in row:
            if session is not None and (key := (session.design, session.arm, session.session)) not in seen:
                seen.add(key)
                yield session


def _write(session: NotableSession, trace: SessionTrace) -> Story:
    risk = {None: "", True: ", at risk", False: ", not at risk"}[session.at_risk]
    cause = f", cause: {session.cause}" if session.cause else ""
    title = f"session {session.session}: {session.kind.replace('_', ' ')}{risk}{cause}"
    return Story(session.session, title, tuple(_shorten(trace.lines)), trace.why)


def _shorten(lines: Sequence[TraceLine]) -> Iterator[str]:
    """The first and last lines, and those around each that says something; what is left out is counted."""
    marked = [i for i, line in enumerate(lines) if line.note or not line.outcome.startswith("ok")]
    kept = {j for i in (0, *marked, len(lines) - 1) for j in range(i - _AROUND, i + _AROUND + 1)}
    shown = [i for i in range(len(lines)) if i in kept]
    if len(shown) > _MOST_LINES:
        shown = [*shown[: _MOST_LINES // 2], *shown[-_MOST_LINES // 2 :]]
    before = -1
    for i in shown:
        if i > before + 1:
            yield f"{'':>11}... {i - before - 1} more"
        line, before = lines[i], i
        where = f"{line.replica} {line.boot}".strip()
        yield f"{line.t:>9.3f} s {line.what:<22} {line.outcome:<14} {where:<12} {line.note}".rstrip()
