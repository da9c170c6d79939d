"""What Locust loads: the users of sessions, and the adapter of plain locustfiles. Just one of them drives a load."""

from typing import Any


def has_sessions(environment: Any) -> bool:
    """Whether a Locust environment has a user of sessions; if not, its load is left to the adapter."""
    return any(hasattr(user_class, "session") for user_class in environment.user_classes)
