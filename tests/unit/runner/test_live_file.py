from pathlib import Path

from harness.observations.events import Event
from harness.observations.samples import Snapshot
from harness.results.live import LIVE_FILE, ArmStart, LiveLine, LiveTail
from harness.runner.live_file import LiveFile


def test_the_progress_of_a_run_can_be_followed_in_its_directory(tmp_path: Path) -> None:
    live = LiveFile(tmp_path)
    live.arm_started("sticky", "fault", 1, 4, 20.0, warmup=2.0)
    live.snapshot(Snapshot(1, 0.2, sent=9))
    live.event(Event(8.0, "fault_effective", "r1"))
    live.arm_ended("over")
    assert LiveTail(tmp_path).read() == [
        LiveLine(started=ArmStart("sticky", "fault", 1, 4, 20.0, 2.0)),
        LiveLine(snapshot=Snapshot(1, 0.2, sent=9)),
        LiveLine(event=Event(8.0, "fault_effective", "r1")),
        LiveLine(ended="over"),
    ]


def test_a_complete_run_keeps_no_such_file(tmp_path: Path) -> None:
    live = LiveFile(tmp_path)
    live.arm_ended("over")
    live.remove()
    live.remove()  # a run that was interrupted before its first arm has none
    assert not (tmp_path / LIVE_FILE).exists()
