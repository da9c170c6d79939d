"""Where should session state live? A load and fault benchmark that answers with evidence.

A scenario file imports its words from here::

    from harness import At, Design, Kill, Restart, Scenario, Sessions, SessionUser

``SessionUser`` is looked up on first use: it imports Locust, which the readers of a run never need.
"""

from typing import TYPE_CHECKING, Any

from harness.expectations import clean_control, finds, keeps, loses_the_at_risk
from harness.faults import Kill, Restart, Shell, Undo
from harness.scenario import At, Balancing, Design, Health, Requests, Scenario, Sessions
from harness.targets import Command, Url

if TYPE_CHECKING:
    from harness.load.user import Client, SessionUser

__version__ = "0.1.0"

__all__ = [
    "At",
    "Balancing",
    "Client",
    "Command",
    "Design",
    "Health",
    "Kill",
    "Requests",
    "Restart",
    "Scenario",
    "SessionUser",
    "Sessions",
    "Shell",
    "Undo",
    "Url",
    "clean_control",
    "finds",
    "keeps",
    "loses_the_at_risk",
]


def __getattr__(name: str) -> Any:
    """Import ``SessionUser`` and ``Client``, and Locust with them, only where they are asked for."""
    if name in ("Client", "SessionUser"):
        from harness.load import user  # noqa: PLC0415 - deferred: it monkey-patches the process

        return getattr(user, name)
    raise AttributeError(f"module 'harness' has no attribute {name!r}")
