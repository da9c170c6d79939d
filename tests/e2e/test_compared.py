"""Two real runs that can be compared: what each round holds, and what the comparison says."""

import json
from pathlib import Path

import pytest

from harness.results.run import Run
from tests.support.harness_command import ROOT, assert_run_passes, harness

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("compared")]  # what its fixture made is shared

AA = ROOT / "benchmarks" / "aa_scenario.py"


@pytest.fixture(scope="module")
def repeated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run of one design, twice."""
    out = tmp_path_factory.mktemp("repeated")
    result = harness("run", AA, "--design", "subject", "--repeat", "2", "--duration", "1s", "--out", out)
    assert_run_passes(result, out / "aa_scenario" / "latest")
    return (out / "aa_scenario" / "latest").resolve()


def test_every_round_has_an_echo_and_an_a_a_arm(repeated: Path) -> None:
    summary = json.loads((repeated / "summary.json").read_text())
    echo, aa = summary["controls"]["echo"], summary["controls"]["aa"]
    assert [round_["requests"] > 0 for round_ in echo["repeats"]] == [True, True]
    assert aa["design"] == "subject"
    assert [arm["requests"]["ok"] > 0 for arm in aa["arm"]["repeats"]] == [True, True]
    assert list(summary["designs"]["subject"]["arms"]) == ["control"]
    plan = json.loads((repeated / "run.json").read_text())
    assert [arm[1] for arm in plan["arms"]] == ["control", "aa", "aa", "control"]


def test_an_old_run_analysed_again_gives_the_same_controls(repeated: Path) -> None:
    before = json.loads((repeated / "summary.json").read_text())["controls"]
    assert harness("report", repeated).code in (0, 3)
    assert json.loads((repeated / "summary.json").read_text())["controls"] == before


def test_too_few_repeats_hold_the_invariants_and_leave_the_times_open(repeated: Path) -> None:
    result = harness("compare", repeated, repeated)
    assert result.code == 3, result.out + result.err
    repeats = Run.open(repeated).read_summary().designs["subject"].arms["control"].repeats
    pairs = sum(repeat.times_trusted for repeat in repeats)  # both, unless the machine was busy
    assert "inconclusive" in result.out and f"{pairs} pairs" in result.out
    assert "acknowledged writes lost" not in result.out


def test_a_single_lost_write_is_found_whatever_the_times(repeated: Path, tmp_path: Path) -> None:
    lossy = harness(
        "run", AA, "--design", "steady", "--duration", "1s", "--out", tmp_path / "a", env={"AA_BUGS": "drop:0.1"}
    )
    sound = harness("run", AA, "--design", "steady", "--duration", "1s", "--out", tmp_path / "b")
    assert (lossy.code, sound.code in (0, 3)) == (1, True), lossy.err + sound.err
    one, other = ((tmp_path / name / "aa_scenario" / "latest").resolve() for name in "ab")
    writes = json.loads((one / "summary.json").read_text())["designs"]["steady"]["arms"]["control"]["writes"]
    assert writes["lost"] == 1
    result = harness("compare", one, other)
    assert result.code == 1, result.out
    assert "1 acknowledged writes lost, 0 in the baseline" in result.out
