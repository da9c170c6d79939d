"""``SessionUser``: a Locust user whose behaviour is a generator of requests, driven by the engine."""

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
from harness.load.sessions.session import DefaultBehaviour, SessionSteps
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

    ``wait_time`` lies between a session's requests. So many ``devices`` share a session: users who follow one
    another have the same owner and, from the first one's first reply on, its cookies; each is a writer of its own.
    ``model`` is what the ledger takes the session's state for, ``timeout`` the seconds after which a request is in
    doubt. ``login_page`` is where a session is sent that has to log in again.
    """

    abstract = True
    model: ClassVar[ModelFactory] = tally
    timeout: float = 10.0

    def session(self, client: Client, /) -> SessionSteps:
        """Yield requests; each ``yield`` gives the ``Reply`` (``status`` 0 where none came).

        ``Pause(seconds)`` is yielded to rest, beyond the waiting time.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a session(self, client) that yields requests")

    def final(self, client: Client, /) -> Request | None:
        """The read by which the session is judged in the end; None leaves it unjudged."""
        return None

    @task
    def _be_seated(self) -> None:
        load_runner_of(self.environment).seat(self)
        raise StopUser

    def stop(self, force: bool = False) -> bool:
        """Locust's: at once, or when the request under way has ended (the engine waits for that one by itself)."""
        stopped: bool = super().stop(force)
        if not stopped:
            load_runner_of(self.environment).unseat(self)
        return stopped


_RUNNER_ATTRIBUTE = "_harness_director"


def load_runner_of(environment: Environment) -> LoadRunner:
    """The venue of this Locust environment, which is where its users meet."""
    venue: LoadRunner = getattr(environment, _RUNNER_ATTRIBUTE).venue
    return venue


def on_locust_init(environment: Environment, **_: Any) -> None:
    """Once Locust is set up: obey the harness where it started this process, else run alone."""
    if orders := ProcessConfig.from_environment(os.environ):
        if orders.workers:
            Master(environment, orders).hold()
            return
        director: ControlledRunner | StandaloneRunner = ControlledRunner.ordered(environment, orders)
    elif recruit := WorkerConfig.from_environment(os.environ):
        director = ControlledRunner.recruited(environment, recruit)
    elif isinstance(environment.runner, MasterRunner):
        StandaloneMaster(environment)
        return
    else:
        director = StandaloneRunner(environment)
    setattr(environment, _RUNNER_ATTRIBUTE, director)


events.init.add_listener(on_locust_init)  # type: ignore[no-untyped-call] # Locust does not type its hooks
