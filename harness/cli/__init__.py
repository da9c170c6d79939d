"""The command line: parsing, printing and exit codes, nothing else."""

from collections.abc import Sequence

from harness.common.interrupts import interrupt_on_signals
from harness.common.standard_streams import open_closed_streams


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the process's exit code; a signal ends it from the first import on."""
    interrupt_on_signals()
    open_closed_streams()
    try:
        from harness.cli.app import run_command_line

        return run_command_line(argv)
    except KeyboardInterrupt:
        from harness.cli.errors import report_interrupt

        return report_interrupt()


__all__ = ["main"]
