"""What a run will do to workloads that already run on a cluster, and whether it may and can."""

from collections.abc import AsyncIterator, Sequence

from harness.cluster.kubernetes.api import connect_api, require_allowed
from harness.cluster.replicas.attachment import find_attachment, find_others, require_usable
from harness.common.errors import UsageError
from harness.faults import Heal, Resize, Terminate
from harness.scenario.arm import Arm
from harness.scenario.cluster_access import ClusterAccess
from harness.scenario.kubernetes import ATTACHED_FAULTS, Kubernetes
from harness.scenario.scenario import Scenario


async def survey(scenario: Scenario, access: ClusterAccess) -> Sequence[str]:
    """One line about each workload, its load and each fault; checks them on the way, and changes nothing.

    Raises:
        UsageError: a context is not allowed, or a fault does not fit the number of pods.
        EnvironmentLacksError: a workload, its Service or a right is missing, or the cluster does not answer.
    """
    return [line for arm in scenario.arms() async for line in _describe(arm, access)]


async def _describe(arm: Arm, access: ClusterAccess) -> AsyncIterator[str]:
    target = arm.design.target
    if not isinstance(target, Kubernetes):
        return
    api = await connect_api(target.context)
    require_allowed(api, access.allowed)
    found = await find_attachment(api, target, forwarded=access.forwarded)
    await require_usable(api, target, found, [at.fault.kind for at in arm.faults], forwarded=access.forwarded)
    origin = " from pods in a namespace of its own" if access.forwarded else ""
    yield (
        f"{arm.design.name}, {arm.name} arm: {arm.seconds:g} s of load{origin} on {found.url}, {target.workload} in "
        f"{found.namespace} of {api.context} ({api.server}), {found.replicas} pod{'s' if found.replicas > 1 else ''}"
    )
    if others := await find_others(api, found):
        yield f"  the Service leads to pods of others, too, which no fault reaches: {', '.join(others)}"
    size = found.replicas
    for at in arm.faults:
        at.fault.check(size)
        if isinstance(at.fault, Resize):
            size = at.fault.to
        elif isinstance(at.fault, Heal) and isinstance(at.fault.fault, Resize):
            size = found.replicas
        if isinstance(at.fault, Terminate) and at.fault.drain:
            raise UsageError(
                "a Service does not drain a pod before its end", f"Terminate({at.fault.replica}, drain=False)"
            )
        what = ATTACHED_FAULTS.get(at.fault.kind, "run a command of yours")
        yield f"  at {at.when}: {what}: {at.fault!r}"
