"""A scenario file that ends the process, interrupts it, or never returns while it is imported is a usage error."""

from pathlib import Path

import pytest

from harness.cli import main
from harness.common.errors import UsageError
from harness.scenario.loading import load


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("sys.exit(0)", "SystemExit(0)"),
        ("sys.exit()", "SystemExit"),
        ("raise SystemExit('done')", "SystemExit('done')"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("raise BaseException('odd')", "BaseException('odd')"),
        ("pathlib.Path('/nowhere').read_text()", "FileNotFoundError"),
        ("sys.path.clear()", "defines no SCENARIO"),
    ],
)
def test_what_a_file_does_while_it_is_imported_is_exit_2_with_its_line(
    line: str, word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.path", ["", *__import__("sys").path])
    file = tmp_path / "mine.py"
    file.write_text(f"import pathlib, sys\n\n{line}\n")
    assert main(["run", str(file), "--out", str(tmp_path / "results")]) == 2
    printed = capsys.readouterr().err
    assert word in printed and "Traceback" not in printed
    if "SCENARIO" not in word:
        assert "line 3 of mine.py" in printed


@pytest.mark.parametrize(
    "body",
    [
        "import time\ntime.sleep(1000)",
        "while True: pass",
        "while True:\n    try:\n        x = 1\n    except Exception: pass",
    ],
)
def test_a_file_that_never_returns_is_ended(body: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_IMPORT_WITHIN", "200ms")
    file = tmp_path / "mine.py"
    file.write_text(body)
    with pytest.raises(UsageError, match=r"takes too long to import \(line \d of mine.py\)") as problem:
        load(file)
    assert "HARNESS_IMPORT_WITHIN" in problem.value.hint


def test_a_wrong_limit_is_a_usage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_IMPORT_WITHIN", "soon")
    (tmp_path / "mine.py").touch()
    with pytest.raises(UsageError, match="'soon' is not a duration"):
        load(tmp_path / "mine.py")
