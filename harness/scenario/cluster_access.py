"""Which Kubernetes cluster a run may use, and how."""

import re
from dataclasses import dataclass

from harness.scenario.checks import check_types, require


@dataclass(frozen=True)
class ClusterAccess:
    """``context`` is a context of the kubeconfig; None is the current one.

    A context whose API server is not on this machine has to be in ``allowed``. A run's namespace is named after
    ``prefix``; its pods run ``image``, those that generate the load ``load_image``. If ``forwarded``, the harness
    reaches pods through the API server, and not at their addresses.
    """

    context: str | None = None
    allowed: tuple[str, ...] = ()
    prefix: str = "harness"
    image: str = "session-harness:latest"
    load_image: str = "session-harness-locust:latest"
    forwarded: bool = False

    def __post_init__(self) -> None:
        check_types(self)
        require(
            re.fullmatch(r"[a-z]([a-z0-9-]{0,29}[a-z0-9])?", self.prefix) is not None,
            f"a namespace cannot begin with {self.prefix!r}",
            "small letters, digits and hyphens, at most 31: --namespace-prefix harness",
        )
        require(
            bool(self.image and self.load_image),
            "the name of an image is empty",
            "--image registry.example.com/session-harness:1",
        )


DEFAULT_ACCESS = ClusterAccess()
