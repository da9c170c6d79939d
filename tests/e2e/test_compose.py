"""The Compose files by hand: Compose accepts them, and the services start, serve Locust, and stop."""

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from harness.cluster.containers import connect_engine
from harness.cluster.containers.image import image
from harness.common.errors import EnvironmentLacksError
from harness.common.ports import Reservation
from tests.support.harness_command import ROOT

FILE = ROOT / "compose" / "compose.yaml"
START_TIMEOUT_S = 90.0


def program() -> Sequence[str]:
    """``docker compose`` where the plugin is there, else ``docker-compose``."""
    command = ["docker", "compose", "version"]
    if shutil.which("docker") and subprocess.run(command, capture_output=True, check=False).returncode == 0:
        return ("docker", "compose")
    if shutil.which("docker-compose"):
        return ("docker-compose",)
    pytest.skip("neither docker compose nor docker-compose is here: apt-get install docker-compose")


def compose(*words: str, env: Mapping[str, str] | None = None) -> str:
    completed = subprocess.run(
        [*program(), "-f", str(FILE), *words],
        capture_output=True,
        text=True,
        env={**os.environ, **(env or {})},
        timeout=180,
        check=False,
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return completed.stdout


@pytest.mark.parametrize("profiles", [("haproxy",), ("nginx",), ("haproxy", "locust")])
def test_compose_accepts_the_file(profiles: Sequence[str]) -> None:
    chosen = [word for profile in profiles for word in ("--profile", profile)]
    services = set(compose(*chosen, "config", "--services").split())
    wanted = {"target", "redis", *(set(profiles) & {"haproxy", "nginx"})}
    assert wanted <= services
    assert all((FILE.parent / name).is_file() for name in ("haproxy.cfg", "nginx.conf"))


@pytest.fixture
def up() -> Iterator[str]:
    try:
        image(connect_engine())
    except EnvironmentLacksError as lack:
        pytest.skip(f"{lack.message}: {lack.hint}")
    project = f"harness-test-{uuid.uuid4().hex[:8]}"
    with Reservation() as held:
        port = held.port
    env = {"PORT": str(port)}
    words = ("-p", project, "--profile", "haproxy")
    try:
        compose(*words, "up", "-d", "--no-build", "--scale", "target=2", env=env)
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + START_TIMEOUT_S
        while not serves(url):
            assert time.monotonic() < deadline, compose(*words, "logs", env=env)
            time.sleep(0.2)
        yield url
    finally:
        compose(*words, "down", "-v", "-t", "2", env=env)


def serves(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=2) as reply:  # noqa: S310 - of this machine
            return bool(reply.status == 200)
    except OSError:  # URLError is one of them
        return False


@pytest.mark.slow
@pytest.mark.long
def test_locust_drives_the_services_and_every_session_is_kept(up: str, tmp_path: Path) -> None:
    scenario = ROOT / "scenarios" / "node_kill.py"
    words = ["--headless", "--host", up, "-u", "20", "-r", "20", "-t", "3s"]
    completed = subprocess.run(
        [sys.executable, "-m", "locust", "-f", str(scenario), *words],
        capture_output=True,
        text=True,
        timeout=90,
        cwd=tmp_path,
        check=False,
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    assert re.search(r"Sessions: ([1-9]\d*) judged: \1 kept$", completed.stdout, re.MULTILINE), (
        completed.stdout + completed.stderr
    )
    replicas = {replica(up) for _ in range(8)}
    assert len(replicas) == 2


def replica(url: str) -> str:
    with urllib.request.urlopen(f"{url}/cart", timeout=5) as reply:  # noqa: S310 - of this machine
        return str(reply.headers["X-Replica"])
