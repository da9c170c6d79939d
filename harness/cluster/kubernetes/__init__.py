"""A Kubernetes cluster: its API server, the namespace of a run, and the parts as pods."""

import importlib.util
import os
from pathlib import Path

from harness.common.errors import EnvironmentLacksError
from harness.common.pip_line import extra_line

#: What a pod has in place of a kubeconfig.
POD_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def find_kubeconfigs() -> list[Path]:
    """The files of ``KUBECONFIG`` that exist, or else ``~/.kube/config``."""
    named = os.environ.get("KUBECONFIG") or "~/.kube/config"
    return [path for part in named.split(os.pathsep) if part and (path := Path(part).expanduser()).exists()]


def is_configured() -> bool:
    """Whether anything here may name a cluster: a kubeconfig, or the account of a pod."""
    return bool(find_kubeconfigs()) or POD_ACCOUNT.exists()


def require_client() -> None:
    """Check that the client library is there, which is an extra.

    Raises:
        EnvironmentLacksError: it is not.
    """
    if importlib.util.find_spec("kr8s") is None:
        raise EnvironmentLacksError("no client for Kubernetes", extra_line("kubernetes"))
