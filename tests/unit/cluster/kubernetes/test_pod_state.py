"""What is read from the report of a pod that has more containers than that of the service."""

from typing import Any

import pytest

from harness.cluster.kubernetes.pod_state import PodState

RUNS = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}


def waits(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, **({"message": message} if message else {})}}


def status(name: str, state: dict[str, Any], restarts: int = 0) -> dict[str, Any]:
    return {"name": name, "state": state, "restartCount": restarts, "containerID": f"containerd://c-{name}"}


def report(*containers: dict[str, Any], init: tuple[dict[str, Any], ...] = (), main: str = "") -> PodState:
    """The state of a pod whose specification begins with ``web``."""
    annotations = {"kubectl.kubernetes.io/default-container": main} if main else {}
    return PodState.of(
        {
            "metadata": {"name": "shop-0", "uid": "uid-0", "annotations": annotations},
            "spec": {"containers": [{"name": "web"}, {"name": "agent"}]},
            "status": {"initContainerStatuses": list(init), "containerStatuses": list(containers)},
        }
    )


def test_the_image_that_is_missing_is_said_beside_a_sidecar_that_runs() -> None:
    pod = report(status("agent", RUNS), status("web", waits("ImagePullBackOff", "no such image")))
    assert (pod.waits_for, pod.hopeless) == ("ImagePullBackOff: no such image", True)


def test_the_image_of_an_init_container_that_is_missing_is_said() -> None:
    later = waits("PodInitializing")
    pod = report(status("agent", later), status("web", later), init=(status("schema", waits("ErrImagePull")),))
    assert (pod.waits_for, pod.hopeless) == ("ErrImagePull", True)


def test_a_reason_counts_more_than_that_of_a_container_which_only_comes_later() -> None:
    pod = report(status("agent", waits("ContainerCreating")), status("web", waits("CrashLoopBackOff", "back-off")))
    assert (pod.waits_for, pod.hopeless) == ("CrashLoopBackOff: back-off", False)


def test_a_pod_that_only_starts_says_so() -> None:
    pod = report(status("agent", waits("ContainerCreating")), status("web", waits("ContainerCreating")))
    assert (pod.waits_for, pod.hopeless) == ("ContainerCreating", False)


@pytest.mark.parametrize(("main", "container", "restarts"), [("", "c-web", 1), ("agent", "c-agent", 4)])
def test_the_restarts_are_those_of_the_container_that_serves(main: str, container: str, restarts: int) -> None:
    pod = report(status("agent", RUNS, restarts=4), status("web", RUNS, restarts=1), main=main)
    assert (pod.container, pod.restarts, pod.waits_for) == (container, restarts, "")
