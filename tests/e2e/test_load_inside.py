"""A load from pods of a real cluster: the same records as from this machine."""

from pathlib import Path

import pytest

from harness import Balancing, BuiltIn, Design, Kill
from harness.common.errors import UsageError
from harness.scenario.cluster_access import ClusterAccess
from harness.scenario.driver_processes import DriverProcesses
from harness.scenario.faults import At
from tests.support.bench import benched
from tests.support.harness_command import NODE_KILL

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.xdist_group("cluster")]

SERVICE = Balancing("connection", name="service")


@pytest.mark.parametrize("pods", [1, 2])
async def test_every_session_is_judged_and_every_pod_is_named(
    pods: int, loading_cluster: ClusterAccess, tmp_path: Path
) -> None:
    seen, figures = await benched(
        Design("token", BuiltIn(state="token"), SERVICE, replicas=2),
        NODE_KILL,
        (At("2s", Kill(0)),),
        tmp_path,
        "6s",
        backend="kubernetes",
        drivers=DriverProcesses(inside=pods),
        access=loading_cluster,
    )
    assert figures.sessions.judged >= 30 and (figures.sessions.lost, figures.sessions.unknown) == (0, 0)
    assert figures.requests.ok > 100 and len(seen.requests) >= figures.requests.attempted
    names, nodes = zip(*(host.split(" on ") for host in figures.driver.hosts), strict=True)
    assert len(set(names)) == pods and set(nodes) <= {"node1", "node2"}
    assert len(set(nodes)) == pods, "spread over the nodes"
    (kill,) = figures.faults
    assert kill.effective is not None and kill.effective > 1.9, "the clock of the pods is that of the harness"


async def test_users_that_cannot_be_imported_are_named(loading_cluster: ClusterAccess, tmp_path: Path) -> None:
    users = tmp_path / "users.py"
    users.write_text("import no_such_package")
    with pytest.raises(UsageError, match="no_such_package"):
        await benched(
            Design("token", BuiltIn(state="token"), SERVICE, replicas=1),
            users,
            (),
            tmp_path,
            "3s",
            backend="kubernetes",
            drivers=DriverProcesses(inside=1),
            access=loading_cluster,
        )
