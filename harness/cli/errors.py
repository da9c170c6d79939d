"""How a command ends: an exit code, and for a problem one line that says what is wrong and one with a hint."""

import contextlib
import functools
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from typing import ParamSpec

import typer

from harness.common.errors import HarnessError, UsageError, explain_os_error
from harness.common.interrupts import INTERRUPTED
from harness.common.terminal import note

P = ParamSpec("P")

EXIT_CODES = (
    "Exit codes: 0 pass, 1 fail, 2 usage, 3 unknown (cannot be trusted), 4 something is missing, "
    "70 a defect of the harness, 130 interrupted (what was measured is kept)."
)


def guard(command: Callable[P, int]) -> Callable[P, int]:
    """The same command with every exception turned into an exit code; Typer's own pass through."""

    @functools.wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            code = command(*args, **kwargs)
            sys.stdout.flush()  # a reader that has gone away is noticed here, not when Python exits
            return code
        except (typer.TyperException, typer.Exit, typer.Abort):
            raise
        except HarnessError as problem:
            return report_problem(problem)
        except KeyboardInterrupt:
            return report_interrupt()
        except BrokenPipeError:  # the reader of the pipe has read what it wanted
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for Python's last flush
            return 0
        except OSError as problem:
            lack = explain_os_error(problem)
            return report_problem(lack) if lack else _report_defect(problem)
        except Exception as defect:  # the last resort: the user gets one line, the bug report gets the traceback
            return _report_defect(defect)

    return guarded


def report_interrupt() -> int:
    """Say that the command was interrupted; return the exit code. Nothing can be shown on a closed terminal."""
    with contextlib.suppress(OSError):
        note("interrupted")
    return INTERRUPTED


def report_problem(problem: HarnessError) -> int:
    """Print the problem and its hint; return its exit code."""
    note(f"harness: {problem.message}")
    if problem.hint:
        note(f"  hint: {problem.hint}")
    return problem.code


def report_usage(problem: typer.TyperException) -> int:
    """Print what Typer says about a wrong command line, in the form of every other problem; return its exit code."""
    message = _describe(problem).rstrip(".")
    context = getattr(problem, "ctx", None)  # the subclasses that have one are private to Typer
    command = context.command_path if context else "harness"
    return report_problem(UsageError(message[:1].lower() + message[1:], f"{command} --help"))


def _describe(problem: typer.TyperException) -> str:
    similar = getattr(problem, "possibilities", None)  # as above
    if similar:
        return f"{problem.message}. Did you mean {' or '.join(sorted(similar))}?"
    return problem.format_message()


def require_command(context: typer.Context) -> None:
    """Print the help and end with exit code 2 if a group of commands is called without one."""
    if context.invoked_subcommand is None:
        note(context.get_help(), end="\n\n")
        raise typer.Exit(report_problem(UsageError("missing COMMAND", f"{context.command_path} --help")))


def _report_defect(defect: Exception) -> int:
    with tempfile.NamedTemporaryFile("w", prefix="harness-defect-", suffix=".txt", delete=False) as file:
        traceback.print_exception(defect, file=file)
    problem = f"a defect of the harness itself: {defect!r}"
    return report_problem(HarnessError(problem, f"please report it with {file.name}"))
