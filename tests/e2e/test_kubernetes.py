"""The Kubernetes backend on a real cluster: the same verdicts as with processes, and nothing left behind."""

import asyncio
import functools
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from harness.analysis.scaling.capacity import Objectives, search_capacity
from harness.common.waiting import wait_until
from harness.runner import pipeline, scaling_search
from harness.runner.progress import Silent
from harness.scenario.cluster_access import ClusterAccess
from harness.scenario.loading import load
from harness.scenario.overrides import Overrides
from tests.support.cluster import namespaces
from tests.support.harness_command import NODE_KILL, ROOT, argv, assert_run_passes, harness

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.xdist_group("cluster")]

RUN_TIMEOUT_S = 600.0
UP_TIMEOUT_S = 120.0
GONE_TIMEOUT_S = 90.0  # takes about ten seconds on an idle machine


@pytest.fixture(autouse=True)
def used(equipped_cluster: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(equipped_cluster))


async def test_a_killed_node_does_the_same_as_with_processes(tmp_path: Path) -> None:
    result = await asyncio.to_thread(
        harness,
        *("run", NODE_KILL, "--backend", "kubernetes", "--namespace-prefix", "whole", "--quick", "--out", tmp_path),
        timeout=RUN_TIMEOUT_S,
    )
    assert_run_passes(result, tmp_path / "node_kill" / "latest")
    assert await namespaces("whole") == set()


async def test_sigkill_of_the_harness_leaves_no_namespace(tmp_path: Path) -> None:
    command = argv("run", NODE_KILL, "--backend", "kubernetes", "--namespace-prefix", "killed", "--out", tmp_path)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:  # noqa: ASYNC220
        assert await wait_until(lambda: namespaces("killed"), UP_TIMEOUT_S, 0.5)
        os.kill(run.pid, signal.SIGKILL)

    async def gone() -> bool:
        return not await namespaces("killed")

    assert await wait_until(gone, GONE_TIMEOUT_S, 0.5)


async def test_a_topology_is_held_up_loses_a_pod_and_ends_with_ctrl_c() -> None:
    flags = ("--design", "stateless", "--backend", "kubernetes", "--namespace-prefix", "held", "--json")
    with subprocess.Popen(argv("up", NODE_KILL, *flags), stdout=subprocess.PIPE, text=True) as up:  # noqa: ASYNC220
        assert up.stdout is not None
        held = json.loads(await asyncio.wait_for(asyncio.to_thread(up.stdout.readline), UP_TIMEOUT_S))
        killed = json.loads((await asyncio.to_thread(harness, "kill", "r1", "--json")).out)
        back = json.loads((await asyncio.to_thread(harness, "kill", "r1", "--restart", "--json")).out)
        up.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(up.wait, GONE_TIMEOUT_S) == 130
    assert held["replicas"] == ["r0", "r1", "r2"] and held["url"].startswith("http://")
    assert killed["landed"] and back["landed"] and killed["pod"] != back["pod"] and killed["boot"] != back["boot"]
    assert await namespaces("held") == set()


def test_a_capacity_is_searched_at_each_number_of_pods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a single trial for each: where the edge lies is not a matter of the backend."""
    monkeypatch.setattr(scaling_search, "search_capacity", functools.partial(search_capacity, most=1))
    changes = Overrides(("token",), backend="kubernetes", access=ClusterAccess(prefix="sized"))
    plan = scaling_search.ScalePlan((1, 2), Objectives(10_000.0, 0.5))
    loaded = load(ROOT / "scenarios" / "scale.py")
    outcome = pipeline.run_scaling(loaded, changes, plan, results=tmp_path, flags={}, progress=Silent())
    (scaled,) = outcome.scaled.designs
    first, second = (size.capacity.trials for size in scaled.sizes)
    assert len(first) == len(second) == 1 and second[0].demand > 1.5 * first[0].demand
    assert first[0].achieved > 0 and second[0].achieved > 0
    assert asyncio.run(namespaces("sized")) == set()
