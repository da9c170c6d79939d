from pathlib import Path

import pytest

from harness.common import bundled


def test_a_clone_has_the_targets_beside_the_harness() -> None:
    assert (bundled.targets_home() / "targets" / "__init__.py").is_file()
    assert bundled.targets_home() == Path(bundled.__file__).resolve().parents[2]


def test_a_wheel_has_them_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundled, "_INSTALLED", tmp_path)
    assert bundled.targets_home() == tmp_path
    assert bundled.scenarios_home() == tmp_path / "scenarios"


def test_a_wheel_reads_the_registry_and_the_modules_inside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets" / "registry.py").write_text('APPS = {"tea": "targets.apps.tea"}\nSTATES = {}\n')
    monkeypatch.setattr(bundled, "_INSTALLED", tmp_path)
    assert bundled.target_modules("app") == {"tea": tmp_path / "targets" / "apps" / "tea.py"}
    assert bundled.target_modules("state") == {}
