"""Half of the requests failed, five of ten users ended in on_start: the first line says so, and it is not a pass."""

import re
from pathlib import Path

import pytest

from tests.support.cases import run_case

SERVICE = "gunicorn server:app --threads 4 -b 127.0.0.1:{port}"


@pytest.mark.slow
def test_what_a_locustfile_marks_as_failed_is_a_failure(tmp_path: Path) -> None:
    flags = ("--command", SERVICE, "--ready", "/health", "--users", "10", "--duration", "4s", "--replicas", "2")
    case = run_case("locust_catch_response", tmp_path, *flags, file="locustfile.py")
    assert case.code == 1
    assert "5 of 10 users ended in on_start (Fast: RuntimeError: cannot begin)" in case.first_line
    marked = re.search(r"([\d,]+) of ([\d,]+) GET look answered 200 and marked as failed", case.first_line)
    assert marked is not None, case.first_line
    failed, requests = (int(count.replace(",", "")) for count in marked.groups())
    assert 0.3 < failed / requests < 0.7
    assert {verdict.check for verdict in case.verdicts if verdict.result == "fail"} == {"control_errors"}
    assert {verdict.check for verdict in case.verdicts if verdict.result == "unknown"} >= {"judges_sessions"}
