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


@pytest.mark.parametrize("kind", ["app", "state"])
def test_the_options_read_from_the_text_are_those_of_the_module(kind: str) -> None:
    home = {"app": "targets.apps", "state": "targets.state"}[kind]
    for name in bundled.target_modules(kind):
        module = pytest.importorskip(f"{home}.{name}")
        assert bundled.target_options(kind, name) == frozenset(module.OPTIONS), name
