import os
from pathlib import Path

from harness.cluster.replicas.volume import empty_volume, truncate_newest, volume_bytes


def test_everything_on_a_lost_volume_is_gone(tmp_path: Path) -> None:
    (tmp_path / "below" / "deeper").mkdir(parents=True)
    (tmp_path / "below" / "deeper" / "file").write_bytes(b"12345")
    (tmp_path / "file").write_bytes(b"123")
    assert volume_bytes(tmp_path) == 8
    evidence = empty_volume(tmp_path)
    assert (evidence.confirmed, evidence.facts) == (True, {"files": 2, "bytes": 8})
    assert list(tmp_path.iterdir()) == [] and tmp_path.is_dir()
    assert empty_volume(tmp_path).confirmed


def test_the_newest_file_is_torn_and_no_other(tmp_path: Path) -> None:
    for age, name in enumerate(("new", "old")):
        (tmp_path / name).write_bytes(b"x" * 10)
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    assert truncate_newest(tmp_path, 3).facts == {"file": "new", "bytes_cut": 3, "bytes_left": 7}
    assert [(tmp_path / name).stat().st_size for name in ("new", "old")] == [7, 10]


def test_more_than_there_is_empties_the_file_and_from_nothing_nothing_can_be_cut(tmp_path: Path) -> None:
    assert not truncate_newest(tmp_path, 3).confirmed
    (tmp_path / "file").write_bytes(b"12")
    assert truncate_newest(tmp_path, 3).facts["bytes_cut"] == 2
    assert not truncate_newest(tmp_path, 3).confirmed
