"""The event loop inside a real Locust, which has patched sockets, select and ssl."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.harness_command import ROOT
from tests.support.load import reply, scripted
from tests.unit.load.http.test_tls import certificate, served

pytestmark = pytest.mark.slow
__all__ = ["certificate"]  # a fixture

USERS = """
from locust import constant

from harness import SessionUser


class Caller(SessionUser):
    wait_time = constant(0.01)

    def session(self, service):
        while True:
            reply = yield service.get("/cart")
            assert reply.body == b"{}"
"""


def locust(tmp_path: Path, url: str, **env: str) -> tuple[int, int, str]:
    """Run two users for three seconds; returns the number of requests, of failures, and the output."""
    users = tmp_path / "callers.py"
    users.write_text(USERS)
    options = ("--headless", "--only-summary", "-u", "2", "-r", "2", "-t", "3s", "--host", url)
    process = subprocess.run(
        [sys.executable, "-m", "locust", "-f", str(users), *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    output = process.stdout + process.stderr
    match = re.search(r"Aggregated +(\d+) +(\d+)\(", output)
    assert match is not None, output
    return int(match[1]), int(match[2]), output


def test_locust_counts_the_requests_of_its_sessions(tmp_path: Path) -> None:
    with scripted() as server:
        requests, failures, output = locust(tmp_path, server.url)
        received = len(server.requests)
    assert (requests, failures) == (received, 0)
    assert requests > 10
    assert "a session raised" not in output


def test_sessions_speak_tls_although_locust_has_patched_it(tmp_path: Path, certificate: Path) -> None:
    with served(certificate, reply()) as port:
        requests, failures, output = locust(tmp_path, f"https://localhost:{port}", SSL_CERT_FILE=str(certificate))
    assert requests > 10 and failures == 0
    assert "a session raised" not in output


def test_every_request_fails_if_the_certificate_is_not_trusted(tmp_path: Path, certificate: Path) -> None:
    with served(certificate, reply()) as port:
        requests, failures, _ = locust(tmp_path, f"https://localhost:{port}")
    assert requests == failures > 0
