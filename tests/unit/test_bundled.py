from pathlib import Path

import pytest

from harness import bundled


def test_a_checkout_has_the_targets_beside_the_harness() -> None:
    assert (bundled.targets_home() / "targets" / "__init__.py").is_file()
    assert bundled.targets_home() == Path(bundled.__file__).resolve().parent.parent


def test_a_wheel_has_them_inside_even_where_somebody_else_has_a_package_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "targets").mkdir()
    monkeypatch.setattr(bundled, "_PACKAGE", tmp_path / "harness")
    assert bundled.targets_home() == tmp_path / "harness" / "_bundled"
    assert bundled.scenarios_home() == tmp_path / "harness" / "_bundled"
