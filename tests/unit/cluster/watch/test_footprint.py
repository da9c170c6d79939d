"""Ports and configuration lines are counted from the running processes, whichever programs they are."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.cluster.watch.footprint import Footprint, measure_footprint

_LISTENER = "import socket,sys; s=socket.create_server(('127.0.0.1',0)); print('up',flush=True); sys.stdin.read()"


@dataclass
class FakeChild:
    role: str
    pid: int


@contextmanager
def _running(*words: str, cwd: Path) -> Iterator[int]:
    argv = [sys.executable, "-c", _LISTENER, *words]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=cwd) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.kill()


def test_the_lines_of_named_files_and_the_flags_are_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "a.cfg").write_text("global\n\n# a comment\n  maxconn 10\n")
    (tmp_path / "b.bin").write_bytes(b"\xff\xfe\x00" * 10)
    with _running("-f", "a.cfg", "--quiet", "b.bin", "nothing.cfg", "x" * 300, cwd=tmp_path) as pid:
        children = [FakeChild("balancer", pid), FakeChild("driver", pid)]
        assert measure_footprint(children) == Footprint(ports=1, config_lines=5)  # type: ignore[arg-type]  # -c, -f, --quiet, two lines
        assert measure_footprint([FakeChild("replica", pid)]) == Footprint(ports=1, config_lines=0)  # type: ignore[list-item]


def test_an_ended_process_counts_for_nothing(tmp_path: Path) -> None:
    with _running(cwd=tmp_path) as pid:
        pass
    assert measure_footprint([FakeChild("balancer", pid)]) == Footprint(0, 0)  # type: ignore[list-item]
