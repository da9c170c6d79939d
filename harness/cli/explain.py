"""``harness explain``."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import flags

if TYPE_CHECKING:
    from harness.analysis.explain import NotableSession, SessionTrace

SessionName = Annotated[
    str | None,
    typer.Argument(
        metavar="SESSION", help="DESIGN/SESSION or DESIGN/ARM/SESSION; without it, the sessions worth a look."
    ),
]


def explain(run: flags.RunDirectory, session: SessionName = None, *, as_json: flags.Json = False) -> int:
    """Show one session's trace, and why it was judged so.

    Example:

    \b
        harness explain results/node_kill/latest sticky/17
    """
    from harness.analysis import explain as explaining
    from harness.results.run import Run

    arms = Run.open(run).read_observations()
    if session is None:
        sessions = explaining.find_notable_sessions(arms)
        if as_json:
            print(json.dumps([asdict(entry) for entry in sessions], indent=1))
        else:
            _print_notable(sessions)
        return 0
    trace = explaining.trace_session(arms, session)
    if as_json:
        print(json.dumps(asdict(trace), indent=1))
    else:
        _print_trace(trace)
    return 0


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
