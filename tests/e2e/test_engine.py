"""The engine inside a real Locust, which has patched sockets, select and ssl."""

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
    """Two users for three seconds: how many requests, how many of them failed, and what was printed."""
    users = tmp_path / "callers.py"
    users.write_text(USERS)
    options = ("--headless", "--only-summary", "-u", "2", "-r", "2", "-t", "3s", "--host", url)
    done = subprocess.run(
        [sys.executable, "-m", "locust", "-f", str(users), *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = done.stdout + done.stderr
    found = re.search(r"Aggregated +(\d+) +(\d+)\(", said)
    assert found is not None, said
    return int(found[1]), int(found[2]), said


def test_locust_counts_what_its_sessions_ask(tmp_path: Path) -> None:
    with scripted() as server:
        requests, failures, said = locust(tmp_path, server.url)
        asked = len(server.requests)
    assert (requests, failures) == (asked, 0)
    assert requests > 10
    assert "a session raised" not in said


def test_sessions_speak_tls_where_locust_has_patched_it(tmp_path: Path, certificate: Path) -> None:
    with served(certificate, reply()) as port:
        requests, failures, said = locust(tmp_path, f"https://localhost:{port}", SSL_CERT_FILE=str(certificate))
    assert requests > 10 and failures == 0
    assert "a session raised" not in said


def test_a_certificate_that_nobody_vouches_for_fails_every_request(tmp_path: Path, certificate: Path) -> None:
    with served(certificate, reply()) as port:
        requests, failures, _ = locust(tmp_path, f"https://localhost:{port}")
    assert requests == failures > 0
