"""``harness worker``."""

import sys
from typing import Annotated

import typer

Master = Annotated[str, typer.Option(metavar="HOST:PORT", help="Where harness run expects workers.")]


def worker(*, master: Master) -> int:
    """Drive a share of another machine's runs, until Ctrl-C.

    Example:

    \b
        harness worker --master 192.0.2.10:5557
    """
    import asyncio

    from harness.runner import worker as workers
    from harness.scenario import driver_processes

    address = driver_processes.Address.parse(master, "--master")
    print(f"works for {address} until Ctrl-C; it runs the users that the master sends", file=sys.stderr)
    asyncio.run(workers.work(address))
    return 0
