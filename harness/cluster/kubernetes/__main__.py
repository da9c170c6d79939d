"""Removes the namespace of a run whose harness has ended: ``python -m harness.cluster.kubernetes RUN CONTEXT``."""

import asyncio
import sys

from harness.cluster.kubernetes.api import connect_api
from harness.cluster.kubernetes.sweep import sweep
from harness.cluster.supervisor.main import has_ended


async def main(run: str, context: str) -> None:
    """Remove it."""
    await sweep(await connect_api(context), has_ended, run)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
