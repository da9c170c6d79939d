"""``harness init``."""

import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import flags

Target = Annotated[
    Path, typer.Argument(metavar="FILE", help="The file to write; if it exists, only examine the service again.")
]
Start = Annotated[
    str | None,
    typer.Option(
        "--command", metavar="TEXT", help="How one copy of the service is started; {port} is where it listens."
    ),
]
Ready = Annotated[str | None, typer.Option(metavar="PATH", help="The path that answers 200 to 399 once it is up (/).")]
SessionKind = Annotated[
    str | None, typer.Option(metavar="KIND", help="How a reply shows the session: page, counter, cart or login (page).")
]
SessionPath = Annotated[str | None, typer.Option(metavar="PATH", help="The path whose reply shows it (/).")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite a file that exists.")]


def init(
    file: Target = Path("scenario.py"),
    *,
    start: Start = None,
    ready: Ready = None,
    session: SessionKind = None,
    path: SessionPath = None,
    force: Force = False,
    as_json: flags.Json = False,
) -> int:
    """Write a scenario for your own service.

    Then start the service, and report how its sessions behave.

    Example:

    \b
        harness init --command "node server.js" --session counter --path /count
    """
    from harness.runner import init_template

    if start is not None or force or not file.exists():
        options = init_template.InitOptions(
            _answer(start, "how is one copy started ({port} is where it listens)?", ""),
            _answer(ready, "which path answers once it is up?", "/"),
            _answer(session, f"how does a session show ({', '.join(init_template.KINDS)})?", "page"),
            _answer(path, "on which path?", "/"),
        )
        init_template.write_scenario(options, file, force)
        print(f"{file} is written", file=sys.stderr)
    return _examine(file, as_json)


def _answer(given: str | None, question: str, default: str) -> str:
    """The flag's value; without one, what the person at the terminal answers; without either, the default."""
    if given is not None or not sys.stdin.isatty():
        return given if given is not None else default
    print(f"{question} [{default}] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip() or default


def _examine(file: Path, as_json: bool) -> int:
    """Start the service, look at its sessions and print the findings."""
    import asyncio

    from harness.runner import examine
    from harness.scenario import loading

    print("examining the service, about 10 s", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="harness-init-") as logs:
        findings = asyncio.run(examine.examine(loading.load(file), Path(logs)))
    if as_json:
        print(json.dumps(asdict(findings)))
    else:
        print("\n".join([*findings.sentences(), f"next: harness run {file}"]))
    return 0 if findings.shown else 3
