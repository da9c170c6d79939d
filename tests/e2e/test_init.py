"""``harness init`` with real services: what it finds, what it writes, and what it leaves when nothing comes of it."""

import json
import sys
from pathlib import Path

import pytest

from harness.results.run import Run
from harness.scenario import loading
from harness.scenario.balancing import Balancing
from tests.support.harness_command import ROOT, assert_one_clear_line, assert_run_passes, harness

pytestmark = pytest.mark.slow

SERVICES = ROOT / "tests" / "services"
SITE = ("--command", f"{sys.executable} {SERVICES / 'site.py'}", "--ready", "/health")
HEADER = ("--command", f"{sys.executable} {SERVICES / 'header_session.py'}", "--ready", "/health")


def test_the_sessions_of_a_cookie_are_found_and_the_file_that_it_writes_runs(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    findings = json.loads(harness("init", file, *SITE, "--path", "/visits", "--json").out)
    assert findings["shown"] == "3" and findings["carriers"] == ["sid"] and "cookie sid" in findings["ids_seen"]
    assert (findings["replicas_agree"], findings["survives_stop"], findings["survives_restart"]) == (
        False,
        False,
        False,
    )
    assert findings["policies"] == {"round_robin": False, "cookie": True}
    assert sorted(tmp_path.iterdir()) == [file], "the logs of what worked are gone"
    assert [design.name for design in loading.load(file).scenario.designs] == ["affinity", "spread"]
    result = harness("run", file, "--design", "affinity", "--quick", "--out", tmp_path / "results")
    assert_run_passes(result, tmp_path / "results" / "mine" / "latest")
    summary = Run.open(tmp_path / "results" / "mine" / "latest").read_summary()
    assert summary.designs["affinity"].finding != "kept"

    file.write_text(file.read_text().replace("/visits", "/health"))
    again = harness("init", file)
    assert again.code == 3 and "say in the file where it shows" in again.out


def test_an_id_in_a_header_is_found_declared_and_followed(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    asked = (*HEADER, "--session", "counter", "--path", "/count", "--json")
    findings = json.loads(harness("init", file, *asked).out)
    assert findings["carries"] == 'Header("X-Session-Token")'
    assert findings["policies"] == {"round_robin": False, "learn_header": True}
    scenario = loading.load(file).scenario
    assert scenario.designs[0].balancing == Balancing("learn_header", key="X-Session-Token")
    assert 'carries = Header("X-Session-Token")' in file.read_text()


def test_a_path_that_the_service_lacks_is_said_at_once_and_nothing_is_written(tmp_path: Path) -> None:
    result = harness("init", tmp_path / "mine.py", *SITE, "--path", "/nope")
    assert_one_clear_line(result, 2, "GET /nope answers 404")
    assert f"harness init {tmp_path / 'mine.py'} --command" in result.err and "--path /nope" in result.err
    assert not (tmp_path / "mine.py").exists()


def test_the_log_of_a_service_that_does_not_start_is_kept(tmp_path: Path) -> None:
    command = f"{sys.executable} -c 'import sys; sys.exit(7)'"
    result = harness("init", tmp_path / "mine.py", "--command", command)
    assert_one_clear_line(result, 4, "ended with code 7 before it was ready")
    logs = [tmp_path / "mine.py.logs" / f"r{number}.log" for number in range(2)]
    assert any(log.exists() and str(log) in result.err for log in logs), "that of the copy in the message"
    assert not (tmp_path / "mine.py").exists()
