"""What the API server reports of a pod."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from harness.cluster.kubernetes.kinds import Manifest

#: Why a container waits, where waiting longer does not help.
_HOPELESS = frozenset(
    {"ErrImageNeverPull", "InvalidImageName", "ErrImagePull", "ImagePullBackOff", "CreateContainerConfigError"}
)
#: What a container waits for in a pod where nothing is wrong, or where another container says what is.
_USUAL = frozenset({"PodInitializing", "ContainerCreating"})
_MAIN = "kubectl.kubernetes.io/default-container"  # the annotation that names the main container, for sidecar injectors


@dataclass(frozen=True)
class PodState:
    """One report of a pod.

    ``container`` is the id of its main container while that runs, ``exit`` the code of the last that ended,
    ``restarts`` how often it was started again. ``deleted`` is whether the pod's deletion was requested, ``waits_for``
    why one of its containers does not run yet.
    ``owner`` is what controls it, such as ``StatefulSet/shop``; a pod that is ``over`` remains only as a report.
    ``grace_s`` is how long it may take to end.
    """

    name: str
    uid: str
    labels: dict[str, str]
    node: str = ""
    address: str = ""
    ready: bool = False
    deleted: bool = False
    restarts: int = 0
    container: str = ""
    started: str = ""
    exit: int | None = None
    waits_for: str = ""
    hopeless: bool = False
    owner: str = ""
    over: bool = False
    grace_s: float = 30.0

    @classmethod
    def of(cls, pod: Manifest) -> Self:
        """Read it from the object."""
        metadata, status = pod["metadata"], pod.get("status", {})
        owners: Sequence[Manifest] = metadata.get("ownerReferences", ())
        container = _main_container(pod)
        state, last = container.get("state", {}), container.get("lastState", {})
        ended = state.get("terminated") or last.get("terminated") or {}
        waiting = _waiting(status)
        unscheduled: Manifest = next(
            (
                condition
                for condition in status.get("conditions", ())
                if condition["type"] == "PodScheduled" and condition["status"] == "False"
            ),
            {},
        )
        waits_for = ": ".join(filter(None, (waiting.get("reason"), waiting.get("message"))))
        return cls(
            metadata["name"],
            metadata["uid"],
            dict(metadata.get("labels", {})),
            pod.get("spec", {}).get("nodeName", ""),
            status.get("podIP", ""),
            any(
                condition["type"] == "Ready" and condition["status"] == "True"
                for condition in status.get("conditions", ())
            ),
            "deletionTimestamp" in metadata,
            int(container.get("restartCount", 0)),
            container.get("containerID", "").rpartition("/")[2] if "running" in state else "",
            state.get("running", {}).get("startedAt", ""),
            ended.get("exitCode"),
            waits_for or unscheduled.get("message", ""),
            waiting.get("reason", "") in _HOPELESS,
            next((f"{each['kind']}/{each['name']}" for each in owners if each.get("controller")), ""),
            status.get("phase") in ("Succeeded", "Failed"),
            pod.get("spec", {}).get("terminationGracePeriodSeconds", 30.0),
        )

    @property
    def running(self) -> bool:
        """Whether its container runs."""
        return bool(self.container)


def _main_container(pod: Manifest) -> Manifest:
    """The status of the container that serves, as kubectl chooses it; the statuses are in the order of their names."""
    containers: Sequence[Manifest] = pod.get("spec", {}).get("containers", ())
    first = next((container["name"] for container in containers), "")
    name = pod["metadata"].get("annotations", {}).get(_MAIN, first)
    statuses: Sequence[Manifest] = pod.get("status", {}).get("containerStatuses", ())
    return next((each for each in statuses if each.get("name") == name), next(iter(statuses), {}))


def _waiting(status: Manifest) -> Manifest:
    """What a container waits for, with its reason: the first one, also of those that run before the others."""
    containers = (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ()))
    found: Sequence[Manifest] = [
        each["state"]["waiting"] for each in containers if each.get("state", {}).get("waiting")
    ]
    unusual = (waiting for waiting in found if waiting.get("reason") not in _USUAL)
    return next(unusual, next(iter(found), {}))
