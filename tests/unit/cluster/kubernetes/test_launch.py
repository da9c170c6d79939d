"""What a run leaves to the supervisor process, which removes its namespace if the harness dies."""

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest

from harness.cluster.kubernetes import __main__ as sweeper
from harness.cluster.kubernetes.api import KubernetesApi
from harness.cluster.kubernetes.launch import supervise_pods
from harness.cluster.kubernetes.run_namespace import OWNER, RUN
from harness.cluster.supervisor import Death, ProcessSupervisor
from harness.cluster.supervisor.main import place
from harness.common.errors import EnvironmentLacksError
from harness.scenario.cluster_access import ClusterAccess
from tests.support.fake_cluster import FakeCluster

NO_PID = 2**22 + 1  # beyond the greatest that Linux gives
FORBIDDEN = (403, 'namespaces is forbidden: User "guest" cannot create resource "namespaces"')


class Processes:
    """A supervisor process that keeps what it is to run at its end."""

    def __init__(self) -> None:
        self.at_end: Sequence[str] = ()
        self.deaths: asyncio.Queue[Death] = asyncio.Queue()

    async def run_at_end(self, argv: Sequence[str]) -> None:
        self.at_end = argv


@pytest.fixture
def processes() -> Processes:
    return Processes()


async def test_the_namespace_is_swept_while_it_is_there_and_not_afterwards(
    api: KubernetesApi, processes: Processes
) -> None:
    async with supervise_pods(ClusterAccess(), cast(ProcessSupervisor, processes), "x"):
        assert processes.at_end[-2:] == ("x", api.context)
    assert processes.at_end == ()


async def test_a_namespace_that_was_refused_is_not_swept(cluster: FakeCluster, processes: Processes) -> None:
    cluster.refuse["namespaces"] = FORBIDDEN
    with pytest.raises(EnvironmentLacksError, match="no permission"):
        async with supervise_pods(ClusterAccess(), cast(ProcessSupervisor, processes), "x"):
            pass
    assert processes.at_end == ()


async def test_a_namespace_that_the_scope_could_not_remove_is_swept(api: KubernetesApi, processes: Processes) -> None:
    with pytest.raises(RuntimeError):
        async with supervise_pods(ClusterAccess(), cast(ProcessSupervisor, processes), "x"):
            raise RuntimeError
    assert processes.at_end[-2:] == ("x", api.context)


async def test_the_sweeper_removes_the_namespace_of_an_ended_run(api: KubernetesApi, cluster: FakeCluster) -> None:
    metadata = {"name": "left", "labels": {RUN: "x"}, "annotations": {OWNER: f"{NO_PID}:1@{place()}"}}
    cluster.put(("namespaces", "", "left"), {"metadata": metadata})
    assert await sweeper.main("x", api.context) == 0
    assert cluster.names("namespaces") == []


async def test_a_sweeper_that_cannot_look_says_so_in_one_line(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await sweeper.main("x", "nowhere") != 0
    problem, hint = capsys.readouterr().err.splitlines()
    assert problem.startswith("harness: the namespace of the run x may be left: ")
    assert hint == "  hint: harness clean --context nowhere"
