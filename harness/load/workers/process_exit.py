"""How a load process ends."""

import os
import sys
from typing import Any, NoReturn

import gevent

_QUIT_TIMEOUT_S = 3


def exit_process(code: int) -> NoReturn:
    """End the process at once: no harness is there to wait for, and Locust takes its time to end."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def quit_locust(environment: Any) -> None:
    """End Locust the way it ends on its own, so that its table is printed."""
    environment.process_exit_code = 0
    gevent.spawn_later(_QUIT_TIMEOUT_S, exit_process, 0)
    environment.runner.quit()
