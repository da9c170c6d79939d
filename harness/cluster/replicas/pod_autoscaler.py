"""A HorizontalPodAutoscaler of a workload, and what it does to the workload's pods."""

import asyncio
import time
from pathlib import Path

from harness.cluster.capabilities import Evidence, ScalingRule, SizeChange
from harness.cluster.kubernetes import manifests
from harness.cluster.kubernetes.kinds import AUTOSCALER, EVENT
from harness.cluster.kubernetes.run_namespace import RunNamespace
from harness.cluster.replicas.workload import PodWorkload
from harness.common.waiting import wait_until

#: In which it has to have figures of the pods: metrics-server asks each node every 15 s, and compares two answers.
ACTIVE_WITHIN_S = 90.0
_ASK_INTERVAL_S = 0.5


class PodAutoscaler:
    """Scales a workload from ``begin`` to ``end``; its controller is part of the cluster."""

    def __init__(self, namespace: RunNamespace, workload: PodWorkload, logs: Path) -> None:
        self._namespace = namespace
        self._workload = workload
        self._logs = logs
        self._changes: asyncio.Queue[SizeChange] = asyncio.Queue()
        self._uid = ""  # the events of an earlier arm have that of its own

    async def begin(self, rule: ScalingRule) -> Evidence:
        """Create it: confirmed once it has figures of the CPU of the pods."""
        begin = time.monotonic()
        self._workload.on_size = self._changes.put_nowait
        manifest = manifests.autoscaler(self._workload.part, self._workload.kind, rule)
        self._uid = (await self._namespace.create(manifest, self._logs))["metadata"]["uid"]

        async def is_active() -> bool:
            found = await self._namespace.api.get(AUTOSCALER, self._workload.part, self._namespace.name) or {}
            conditions = found.get("status", {}).get("conditions", ())
            return any((each["type"], each["status"]) == ("ScalingActive", "True") for each in conditions)

        active = await wait_until(is_active, ACTIVE_WITHIN_S, _ASK_INTERVAL_S)
        facts = {"cores": rule.cores, "least": rule.least, "most": rule.most}
        return Evidence(active, {**facts, "active_s": round(time.monotonic() - begin, 3)})

    async def end(self) -> Evidence:
        """Delete it, and wait until the workload has the size that it chose last.

        The facts are its decisions in its own words, such as ``New size: 3; reason: cpu resource above target``.
        """
        api, name = self._namespace.api, self._workload.part
        await api.delete(AUTOSCALER, name, self._namespace.name)
        workload = await api.get(self._workload.kind, name, self._namespace.name) or {"spec": {"replicas": 0}}
        settled = await self._workload.settle(workload["spec"]["replicas"])
        self._workload.on_size = None
        events = await api.read_all(EVENT, self._namespace.name, fields=f"involvedObject.uid={self._uid}")
        decisions = [event["message"] for event in events if event.get("reason") == "SuccessfulRescale"]
        return Evidence(settled.confirmed, {**settled.facts, "decisions": "; ".join(decisions)})

    async def next_change(self, timeout_s: float) -> SizeChange | None:
        """What it did next, in the order of its actions; None if it does nothing in that time."""
        try:
            return await asyncio.wait_for(self._changes.get(), timeout_s)
        except TimeoutError:
            return None
