"""``harness serve``."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import flags
from harness.common.errors import UsageError
from harness.common.terminal import note, show

Results = Annotated[Path, typer.Argument(metavar="[DIR]", help="Where runs are kept.")]
Port = Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="Where the site listens; 0 is a free port.")]
OpenBrowser = Annotated[bool, typer.Option("--open", help="Open it in a browser.")]


def serve(results: Results = flags.RESULTS, *, port: Port = 8484, open_browser: OpenBrowser = False) -> int:
    """Show all runs in a browser: verdicts, trends, and a run in progress.

    The site listens on loopback alone, needs no network, and only reads. Ctrl-C ends it.

    Example:

    \b
        harness serve results
    """
    from harness.common import interrupts

    if not results.is_dir():
        raise UsageError(f"{results} is no directory", "harness run keeps runs in results, or where --out says")
    interrupts.run_until_interrupted(_serve(results, port, open_browser))
    return 0


async def _serve(results: Path, port: int, open_browser: bool) -> None:
    import asyncio

    from harness.site import browser, server

    async with server.serve(results, port) as site:
        show(f"{site.address}  (the runs in {results})")
        note("Ctrl-C ends it")
        if open_browser:
            browser.open_page(site.address)
        await asyncio.Event().wait()
