"""The service listens on ``::1`` alone: one line names that address and the one that was asked, at once."""

import re
import shutil
from pathlib import Path

import pytest

from tests.support.cases import copy_case, run_command
from tests.support.harness_command import assert_one_clear_line


@pytest.mark.slow
def test_the_line_names_the_address_that_it_listens_on_and_what_was_asked(tmp_path: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("no Node.js on this machine: apt-get install nodejs")
    case = copy_case("listens_on_v6_only", tmp_path)
    command = ("--command", "node server.js", "--replicas", "1", "--users", "2", "--duration", "2s")
    result = run_command(case, *command)
    assert_one_clear_line(result, 4, "[::1]:", "not on 127.0.0.1:")
    ports = re.findall(r"(?:\[::1\]|127\.0\.0\.1):(\d+)", result.err)
    assert len(ports) == 2 and ports[0] == ports[1], result.err
