"""A Kubernetes cluster: its API server, the namespace of a run, and the parts as pods."""

import importlib.util

from harness.common.errors import EnvironmentLacksError
from harness.common.pip_line import extra_line


def require_client() -> None:
    """Check that the client library is there, which is an extra.

    Raises:
        EnvironmentLacksError: it is not.
    """
    if importlib.util.find_spec("kr8s") is None:
        raise EnvironmentLacksError("no client for Kubernetes", extra_line("kubernetes"))
