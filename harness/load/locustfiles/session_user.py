"""``SessionUser``: a Locust user whose behaviour is a generator of requests, driven by the event loop."""

import os
from typing import Any, ClassVar

from harness.load import _locust_import  # noqa: F401 - before Locust

# isort: split

from locust import User, between, constant, events, task
from locust.env import Environment
from locust.exception import StopUser
from locust.runners import MasterRunner

from harness.load.control.plan import ProcessConfig, WorkerConfig
from harness.load.http.client import Client, Request, Sleep
from harness.load.http.response import Response
from harness.load.sessions.behaviour import DefaultBehaviour, SessionSteps
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
    and, from the first user's first reply on, its cookies; each is a writer of its own. ``model`` is what the ledger
    takes the session's state for, ``timeout`` the seconds after which a request is in doubt. ``login_page`` is where a
    session is sent that has to log in again.
    """

    abstract = True
    model: ClassVar[ModelFactory] = tally
    timeout: float = 10.0

    def session(self, client: Client, /) -> SessionSteps:
        """Yield requests; each ``yield`` gives the ``Response`` (``status`` 0 if none came).

        Yield ``Sleep(seconds)`` to rest, beyond the waiting time.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a session(self, client) that yields requests")

    def final(self, client: Client, /) -> Request | None:
        """The read by which the session is judged at the end; None leaves it unjudged."""
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
    """Once Locust is set up: obey the harness if it started this process, else run alone."""
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
