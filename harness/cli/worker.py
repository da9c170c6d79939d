"""``harness worker``."""

from typing import Annotated

import typer

from harness.common.terminal import note

Master = Annotated[str, typer.Option(metavar="HOST:PORT", help="Where harness run expects workers.")]
Token = Annotated[
    str,
    typer.Option(
        envvar="HARNESS_WORKER_TOKEN", metavar="TEXT", help="The token of the run; best given in the environment."
    ),
]


def worker(*, master: Master, token: Token) -> int:
    """Drive a share of another machine's runs, until Ctrl-C.

    Example:

    \b
        harness worker --master 192.0.2.10:5557
    """
    from harness.common import interrupts
    from harness.runner import load_place
    from harness.runner import worker as workers
    from harness.scenario import driver_processes

    address = driver_processes.Address.parse(master, "--master")
    note(f"works for {address} until Ctrl-C; it runs the code that the master sends")
    interrupts.run_until_interrupted(workers.work(load_place.WorkerLink(address, token)))
    return 0
