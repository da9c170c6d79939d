"""Users whose ``on_start`` raises are counted, and the most frequent reason is quoted."""

from typing import Any

import pytest

from harness.load import _locust_import  # noqa: F401 - before Locust

# isort: split

from locust import TaskSet, User
from locust.exception import StopUser

from harness.common.errors import UsageError
from harness.load.workers.ended_users import EndedUsers
from harness.observations.samples import Snapshot


class Environment:
    """All that a user asks of its environment."""

    host = None


def watched(*kinds: type) -> tuple[EndedUsers, list[BaseException]]:
    failures: list[BaseException] = []
    return EndedUsers(list(kinds), failures.append), failures


def begin(user: Any) -> None:
    with pytest.raises(Exception):  # noqa: B017 - whatever the test raises
        user.on_start()


def ended(users: EndedUsers) -> tuple[int, str | None]:
    snapshot = users.add_to(Snapshot(1, 0.2))
    return snapshot.users_ended, snapshot.users_ended_why


def test_users_that_begin_leave_no_trace() -> None:
    class Fine(User):
        def on_start(self) -> None:
            """Begin."""

    users, failures = watched(Fine)
    Fine(Environment()).on_start()
    assert ended(users) == (0, None)
    assert not failures


def test_each_user_is_counted_once_and_the_most_frequent_reason_is_quoted_on_one_line() -> None:
    class Base(User):
        def on_start(self) -> None:
            raise RuntimeError("cannot\nbegin")

    class Heir(Base):
        def on_start(self) -> None:
            super().on_start()

    class Leaves(User):
        def on_start(self) -> None:
            raise StopUser

    users, _ = watched(Base, Heir, Leaves)
    for kind in (Leaves, Heir, Heir, Base):
        begin(kind(Environment()))
    assert ended(users) == (4, "Heir: RuntimeError: cannot begin")


def test_a_task_set_ends_its_user_only_by_stop_user() -> None:
    class Steps(TaskSet):
        def on_start(self) -> None:
            raise self.user.problem  # type: ignore[attr-defined]

    class Walker(User):
        tasks = [Steps]  # noqa: RUF012 - as Locust has it
        problem: Exception = RuntimeError("once more")

    users, _ = watched(Walker)
    walker = Walker(Environment())
    begin(Steps(walker))
    assert ended(users) == (0, None)
    walker.problem = StopUser()
    begin(Steps(walker))
    assert ended(users) == (1, "Walker.Steps: StopUser")


def test_a_user_that_cannot_be_created_is_a_mistake_in_the_file() -> None:
    class Broken(User):
        def __init__(self, environment: object) -> None:
            raise ValueError("no init for you")

    _, failures = watched(Broken)
    with pytest.raises(ValueError, match="no init"):
        Broken(Environment())
    (failure,) = failures
    assert isinstance(failure, UsageError)
    assert failure.message == "a user Broken cannot be created: ValueError: no init for you"
