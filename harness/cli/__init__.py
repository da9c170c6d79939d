"""The command line: parsing, printing and exit codes, nothing else."""

from harness.cli.app import main

__all__ = ["main"]
