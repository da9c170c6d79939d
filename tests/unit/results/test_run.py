import errno
import json
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.analysis.run_analysis import analyse
from harness.common.errors import EnvironmentLacksError, UsageError
from harness.observations.events import Event
from harness.results.files import explain_write_errors
from harness.results.run import Run, new_run_id
from harness.results.summary import Summary
from harness.results.verdicts import Result, Verdict
from tests.support import charts as fakes_charts
from tests.support.recorded_run import keep, plan, spool


def test_a_complete_run_is_found_under_latest(tmp_path: Path) -> None:
    run = Run.create(tmp_path, plan())
    assert not (tmp_path / "mine" / "latest").exists()
    run.point_latest()
    assert Run.open(tmp_path / "mine" / "latest").plan.run == run.plan.run


def test_what_was_kept_is_read_back(tmp_path: Path) -> None:
    run = Run.create(tmp_path, plan())
    keep(run)
    (arm,) = Run.open(run.path).read_observations()
    assert (arm.design, arm.arm, arm.complete, arm.duration) == ("one", "control", True, 5.0)
    assert arm.requests["replica"].tolist() == ["r0"] * 3
    assert [event.kind for event in arm.events] == ["replica_ready"]
    assert arm.samples[0].cpu == 0.25
    assert [run_id.session for run_id in arm.judgements] == [7]
    assert arm.driver["lag_p99_ms"] == 1.0


def test_an_arm_that_a_crash_left_is_read_from_its_spool(tmp_path: Path) -> None:
    run = Run.create(tmp_path, plan())
    spool(run, records=2, torn=b"torn")
    (arm,) = Run.open(run.path).read_observations()
    assert len(arm.requests) == 2 and not arm.complete


def test_a_run_without_any_observation_says_so(tmp_path: Path) -> None:
    run = Run.create(tmp_path, plan())
    with pytest.raises(UsageError, match="no observations"):
        run.read_observations()


@pytest.mark.parametrize("name", ["requests.parquet", "arm.json", "samples.csv"])
def test_a_file_cut_off_in_the_middle_is_named_by_its_directory(tmp_path: Path, name: str) -> None:
    run = Run.create(tmp_path, plan())
    keep(run)
    path = run.arm("one", "control").path / name
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(UsageError, match="one-control is cut off or was changed"):
        run.read_observations()


def test_a_torn_last_line_of_the_ledgers_costs_that_session_only(tmp_path: Path) -> None:
    run = Run.create(tmp_path, plan())
    keep(run)
    with (run.arm("one", "control").path / "ledgers.jsonl").open("a") as file:
        file.write('{"session": 8, "wri')
    (arm,) = run.read_observations()
    assert [run_id.session for run_id in arm.judgements] == [7]


def test_only_its_owner_can_read_a_run(tmp_path: Path) -> None:
    run = Run.create(tmp_path, plan())
    assert stat.S_IMODE(run.path.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["..", "../up", "/etc", ".hidden", "", "a/b", "a\x1b[2J", "x" * 300])
@pytest.mark.parametrize("field", ["scenario", "run", "designs"])
def test_a_name_in_a_file_is_never_a_path(tmp_path: Path, field: str, name: str) -> None:
    run = Run.create(tmp_path, plan())
    text = json.loads((run.path / "run.json").read_text())
    changed = {"designs": {name: {}}, "arms": []} if field == "designs" else {field: name}
    (run.path / "run.json").write_text(json.dumps({**text, **changed}))
    with pytest.raises(UsageError, match="is no name"):
        Run.open(run.path)


@pytest.mark.parametrize("arm", [("../up", "control", 1), ("one", "../up", 1), ("one", "control", 0)])
def test_an_arm_is_one_of_a_design_of_the_plan(arm: tuple[str, str, int]) -> None:
    with pytest.raises(ValueError, match="no arm of a design"):
        plan(arms=[arm])


@pytest.mark.parametrize("where", ["summary.json.part", "charts", "observations/one-control/logs/r0.log"])
def test_a_run_that_holds_a_link_is_not_opened(tmp_path: Path, where: str) -> None:
    run = Run.create(tmp_path / "results", plan())
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (run.path / where).parent.mkdir(parents=True, exist_ok=True)
    (run.path / where).symlink_to(victim)
    with pytest.raises(UsageError, match="neither a file nor a directory"):
        Run.open(run.path)


def test_another_schema_is_refused(tmp_path: Path) -> None:
    run = Run.create(tmp_path, plan(schema=99))
    with pytest.raises(UsageError, match="schema 99"):
        Run.open(run.path)


def test_a_summary_of_another_schema_is_not_overwritten(tmp_path: Path) -> None:
    run = Run.create(tmp_path, plan())
    (run.path / "summary.json").write_text('{"schema": 99}')
    with pytest.raises(UsageError, match="schema 99"):
        run.check_summary()
    (run.path / "summary.json").write_text('{"schema": 1}')
    run.check_summary()


def test_a_full_disk_and_a_forbidden_path_are_different_errors(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentLacksError, match="no space left"), explain_write_errors(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(UsageError, match="cannot write"), explain_write_errors(tmp_path):
        raise OSError(errno.EACCES, "Permission denied")


def test_run_ids_are_in_the_order_of_time_and_distinct() -> None:
    ids = [new_run_id() for _ in range(50)]
    assert len(set(ids)) == 50 and sorted(run_id[:16] for run_id in ids) == [run_id[:16] for run_id in ids]


def test_an_unknown_arm_is_explained_with_the_core_and_the_worker(tmp_path: Path) -> None:
    run = Run.create(tmp_path, plan())
    spool(run)
    lost = Event(
        2.0, "worker_lost", "worker-2", {"host": "there", "why": "it has said nothing for 15 s", "sessions": 7}
    )
    strained = {"lag_p99_ms": 2.0, "cpu_median": 0.98, "core": "core 1", "sessions": 9}
    facts = {"warmup": 0.0, "duration": 5.0, "complete": True, "driver": strained}
    run.arm("one", "control").keep([lost], [], [], facts)
    verdicts = {verdict.check: verdict for verdict in analyse(run, ()).verdicts}
    assert "worker-2 on there was lost" in verdicts["worker_lost"].why and "7 sessions" in verdicts["worker_lost"].why
    assert "0.98 of core 1" in verdicts["driver_kept_up"].why
    assert {verdicts[check].result for check in ("worker_lost", "driver_kept_up")} == {Result.UNKNOWN}


def _summarised(tmp_path: Path) -> tuple[Run, Summary]:
    run = Run.create(tmp_path, plan())
    summary = fakes_charts.summary()
    run.keep_summary(summary, [Verdict("one", Result.FAIL, "why")])
    return run, summary


def test_a_summary_reads_back_as_what_was_written(tmp_path: Path) -> None:
    run, summary = _summarised(tmp_path)
    assert run.read_summary() == summary
    assert isinstance(run.read_summary().designs["sticky"].arms["fault"].faults, tuple)
    assert run.read_verdicts() == (Verdict("one", Result.FAIL, "why"),)


def test_a_summary_of_another_version_reads_with_the_defaults_of_what_it_lacks(tmp_path: Path) -> None:
    run, summary = _summarised(tmp_path)
    path = run.path / "summary.json"
    text = json.loads(path.read_text())
    arm = text["designs"]["sticky"]["arms"]["fault"]
    arm["of_a_later_version"] = arm["sessions"]["this_too"] = 1
    for later in ("messages", "repeats", "sagas", "names"):
        del arm[later]
    del arm["sessions"]["wrong"]
    arm["sessions"]["loss_interval_99"] = None
    path.write_text(json.dumps(text))
    before, read = summary.designs["sticky"].arms["fault"], run.read_summary().designs["sticky"].arms["fault"]
    assert read == replace(
        before,
        messages=None,
        repeats=(),
        sagas=None,
        names={},
        sessions=replace(before.sessions, wrong=0, loss_interval_99=None),
    )


@pytest.mark.parametrize("change", [{"lost": "three"}, {"lost": 10**6}, {"judged": None}])
def test_a_summary_that_contradicts_its_types_is_a_usage_error(tmp_path: Path, change: dict[str, Any]) -> None:
    run, _ = _summarised(tmp_path)
    path = run.path / "summary.json"
    text = json.loads(path.read_text())
    text["designs"]["sticky"]["arms"]["fault"]["sessions"].update(change)
    path.write_text(json.dumps(text))
    with pytest.raises(UsageError, match="foreign"):
        run.read_summary()


def test_the_committed_baseline_is_readable() -> None:
    baseline = Run.open(Path(__file__).resolve().parents[3] / "results" / "baselines" / "node_kill")
    assert baseline.read_summary().verdict and baseline.read_verdicts()
