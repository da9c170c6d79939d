"""Which engine is used, and which error appears without one."""

from pathlib import Path
from typing import NoReturn

import pytest
import requests

from harness.cluster.containers import connect_engine
from harness.cluster.containers.engine import Engine
from harness.common.errors import EnvironmentLacksError
from tests.support.docker_engine import FakeClient


def test_a_missing_engine_is_reported_with_the_command_that_installs_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    with pytest.raises(EnvironmentLacksError, match="no Docker engine answers") as lack:
        connect_engine()
    assert "apt-get install docker.io" in lack.value.hint


def test_an_engine_on_another_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://build.example:2375")
    with pytest.raises(EnvironmentLacksError, match=r"at build\.example runs on another machine"):
        connect_engine()


@pytest.mark.parametrize(("options", "root"), [([], False), (["name=rootless"], True)])
def test_files_written_by_containers_belong_to_the_user(
    options: list[str], root: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.getuid", lambda: 1234)
    monkeypatch.setattr("os.getgid", lambda: 99)
    monkeypatch.setattr(FakeClient, "info", lambda self: {"SecurityOptions": options})
    assert Engine(FakeClient()).user == ("0:0" if root else "1234:99")  # type: ignore[arg-type]  # a fake


def test_an_engine_that_stops_answering_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def time_out(_: FakeClient) -> NoReturn:
        raise requests.ReadTimeout("Read timed out. (read timeout=2)")

    monkeypatch.setattr(FakeClient, "info", time_out)
    with pytest.raises(EnvironmentLacksError, match=r"no Docker engine answers: Read timed out"):
        _ = Engine(FakeClient()).version  # type: ignore[arg-type]  # a fake
