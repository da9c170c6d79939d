from pathlib import Path

from harness.observations.events import Event
from harness.observations.samples import Snapshot
from harness.results.live import LiveLine, LiveTail
from harness.site.live_run import LiveArm, LiveRun
from tests.support.sites import BEGUN, add_running, write_kill


def killed(tmp_path: Path) -> LiveRun:
    run = add_running(tmp_path)
    write_kill(run)
    live = LiveRun()
    live.take(LiveTail(run.path).read())
    return live


def test_a_kill_is_followed(tmp_path: Path) -> None:
    live = killed(tmp_path)
    assert live.status == "Arm 2 of 2: sticky, with its faults, under kill of r1."
    assert live.arm is not None
    last = live.arm.points[-1]
    assert (last.t, last.rate, last.p99_ms, last.lost, last.up) == (9.0, 75.0, 400.0, 67, 2)


def test_a_fault_is_shaded_until_it_is_undone(tmp_path: Path) -> None:
    live = killed(tmp_path)
    assert live.arm is not None
    assert {(shade.start, shade.end) for plot in live.arm.plots for shade in plot.shades} == {(8.0, 9.0)}
    healed = Event(14.0, "fault_healed", "r1", {"kind": "kill", "fault": 1})
    live.take([LiveLine(event=healed), LiveLine(snapshot=Snapshot(4, 16.0, sent=1500))])
    assert {(shade.start, shade.end) for plot in live.arm.plots for shade in plot.shades} == {(8.0, 14.0)}
    assert live.arm.points[-1].up == 3
    assert live.status == "Arm 2 of 2: sticky, with its faults, under load."


def test_each_stage_of_a_run_is_named(tmp_path: Path) -> None:
    live = LiveRun()
    assert live.status.startswith("No arm has begun yet")
    live.take([LiveLine(snapshot=Snapshot(1, 0.2, sent=9))])
    assert live.arm is None, "the figures of a control are not shown"
    stages = []
    for t in (0.5, 5.0, 20.0):
        live.take([LiveLine(started=BEGUN), LiveLine(snapshot=Snapshot(1, t))])
        stages.append(live.status.rpartition(", ")[2])
    assert stages == ["warming up.", "under load.", "every session is read a last time."]


def test_between_arms_the_last_one_stays_as_it_was(tmp_path: Path) -> None:
    live = killed(tmp_path)
    live.take([LiveLine(ended="control arm"), LiveLine(ended="fault arm"), LiveLine(snapshot=Snapshot(1, 0.2))])
    assert live.arm is not None and live.arm.t == 9.0
    assert live.ended == ["control arm", "fault arm"]
    assert live.status == "All arms are measured; the run is analysed and its report drawn."


def test_a_long_arm_keeps_few_points_and_its_worst_values() -> None:
    arm = LiveArm(BEGUN)
    for n in range(5000):
        arm.take(LiveLine(snapshot=Snapshot(n, n / 5, sent=20 * n, p99_ms=900.0 if n == 777 else 5.0)))
    assert len(arm.points) <= 800
    assert max(point.p99_ms or 0 for point in arm.points) == 900.0
    assert arm.points[-1].t == 4999 / 5
