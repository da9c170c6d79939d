"""What can go wrong. Each error has one line that says what is wrong, and one that says what to do."""

import errno
from typing import ClassVar


class HarnessError(Exception):
    """A problem shown to the user: ``message`` says what is wrong, ``hint`` what to do about it.

    The class carries the process's exit code, as the contract documents it.
    """

    code: ClassVar[int] = 70

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(HarnessError):
    """A wrong flag, a scenario that does not check, a path that cannot be written."""

    code = 2


def explain_os_error(problem: OSError) -> HarnessError | None:
    """What the environment lacks, where that is why a call of the system failed; None for another reason."""
    if problem.errno in (errno.EMFILE, errno.ENFILE):
        return EnvironmentLacksError("no file descriptor is left", "ulimit -n 65536 allows more")
    if problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return EnvironmentLacksError(f"no space is left: {problem.filename or 'on the device'}", "free some space")
    if problem.errno in (errno.ENOMEM, errno.EAGAIN):
        return EnvironmentLacksError(f"the system has no room left: {problem.strerror}", "end what fills it")
    return None


class UntrustedError(HarnessError):
    """The measurement cannot be trusted: a part died on its own, a fault did not land."""

    code = 3

    def __init__(self, message: str, hint: str = "", subject: str = "") -> None:
        super().__init__(message, hint)
        self.subject = subject


class EnvironmentLacksError(HarnessError):
    """Something asked for is missing, taken, full or never ready."""

    code = 4
