import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.commands import ArmTimes, TimedCommand


def arm(directory: Path, duration: float, ends_s: list[float]) -> Path:
    (directory / "arm.json").write_text(json.dumps({"duration": duration}))
    ends = pa.array([int(end * 1e9) for end in ends_s], pa.int64())
    pq.write_table(pa.table({"t_end": ends}), directory / "requests.parquet")
    return directory


@pytest.mark.parametrize(
    ("ends_s", "final_read"),
    [([0.5, 3.4, 3.7, 5.5], 2.0), ([0.5, 3.4], 0.0), ([-1e-9, -1e-9], 0.0), ([], 0.0)],
)
def test_the_planned_time_of_an_arm_is_its_load_and_its_final_read(
    tmp_path: Path, ends_s: list[float], final_read: float
) -> None:
    times = ArmTimes.read(arm(tmp_path, 3.5, ends_s))
    assert times.load == 3.5
    assert times.final_read == pytest.approx(final_read)


def test_a_limit_is_in_starts_of_python_and_seconds() -> None:
    assert TimedCommand(("--help",), 0.1, starts=3).limit(0.02) == pytest.approx(0.16)
