"""A Kubernetes cluster: its API server, the namespace of a run, and the parts as pods."""

import importlib.util
import os
from pathlib import Path

from harness.common.errors import EnvironmentLacksError
from harness.common.pip_line import extra_line

_POD_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"  # what a pod has in place of a kubeconfig


def is_configured() -> bool:
    """Whether anything here may name a cluster: a kubeconfig, or the account of a pod."""
    places = (*os.environ.get("KUBECONFIG", "~/.kube/config").split(os.pathsep), _POD_ACCOUNT)
    return any(Path(place).expanduser().exists() for place in places)


def require_client() -> None:
    """Check that the client library is there, which is an extra.

    Raises:
        EnvironmentLacksError: it is not.
    """
    if importlib.util.find_spec("kr8s") is None:
        raise EnvironmentLacksError("no client for Kubernetes", extra_line("kubernetes"))
