"""``SessionUser``: a Locust user whose behaviour is a generator of requests, driven by the event loop."""

import os
from typing import Any, ClassVar

from harness.load import _locust_import  # noqa: F401 - before Locust

# isort: split

from locust import User, between, constant, events, task
from locust.env import Environment
from locust.exception import StopUser
from locust.runners import MasterRunner

from harness.common.errors import UsageError
from harness.load.control.plan import ProcessConfig, WorkerConfig
from harness.load.http.client import Client, Request, Sleep
from harness.load.http.response import Response
from harness.load.locustfiles import has_sessions
from harness.load.sessions.behaviour import BROWSER, IMMORTAL, OWN, SHARED, DefaultBehaviour, SessionSteps
from harness.load.workers.controlled import ControlledRunner
from harness.load.workers.load_runner import LoadRunner
from harness.load.workers.master import Master
from harness.load.workers.standalone import StandaloneMaster, StandaloneRunner
from harness.oracle.models import ModelFactory, tally

__all__ = [
    "Client",
    "Environment",
    "Request",
    "Response",
    "SessionSteps",
    "SessionUser",
    "Sleep",
    "between",
    "constant",
]


class SessionUser(DefaultBehaviour, User):
    """Subclass it, and write ``session`` and ``final``. A user has one session at a time, and a new one when it ends.

    ``wait_time`` lies between a session's requests. ``devices`` users in a row share a session: they have one owner
    and, from the first user's first reply on, its cookies; each is a writer of its own. With ``browser = "shared"``
    they are tabs of one browser: what one's reply does to a cookie holds for all. Cookies expire as in a browser;
    ``cookies = "immortal"`` keeps those that merely grow old. ``model`` is what the ledger takes the session's state
    for, ``timeout`` the seconds after which a request is in doubt. ``login_page`` is where a session is sent that has
    to log in again. ``carries`` says where the session's id travels if not in a cookie, such as
    ``Header("Mcp-Session-Id")``; ``gone`` which replies prove that it is gone, such as ``Status(404)``.
    """

    abstract = True
    model: ClassVar[ModelFactory] = tally
    timeout: float = 10.0

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Check what the class declares.

        Raises:
            UsageError: no such way to keep cookies.
        """
        super().__init_subclass__(**keywords)
        if cls.cookies not in (BROWSER, IMMORTAL):
            raise UsageError(f"cookies is {BROWSER!r} or {IMMORTAL!r}, not {cls.cookies!r}")
        if cls.browser not in (OWN, SHARED):
            raise UsageError(f"browser is {OWN!r} or {SHARED!r}, not {cls.browser!r}")

    def session(self, client: Client, /) -> SessionSteps:
        """Yield requests; each ``yield`` gives the ``Response`` (``status`` 0 if none came).

        Yield ``Sleep(seconds)`` to rest, beyond the waiting time.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a session(self, client) that yields requests")

    def final(self, client: Client, /) -> Request | SessionSteps | None:
        """The read by which the session is judged at the end; None leaves it unjudged.

        It may be a generator of several requests, with ``Sleep`` between them: the last reply is judged.
        """
        return None

    @task
    def _run_session(self) -> None:
        load_runner_of(self.environment).run_user(self)
        raise StopUser

    def stop(self, force: bool = False) -> bool:
        """Locust's: at once, or when the request under way has ended (the event loop waits for that one)."""
        stopped: bool = super().stop(force)
        if not stopped:
            load_runner_of(self.environment).stop_user(self)
        return stopped


_RUNNER_ATTRIBUTE = "_harness_runner"


def load_runner_of(environment: Environment) -> LoadRunner:
    """The load runner of this Locust environment, which all of its users share."""
    load_runner: LoadRunner = getattr(environment, _RUNNER_ATTRIBUTE).load_runner
    return load_runner


def on_locust_init(environment: Environment, **_: Any) -> None:
    """Once Locust is set up: obey the harness if it started this process, else run alone.

    Without a user of sessions there is nothing to do: a warm load process has this module whatever its file needs.
    """
    if not has_sessions(environment):
        return
    if config := ProcessConfig.from_environment(os.environ):
        if config.workers:
            Master(environment, config).hold()
            return
        runner: ControlledRunner | StandaloneRunner = ControlledRunner.from_process_config(environment, config)
    elif worker_config := WorkerConfig.from_environment(os.environ):
        runner = ControlledRunner.from_worker_config(environment, worker_config)
    elif isinstance(environment.runner, MasterRunner):
        StandaloneMaster(environment)
        return
    else:
        runner = StandaloneRunner(environment)
    setattr(environment, _RUNNER_ATTRIBUTE, runner)


events.init.add_listener(on_locust_init)  # type: ignore[no-untyped-call] # Locust does not type its hooks
