"""Users that end before their first task because ``on_start`` raised: Locust goes on without them."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import wraps
from typing import Any

from harness.load import _locust_import  # noqa: F401 - before Locust

# isort: split

from locust import TaskSet
from locust.exception import StopUser

from harness.common.errors import UsageError
from harness.observations.samples import Snapshot

_MAX_CAUSE = 200  # characters


class EndedUsers:
    """Counts the users whose ``on_start`` raised, and keeps the most frequent exception's line.

    ``report_failure`` is called if a user cannot even be created, since Locust then creates no further ones.
    """

    def __init__(self, user_classes: list[type], report_failure: Callable[[BaseException], Any]) -> None:
        self._causes: Counter[str] = Counter()
        self._report_failure = report_failure
        for user_class in user_classes:
            self._watch(user_class, user_class.__name__, (Exception,))
            self._watch_creation(user_class)
            for task_set in _task_sets(user_class):  # after any other exception, Locust enters it once more
                self._watch(task_set, f"{user_class.__name__}.{task_set.__name__}", (StopUser,))

    def add_to(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot with the number of these users, and why most of them ended."""
        if not self._causes:
            return snapshot
        return replace(snapshot, users_ended=self._causes.total(), users_ended_why=self._causes.most_common(1)[0][0])

    def _watch(self, kind: Any, name: str, causes: tuple[type[Exception], ...]) -> None:
        def count(problem: Exception) -> None:
            line = " ".join(f"{type(problem).__name__}: {problem}".split()).removesuffix(":")
            self._causes[f"{name}: {line}"[:_MAX_CAUSE]] += 1

        kind.on_start = _notifying(kind, kind.on_start, causes, count)

    def _watch_creation(self, kind: Any) -> None:
        def report(problem: Exception) -> None:
            what = f"a user {kind.__name__} cannot be created: {type(problem).__name__}: {problem}"
            self._report_failure(UsageError(what, "correct its __init__; the log of the load has the traceback"))

        kind.__init__ = _notifying(kind, kind.__init__, (Exception,), report)


def _notifying(
    kind: type, method: Callable[..., Any], causes: tuple[type[Exception], ...], notify: Callable[[Exception], None]
) -> Callable[..., Any]:
    """The method, notifying of what it raises. It leaves instances of a subclass, which may call it, to that class."""

    @wraps(method)
    def notifying(instance: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(instance, *args, **kwargs)
        except causes as problem:
            if type(instance) is kind:
                notify(problem)
            raise

    return notifying


def _task_sets(kind: Any) -> Iterator[Any]:
    """The task sets among the tasks of a user or a task set, and theirs."""
    for task in dict.fromkeys(getattr(kind, "tasks", ())):
        if isinstance(task, type) and issubclass(task, TaskSet):
            yield task
            yield from _task_sets(task)
