"""A command may be started with closed streams, as some daemons do."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(("command", "code"), [("init new.py <&-", 2), ("list >&- 2>&-", 0)])
def test_a_closed_stream_changes_no_exit_code(command: str, code: int, tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", f'"$0" -m harness.cli {command}', sys.executable], capture_output=True, cwd=tmp_path, check=False
    )
    assert done.returncode == code and b"defect" not in done.stderr


def test_what_is_opened_later_does_not_take_the_place_of_a_closed_stream() -> None:
    program = (
        "from harness.common.standard_streams import open_closed_streams\n"
        "import subprocess, sys\n"
        "open_closed_streams()\n"
        "assert open('/dev/zero').fileno() > 2 and sys.stdin.read() == ''\n"
        "print(subprocess.run('echo heard; cat', shell=True, capture_output=True, check=True).stdout)"
    )
    done = subprocess.run(["sh", "-c", '"$0" -c "$1" <&-', sys.executable, program], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"b'heard\\n'\n"), done.stderr
