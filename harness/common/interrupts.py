"""How a signal ends the harness: the first in good order, the second at once."""

import os
import signal
from collections.abc import Coroutine
from types import FrameType
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")

#: The exit code of an interrupted command.
INTERRUPTED = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """A signal has come; a plain KeyboardInterrupt may also have been raised by a program."""


def interrupt_on_signals() -> None:
    """Let SIGINT, SIGTERM and SIGHUP raise ``Interrupted`` once. The next ends the process, and with it all parts.

    SIGHUP stays ignored where it is, as under nohup. SIGINT does not: a script's background jobs start with it ignored.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        for number in _SIGNALS:
            signal.signal(number, lambda *_: _end_at_once())
        raise Interrupted

    for number in _SIGNALS:
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)


def run_until_interrupted(work: Coroutine[Any, Any, T]) -> T:
    """As ``asyncio.run``, but a signal cancels the work, which then ends in good order.

    Raises:
        KeyboardInterrupt: it was interrupted, and has ended.
    """
    import asyncio  # noqa: PLC0415 - a third of a second, and every command imports this module

    return asyncio.run(_cancel_on_signals(work))


async def _cancel_on_signals(work: Coroutine[Any, Any, T]) -> T:
    import asyncio  # noqa: PLC0415 - as above

    loop, working = asyncio.get_running_loop(), asyncio.ensure_future(work)
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    interrupted = False

    def on_signal() -> None:
        nonlocal interrupted
        if interrupted:
            _end_at_once()
        interrupted = True
        working.cancel()

    for number, handler in handlers.items():
        if handler is not signal.SIG_IGN:
            loop.add_signal_handler(number, on_signal)
    try:
        return await working
    except asyncio.CancelledError:
        if interrupted:
            raise KeyboardInterrupt from None
        raise
    finally:
        for number, handler in handlers.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


def _end_at_once() -> NoReturn:
    if os.isatty(2):
        os.write(2, b"\x1b[?25h")  # a live view hides the cursor
    os._exit(INTERRUPTED)  # the supervisor notices, and ends every part
