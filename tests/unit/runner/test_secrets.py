"""What a scenario keeps secret is in no file of its run, and what a run holds is never executed."""

import base64
import json
import urllib.parse
from pathlib import Path

import pytest

from harness.cli import main
from harness.results.run import Run
from harness.runner import pipeline
from harness.runner.flag_scenario import FlagScenario
from harness.scenario.loading import load
from tests.support.recorded_run import keep, plan

SECRETS = ("k3y", "hunter2", "S3CR3T-abcdef", "t0ken/with+signs", "geh\u00f6im", 'quo"te')
SCENARIO = """
import base64
from harness import Balancing, Command, Compose, Design, Image, LoseNode, Scenario, Sessions, SessionUser, Shell, At

FIRST = "S3CR3T" "-" + "abcdef"
NUMBER = 2

class Shopper(SessionUser):
    def session(self, client):
        yield client.get("/", headers={"Authorization": "Bearer t0ken/with+signs", "X-Key": f"hunter{NUMBER}"})

DECODED = base64.b64decode("aHVudGVyMg==").decode()
ENV = {"PLAIN": "k3y", "JOINED": FIRST, "FORMATTED": f"hunter{NUMBER}", "DECODED": DECODED}
MORE = ENV | {"\u00e4": "geh\u00f6im", "q": 'quo"te'}
SCENARIO = Scenario(
    designs=[
        Design("one", Command("serve --password=hunter2 -H 'X: t0ken/with+signs'", env=MORE)),
        Design("two", Image("app:1", port=80, command=["run", "--key", "k3y"], env=ENV)),
        Design("three", Compose("compose.yaml", service="web", port=80, env=ENV)),
    ],
    load=Sessions(concurrent=2, duration="5s"),
    faults=[
        At("3s", Shell("curl -u me:hunter2 http://x", undo="curl -H 'K: k3y' http://x", evidence="test hunter2")),
        At("4s", LoseNode(Shell("curl -u me:hunter2 http://y", undo="curl -H 'K: k3y' http://y"))),
    ],
)
"""


def spellings(secret: str) -> set[bytes]:
    """A secret as it may stand in a file."""
    raw = secret.encode()
    plain = {
        raw,
        json.dumps(secret)[1:-1].encode(),
        urllib.parse.quote(secret, safe="").encode(),
        repr(secret)[1:-1].encode(),
    }
    return plain | {base64.b64encode(raw).rstrip(b"="), raw.hex().encode(), secret.encode("utf-16-le"), raw[::-1]}


def find_secrets(directory: Path) -> set[tuple[str, str]]:
    files = [path for path in directory.rglob("*") if path.is_file()]
    return {
        (path.name, secret)
        for path in files
        for secret in SECRETS
        for spelling in spellings(secret)
        if spelling in path.read_bytes()
    }


def test_no_secret_of_a_scenario_is_in_its_run(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(SCENARIO)
    loaded = load(file)
    run = Run.create(tmp_path / "results", pipeline.plan_run(loaded, loaded.scenario, 1, {"scenario": file}))
    assert list((tmp_path / "results").rglob("run.json"))
    assert find_secrets(tmp_path / "results") == set()
    assert run.plan.designs["one"]["env"] == "PLAIN, JOINED, FORMATTED, DECODED, \u00e4, q", "the names are kept"


def test_no_secret_of_the_command_line_is_in_its_run(tmp_path: Path) -> None:
    command = "serve --password=hunter2 --key k3y"
    described = FlagScenario(command=command).scenario(2, 5, "5s")
    loaded = load(None, described)
    flags = {"start": command, "url": None}
    Run.create(tmp_path / "results", pipeline.plan_run(loaded, loaded.scenario, 1, flags))
    assert find_secrets(tmp_path / "results") == set()


def test_the_search_would_find_one(tmp_path: Path) -> None:
    for index, secret in enumerate(SECRETS):
        (tmp_path / str(index)).write_text(json.dumps({"a": f"x{secret}"}))
    assert {secret for _, secret in find_secrets(tmp_path)} == set(SECRETS)


@pytest.mark.parametrize("command", [["report"], ["explain"], ["baseline", "accept", "--reason", "x", "--force"]])
def test_the_source_in_a_run_of_somebody_else_is_not_executed(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = Run.create(tmp_path / "results", plan())
    keep(run)
    source = f"open({str(tmp_path / 'executed')!r}, 'w').write('x')"
    text = json.loads((run.path / "run.json").read_text())
    (run.path / "mine.py").write_text(source)
    (run.path / "run.json").write_text(json.dumps({**text, "source": source, "path": str(run.path / "mine.py")}))
    assert main([*command, str(run.path)]) in (0, 2, 3)
    assert not (tmp_path / "executed").exists()
