"""``harness kill``."""

import json
from typing import Annotated

import typer

from harness.cli import flags
from harness.common.terminal import show

Replica = Annotated[str, typer.Argument(metavar="REPLICA", help="Its name, such as r1.", show_default=False)]
Restart = Annotated[bool, typer.Option("--restart", help="Bring it back instead.")]


def kill(replica: Replica, *, restart: Restart = False, as_json: flags.Json = False) -> int:
    """Kill (kill -9) a replica that harness up holds.

    Example:

    \b
        harness kill r1
    """
    import asyncio

    from harness.runner import hold

    answer = asyncio.run(hold.request("restart" if restart else "kill", replica))
    if as_json:
        show(json.dumps(answer))
    else:
        details = ", ".join(f"{name} {answer[name]}" for name in ("pod", "node", "pid") if name in answer)
        show(f"{'restarted' if restart else 'killed'} {replica}" + (f" ({details})" if details else ""))
    return 0
