"""The fault that docs/custom-fault.md shows does what the page says."""

import re
from pathlib import Path

from harness.faults.fault import Reversible
from harness.scenario.loading import load
from tests.support.clocks_and_topology import FakeReplica, FakeTopology

PAGE = Path(__file__).resolve().parents[3] / "docs" / "custom-fault.md"


async def test_the_fault_of_the_page_stops_every_replica_and_is_undone(tmp_path: Path) -> None:
    block = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert block is not None
    (tmp_path / "mine.py").write_text(block[1])
    fault = load(tmp_path / "mine.py").scenario.faults[0].fault
    assert isinstance(fault, Reversible)
    topology = FakeTopology([FakeReplica(f"r{number}") for number in range(3)])
    assert (await fault.inject(topology)).confirmed
    assert [replica.paused for replica in topology.replicas] == [True] * 3
    assert (await fault.undo(topology)).confirmed
    assert topology.whole
