"""What happens to the pods and the endpoints of a namespace, as the API server reports it, with the times."""

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from harness.cluster.kubernetes.kinds import POD, SLICE, Kind, Manifest
from harness.cluster.kubernetes.pod_state import PodState
from harness.cluster.kubernetes.run_namespace import RunNamespace
from harness.common.background import background
from harness.common.waiting import wait_until

_POLL_INTERVAL_S = 0.01
_SERVICE = "kubernetes.io/service-name"  # the label of an EndpointSlice


@dataclass
class PodTimes:
    """When something was first reported of a pod, in seconds of CLOCK_MONOTONIC; None: not yet."""

    deleted: float | None = None  # its deletion was requested
    sigterm: float | None = None  # it reported SIGTERM; by the clock of its node
    left: float | None = None  # its Service stopped sending it new connections, and has not begun again
    ended: float | None = None  # its container ended; never reported if it was deleted without grace
    gone: float | None = None  # the API server has forgotten it

    def since(self, begin: float) -> dict[str, float]:
        """What is known, each in seconds after ``begin``."""
        known = {
            "sigterm_s": self.sigterm,
            "endpoint_left_s": self.left,
            "container_ended_s": self.ended,
            "gone_s": self.gone,
        }
        return {name: round(t - begin, 3) for name, t in known.items() if t is not None}


@dataclass(frozen=True)
class ServiceEndpoint:
    """A pod as a Service sees it: new connections go there only while it is ``ready``."""

    pod: str
    address: str
    ready: bool


class PodWatch:
    """The pods of a namespace by name, and the endpoints of its Services by the Service's name.

    ``on_pod`` is called with each report of a pod and whether it is gone, ``on_endpoints`` with the name of a Service.
    """

    def __init__(self) -> None:
        self.pods: dict[str, PodState] = {}
        self.times: dict[str, PodTimes] = {}  # by the uid of the pod
        self.on_pod: list[Callable[[PodState, bool], None]] = []
        self.on_endpoints: list[Callable[[str], None]] = []
        self._slices: dict[str, Manifest] = {}

    def endpoints(self, service: str) -> Mapping[str, ServiceEndpoint]:
        """The endpoints of a Service, by the names of their pods."""
        found = {}
        for item in self._slices.values():
            if item["metadata"].get("labels", {}).get(_SERVICE) == service:
                for endpoint in item.get("endpoints") or ():
                    pod = endpoint.get("targetRef", {}).get("name", "")
                    ready = endpoint.get("conditions", {}).get("ready", True) is not False
                    found[pod] = ServiceEndpoint(pod, endpoint["addresses"][0], ready)
        return found

    def find_pod(self, label: str, value: str) -> str:
        """The name of a pod with this label that runs, preferably one that is ready; empty if there is none."""
        pods = (pod for pod in self.pods.values() if pod.labels.get(label) == value)
        running = sorted((pod for pod in pods if pod.running and not pod.deleted), key=lambda pod: pod.ready)
        return running[-1].name if running else ""

    async def until(self, holds: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until a condition of what is reported holds; whether it did in time."""
        return await wait_until(holds, timeout_s, _POLL_INTERVAL_S)

    def take_pod(self, change: str, item: Manifest) -> None:
        """Take a report of a pod."""
        pod, now = PodState.of(item), time.monotonic()
        times = self.times.setdefault(pod.uid, PodTimes())
        gone = change == "DELETED"
        if pod.deleted or gone:
            times.deleted = times.deleted or now
        if pod.exit is not None and not pod.running:
            times.ended = times.ended or now
        if gone:
            times.gone, times.left = now, times.left or now
            self.pods.pop(pod.name, None)
        else:
            self.pods[pod.name] = pod
        for listener in self.on_pod:
            listener(pod, gone)

    def take_slice(self, change: str, item: Manifest) -> None:
        """Take a report of an EndpointSlice."""
        service = item["metadata"].get("labels", {}).get(_SERVICE, "")
        before = {endpoint.pod for endpoint in self.endpoints(service).values() if endpoint.ready}
        if change == "DELETED":
            self._slices.pop(item["metadata"]["name"], None)
        else:
            self._slices[item["metadata"]["name"]] = item
        after = {endpoint.pod for endpoint in self.endpoints(service).values() if endpoint.ready}
        for name in before ^ after:
            if pod := self.pods.get(name):
                times = self.times[pod.uid]
                times.left = None if name in after else times.left or time.monotonic()
        for listener in self.on_endpoints:
            listener(service)


@asynccontextmanager
async def watch_pods(namespace: RunNamespace) -> AsyncIterator[PodWatch]:
    """Watch the pods and endpoints of a namespace for the length of a scope."""
    watch = PodWatch()
    async with (
        background(_follow(namespace, POD, watch.take_pod)),
        background(_follow(namespace, SLICE, watch.take_slice)),
    ):
        yield watch


async def _follow(namespace: RunNamespace, kind: Kind, take: Callable[[str, Manifest], None]) -> None:
    changes = namespace.api.follow(kind, namespace.name)
    async with contextlib.aclosing(changes):
        async for change, item in changes:
            take(change, item)
