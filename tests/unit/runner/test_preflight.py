"""What a backend cannot do is refused, with a reason, before anything starts."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness import BuiltIn, faults
from harness.common.errors import EnvironmentLacksError, UsageError
from harness.common.limits import Limits
from harness.common.ports import Reservation
from harness.runner import image_support
from harness.runner.preflight import require, require_none_attached, require_running, require_topology
from harness.scenario.balancing import Balancing
from harness.scenario.design import Design
from harness.scenario.faults import At, Fault
from harness.scenario.kubernetes import Kubernetes
from harness.scenario.scenario import Scenario
from harness.scenario.services import Command, Compose, Image, Url
from harness.scenario.workload import Sessions
from tests.support.load import scripted


def scenario(design: Design, *played: Fault) -> Scenario:
    return Scenario([design], Sessions(concurrent=1, duration="9s"), faults=[At("3s", fault) for fault in played])


PLAIN = Balancing("round_robin", name="haproxy")


@pytest.mark.parametrize(
    ("design", "fault", "says"),
    [
        (Design("own", Command("true"), balancing=PLAIN), None, "own: a Command is a program of this machine"),
        (Design("plain", balancing=PLAIN), faults.ResetConnections("balancer-r1"), "plain: no cut of balancer-r1"),
        (
            Design("plain", BuiltIn(state="redis"), balancing=PLAIN),
            faults.Latency("r1-store"),
            "plain: no latency of r1-store",
        ),
        (Design("plain", balancing=PLAIN), faults.ReloadBalancer(), "haproxy is reloaded by another process"),
        (Design("plain", BuiltIn(state="etcd"), balancing=PLAIN), None, "image of all parts does not have that store"),
        (Design("plain", balancing=Balancing(name="caddy")), None, "image of all parts has no caddy"),
    ],
)
def test_the_docker_backend_says_what_it_cannot_do(design: Design, fault: Fault | None, says: str) -> None:
    with pytest.raises(UsageError, match=says) as refused:
        require(scenario(design, *([fault] if fault else [])), "docker")
    assert refused.value.hint


@pytest.mark.parametrize("state", ["nats", "postgres", "redis", "redis_sentinel"])
@pytest.mark.parametrize("balancer", ["haproxy", "nginx", "envoy"])
def test_what_is_in_the_image_is_not_refused(state: str, balancer: str) -> None:
    design = Design("plain", BuiltIn(state=state), Balancing("cookie", name=balancer))
    assert [*image_support.store_problems(design), *image_support.balancer_problems(design.balancing)] == []


def test_processes_are_not_limited() -> None:
    with pytest.raises(UsageError, match="plain: the process backend cannot limit"):
        require(scenario(Design("plain", limits=Limits(cpus=1))), "process")


@pytest.mark.parametrize("target", [Image("myapp:1.2", port=8080), Compose("compose.yaml", service="web", port=80)])
def test_what_is_in_an_image_is_no_process(target: Image | Compose) -> None:
    with pytest.raises(UsageError, match="own: its service is in an image") as refused:
        require(scenario(Design("own", target, balancing=PLAIN)), "process")
    assert refused.value.hint == "--backend docker"


def test_what_it_can_do_needs_an_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    able = Design("plain", BuiltIn(state="redis"), balancing=PLAIN, limits=Limits(cpus=0.5, memory="256m"))
    with pytest.raises(EnvironmentLacksError, match="no Docker engine"):
        require(scenario(able, faults.Kill(1), faults.Partition("r1-store"), faults.PauseStore()), "docker")
    require(scenario(Design("plain", balancing=PLAIN), faults.ResetConnections("balancer-r1")), "process")


@pytest.mark.parametrize("make", [lambda: Limits(cpus=0), lambda: Limits(memory="much"), lambda: Limits(memory="0m")])
def test_a_limit_that_nothing_could_run_in_is_refused(make: Callable[[], Limits]) -> None:
    with pytest.raises(UsageError):
        make()


def test_a_store_that_is_not_installed_is_reported_with_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentLacksError, match="memcached is not on this machine") as lack:
        require(scenario(Design("plain", BuiltIn(state="memcached"))), "process")
    assert "apt-get install memcached" in lack.value.hint


def test_a_workload_of_others_is_left_to_the_command_that_asks_first() -> None:
    with pytest.raises(UsageError, match="already runs"):
        require_none_attached([Design("shop", Kubernetes("deployment/shop"))])
    require_none_attached([Design("own")])


def test_a_fault_of_workloads_needs_one() -> None:
    with pytest.raises(UsageError, match="rolling_restart needs a workload of Kubernetes"):
        require(scenario(Design("own", balancing=PLAIN), faults.RollingRestart()), "process")


@pytest.mark.parametrize(
    ("design", "backend", "says"),
    [
        (Design("plain", balancing=Balancing("cookie", name="service")), "kubernetes", "plain: a Service cannot do"),
        (Design("plain", balancing=Balancing("connection", name="service")), "process", "only on Kubernetes"),
        (Design("plain", limits=Limits(cpus=1)), "process", "plain: the process backend cannot limit"),
        (Design("plain", Kubernetes("deployment/shop")), "process", "plain is a workload that already runs"),
    ],
)
def test_what_is_held_up_is_checked_like_what_is_measured(design: Design, backend: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        require_topology(design, backend)


@pytest.mark.parametrize("ready", ["/", None])
async def test_a_service_that_runs_already_must_answer_at_each_address(ready: str | None) -> None:
    with Reservation() as held, scripted() as server:
        gone = f"http://127.0.0.1:{held.port}"
        await require_running([Design("up", Url(server.url, ready=ready)), Design("built_in")], 0.05)
        for url in (Url(gone, ready=ready), Url(server.url, replicas=[gone], ready=ready)):
            with pytest.raises(EnvironmentLacksError, match=rf"down: {gone} does not (answer|listen), for 0\.05 s"):
                await require_running([Design("down", url)], 0.05)
