"""What Kubernetes cannot do is refused with the reason, before anything starts."""

from dataclasses import replace

import pytest

from harness import BuiltIn, faults
from harness.common.errors import UsageError
from harness.runner.kubernetes_support import problems
from harness.runner.preflight import require
from harness.scenario.balancing import Balancing
from harness.scenario.design import Design
from harness.scenario.faults import At, Fault
from harness.scenario.scenario import Scenario
from harness.scenario.services import Command
from harness.scenario.termination import Termination
from harness.scenario.workload import Sessions

SERVICE = Balancing("connection", name="service")
SCALING = faults.Autoscale(at=0.5, least=1, most=3, lasting="8s")
SLOTS = BuiltIn(service_time="20ms")


@pytest.mark.parametrize(
    ("design", "fault", "says"),
    [
        (Design("own", Command("true")), None, "starts built-in services only"),
        (Design("etcd", BuiltIn(state="etcd")), None, "does not have that store"),
        (Design("near", BuiltIn(state="replicated")), None, "need the addresses of one another"),
        (Design("plain", balancing=Balancing("cookie", name="service")), None, "a Service cannot do cookie"),
        (Design("plain", balancing=Balancing(name="traefik")), None, "image of all parts has no traefik"),
        (Design("plain", balancing=Balancing("connection", name="nginx")), None, "does not report when new members"),
        (Design("plain", balancing=Balancing(config="h.cfg")), None, "no configuration of your own"),
        (Design("plain"), faults.Pause(0), "no pause of r0 on Kubernetes: there is no signal that stops a pod"),
        (Design("plain"), faults.Partition("balancer-r0"), "no way to cut one connection"),
        (Design("plain"), faults.LoseVolume(0), "keep nothing on disk: they have no claim"),
        (Design("plain", BuiltIn(state="eventlog")), faults.TruncateTail(0), "no access to the files of a claim"),
        (Design("plain", balancing=SERVICE), faults.KillBalancer(), "a Service has no process"),
        (Design("plain", balancing=SERVICE), faults.ReloadBalancer(), "a Service has no process"),
        (Design("plain"), faults.ReloadBalancer(), "haproxy is reloaded by another process"),
        (Design("plain", balancing=SERVICE), faults.Terminate(0), "a Service does not drain a pod"),
        (Design("plain"), SCALING, "a HorizontalPodAutoscaler does not drain"),
        (Design("plain", balancing=SERVICE), SCALING, "a HorizontalPodAutoscaler does not drain"),
        (Design("slots", SLOTS, balancing=SERVICE), SCALING, "a Service does not drain a pod"),
    ],
)
def test_what_it_cannot_do_has_a_reason_and_a_remedy(design: Design, fault: Fault | None, says: str) -> None:
    found = list(problems(design, [fault] if fault else []))
    assert len(found) == 1 and says in found[0].message and found[0].hint


@pytest.mark.parametrize(
    ("design", "fault"),
    [
        (Design("plain", balancing=SERVICE), faults.Terminate(0, drain=False)),
        (Design("plain", BuiltIn(state="redis"), Balancing("cookie")), faults.KillStore()),
        (Design("plain", BuiltIn(state="redis_sentinel")), faults.KillPrimary()),
        (Design("plain", BuiltIn(state="eventlog")), faults.LoseVolume(0)),
        (Design("plain"), replace(SCALING, drain=False)),
        (Design("slots", SLOTS), SCALING),
        (Design("plain"), faults.RollingRestart()),
        (Design("plain", balancing=Balancing(name="nginx")), faults.ReloadBalancer()),
        (Design("plain", balancing=Balancing("maglev_header", key="X-Id", name="envoy")), faults.ReloadBalancer()),
    ],
)
def test_what_it_can_do_is_not_refused(design: Design, fault: Fault) -> None:
    assert list(problems(design, [fault])) == []


@pytest.mark.parametrize("backend", ["process", "docker"])
@pytest.mark.parametrize(
    ("design", "fault", "says"),
    [
        (Design("plain", balancing=SERVICE), None, "only on Kubernetes a Service is the balancer"),
        (Design("plain", termination=Termination(pre_stop="1s")), None, "a termination to set"),
        (Design("plain"), faults.RollingRestart(), "rolling_restart needs a workload of Kubernetes"),
    ],
)
def test_what_only_kubernetes_can_do_is_refused_elsewhere(
    backend: str, design: Design, fault: Fault | None, says: str
) -> None:
    played = [At("3s", fault)] if fault else []
    with pytest.raises(UsageError, match=says):
        require(Scenario([design], Sessions(concurrent=1, duration="9s"), faults=played), backend)
