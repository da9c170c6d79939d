"""What requests met while a pod of Kubernetes left its Service."""

import re

import numpy as np

from harness.observations.faults import FaultRecord
from harness.observations.load_requests import LoadRequests
from harness.results.summary import PodEnd

#: The seconds in a fault's evidence: those of one of several pods have its name in front.
_MOMENT = re.compile(r"(?:healed_)?(?:(r\d+)_)?(sigterm|endpoint_left|gone)_s")
#: For so many seconds without an unanswered request, the others are no longer its doing.
_CALM_S = 1.0


def find_pod_ends(fault: FaultRecord, load: LoadRequests) -> tuple[PodEnd, ...]:
    """The pods that a fault took out of their Service, by its evidence, in that order; empty where there are none."""
    moments: dict[str, dict[str, float]] = {}
    for key, seconds in fault.evidence.items():
        if (match := _MOMENT.fullmatch(key)) and isinstance(seconds, int | float):
            moments.setdefault(match[1] or fault.target, {})[match[2]] = round(fault.commanded + seconds, 4)
    leaving = {replica: known for replica, known in moments.items() if "endpoint_left" in known}
    begins = {replica: known.get("sigterm", fault.commanded) for replica, known in leaving.items()}
    order = sorted(leaving, key=lambda replica: begins[replica])
    ends = [*(begins[replica] for replica in order[1:]), np.inf]
    return tuple(
        _measure(replica, leaving[replica], load, begins[replica], until)
        for replica, until in zip(order, ends, strict=False)  # without a pod, there is still one end
    )


def _measure(replica: str, moments: dict[str, float], load: LoadRequests, begin: float, until: float) -> PodEnd:
    """One pod's figures; requests sent after ``until`` are the next one's."""
    unanswered = load.no_replica & (load.end >= begin) & (load.sent < until)
    sent = np.sort(load.sent[unanswered])
    calm = np.flatnonzero(np.diff(sent, prepend=begin) > _CALM_S)
    series = sent[: calm[0]] if calm.size else sent
    last = round(float(max(series[-1], begin)), 4) if series.size else None
    left = moments["endpoint_left"]
    return PodEnd(replica, moments.get("sigterm"), left, moments.get("gone"), series.size, last)
