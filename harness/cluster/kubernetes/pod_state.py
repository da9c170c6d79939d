"""What the API server reports of a pod."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from harness.cluster.kubernetes.kinds import Manifest

#: Why a container waits, where waiting longer does not help.
_HOPELESS = frozenset(
    {"ErrImageNeverPull", "InvalidImageName", "ErrImagePull", "ImagePullBackOff", "CreateContainerConfigError"}
)


@dataclass(frozen=True)
class PodState:
    """One report of a pod. ``container`` is the id of its running container, ``exit`` the code of the last that ended.

    ``deleted`` is whether its deletion was requested, ``waits_for`` why it does not run yet.
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
        """Read it from the object; of several containers, the first counts."""
        metadata, status = pod["metadata"], pod.get("status", {})
        owners: Sequence[Manifest] = metadata.get("ownerReferences", ())
        container: Manifest = next(iter(status.get("containerStatuses", ())), {})
        state, last = container.get("state", {}), container.get("lastState", {})
        ended = state.get("terminated") or last.get("terminated") or {}
        waiting = state.get("waiting", {})
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
