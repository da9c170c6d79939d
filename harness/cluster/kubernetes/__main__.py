"""Removes the namespace of a run whose harness has ended: ``python -m harness.cluster.kubernetes RUN CONTEXT``."""

import asyncio
import sys

from harness.cluster.kubernetes.api import connect_api
from harness.cluster.kubernetes.sweep import sweep
from harness.cluster.supervisor.main import has_ended
from harness.common.errors import HarnessError
from harness.common.terminal import note


async def main(run: str, context: str) -> int:
    """Remove it; returns the exit code. What goes wrong is one line, with the command that removes it later."""
    try:
        if problem := (await sweep(await connect_api(context), has_ended, run)).problem:
            raise problem
    except HarnessError as problem:
        note(f"harness: the namespace of the run {run} may be left: {problem.message}")
        note(f"  hint: harness clean --context {context}")
        return problem.code
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
