"""The log of a load process that did not start: Locust's own line about the reason."""

import re

#: What Locust puts before a message: "[2026-11-29 09:14:32,180] host/ERROR/locust.main: ".
_PREFIX = re.compile(r"^\[[^\]]*\] \S+/[A-Z]+/[\w.]+: ")
_ERROR = re.compile(r"^\[[^\]]*\] \S+/(ERROR|CRITICAL)/")


def find_start_error(log: str) -> str:
    """The line that says why Locust ended: its last error, else that of the last traceback, else the last line.

    Empty if nothing was logged.
    """
    lines = [line.rstrip() for line in log.splitlines() if line.strip()]
    begin = max((n for n, line in enumerate(lines) if line.startswith("Traceback (most recent call last)")), default=-1)
    raised = next((line for line in lines[begin + 1 :] if not line[0].isspace()), "") if begin >= 0 else ""
    errors = [_PREFIX.sub("", line) for line in lines[begin + 1 :] if _ERROR.match(line)]
    return next(filter(None, [*reversed(errors), raised, *(_PREFIX.sub("", line) for line in reversed(lines))]), "")
