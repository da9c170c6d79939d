"""``harness kill``."""

import json
from typing import Annotated

import typer

from harness.cli import flags

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
        print(json.dumps(answer))
    else:
        print(", ".join(f"{key} {value}" for key, value in answer.items()))
    return 0
