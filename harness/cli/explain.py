"""``harness explain``."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import flags
from harness.common.terminal import show

if TYPE_CHECKING:
    from harness.analysis.explain import NotableSession, SessionGroup, SessionTrace

SessionName = Annotated[
    str | None,
    typer.Argument(
        metavar="SESSION", help="DESIGN/SESSION or DESIGN/ARM/SESSION; without it, the sessions worth a look."
    ),
]
Every = Annotated[bool, typer.Option("--all", help="List every session worth a look, not one of each group.")]


def explain(
    run: flags.RunDirectory,
    session: SessionName = None,
    *,
    every: Every = False,
    no_color: flags.NoColor = False,
    as_json: flags.Json = False,
) -> int:
    """Show one session's trace, the story of its id, and why it was judged so.

    Without a session, group those to which something happened.

    Example:

    \b
        harness explain results/node_kill/latest sticky/17
    """
    from harness.analysis import explain as explaining
    from harness.results.run import Run

    opened = Run.open(run)
    design = session.partition("/")[0] if session else None
    arms = opened.read_observations(design if design in opened.plan.designs else None)
    if session is None:
        sessions = explaining.find_notable_sessions(arms)
        if as_json:
            show(json.dumps([asdict(entry) for entry in sessions], indent=1))
        else:
            _print_notable(sessions) if every else _print_groups(explaining.group_sessions(sessions))
        return 0
    trace = explaining.trace_session(arms, session)
    if as_json:
        show(json.dumps(asdict(trace), indent=1))
    else:
        _print_trace(trace)
    return 0


def _print_groups(groups: "Sequence[SessionGroup]") -> None:
    from rich.table import Table

    from harness.cli.console import open_console

    table = Table("sessions", "judged", "at risk", "cause", "see", title="sessions worth a look")
    for group in groups:
        risk = "" if group.at_risk is None else "yes" if group.at_risk else "no"
        example = f"{group.design}/{group.arm}/{group.example}"
        table.add_row(f"{group.sessions:,}", group.kind, risk, group.cause, example)
    open_console().print(table if groups else "nothing happened to any session")


def _print_notable(sessions: "Sequence[NotableSession]") -> None:
    from rich.table import Table

    from harness.cli.console import open_console

    table = Table("session", "judged", "at risk", "cause", title="sessions worth a look")
    for session in sessions:
        risk = "" if session.at_risk is None else "yes" if session.at_risk else "no"
        table.add_row(f"{session.design}/{session.arm}/{session.session}", session.kind, risk, session.cause)
    open_console().print(table if sessions else "nothing happened to any session")


def _print_trace(trace: "SessionTrace") -> None:
    from rich.table import Table

    from harness.cli.console import open_console

    out = open_console()
    table = Table("t (s)", "request or event", "outcome", "replica", "boot", "operation", "note")
    for line in trace.lines:
        table.add_row(f"{line.t:.3f}", line.what, line.outcome, line.replica, line.boot, line.op, line.note)
    table.title = f"{trace.design}, {trace.arm} arm, session {trace.session}"
    out.print(table)
    for sentence in trace.why:
        out.print(f"- {sentence}")
