"""Everything that a scenario holds is checked when it is made: a wrong type is an error that names the field."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import faults
from harness.cli import main
from harness.common.errors import UsageError
from harness.scenario.balancing import Balancing, Health
from harness.scenario.checks import check_types
from harness.scenario.design import Design
from harness.scenario.faults import At
from harness.scenario.rates import Ramp, Steps
from harness.scenario.scenario import Scenario
from harness.scenario.services import BuiltIn, Command, Url
from harness.scenario.workload import Requests, Sessions

LOAD = Sessions(concurrent=1, duration="5s")
MAKERS: tuple[Callable[[], Any], ...] = (
    lambda: Scenario([Design("one")], LOAD, faults=[At("3s", faults.Kill(1))]),
    lambda: Design("one"),
    Balancing,
    Health,
    BuiltIn,
    lambda: Command("serve"),
    lambda: Url("http://127.0.0.1:80"),
    lambda: LOAD,
    lambda: Requests(5.0),
    lambda: Ramp(1.0, 2.0, "1s"),
    lambda: Steps([(1.0, "1s")]),
    lambda: At("3s", faults.Kill(1)),
)
FIELDS = [(make, field.name) for make in MAKERS for field in dataclasses.fields(make()) if field.init]


class Other:
    """Not what any field holds."""


@pytest.mark.parametrize(("make", "field"), FIELDS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_field_of_another_type_is_a_usage_error_that_names_it(make: Callable[[], Any], field: str) -> None:
    for other in (Other(), [Other()], {"a": Other()}):
        with pytest.raises(UsageError, match=field):
            dataclasses.replace(make(), **{field: other})


@pytest.mark.parametrize(
    ("design", "word"),
    [
        ("Design('one', balancing='cookie')", "balancing must be Balancing"),
        ("Design('one', BuiltIn(options=5))", "options must be"),
        ("Design('one', BuiltIn(options={'a': 5}))", "options must be"),
        ("Design(5)", "name must be str"),
        ("Design('one', replicas='3')", "replicas must be"),
        ("Design('one', Url('http://[::1'))", "cannot load"),
        ("Design('one', Url('http://127.0.0.1:99999'))", "cannot load"),
        ("Design('one', BuiltIn(service_time=10**400))", "service_time must be"),
        ("Design('one', Balancing(health=Health(interval='99999999999999h')))", "not a duration"),
        ("Design('one', BuiltIn(options={'zz': '1'}))", "has no option 'zz'"),
    ],
)
def test_a_design_that_does_not_check_is_exit_2(
    design: str, word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(tmp_path, f"designs=[{design}], load=Sessions(concurrent=1, duration='5s')") == 2
    assert word in capsys.readouterr().err


@pytest.mark.parametrize(
    "more", ["expect=[5]", "expect=5", "expect=[keeps('zz')]", "faults=[5]", "seed='x'", "quick=5", "replicas=2.5"]
)
def test_a_scenario_that_does_not_check_is_exit_2_before_anything_starts(
    more: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(tmp_path, f"designs=[Design('one')], load=Sessions(concurrent=1, duration='5s'), {more}") == 2
    assert "Traceback" not in capsys.readouterr().err


def _run(tmp_path: Path, arguments: str) -> int:
    file = tmp_path / "mine.py"
    file.write_text(f"from harness import *\nSCENARIO = Scenario({arguments})\n")
    code = main(["run", str(file), "--out", str(tmp_path / "results")])
    assert not (tmp_path / "results").exists()
    return code


def test_a_list_does_for_a_tuple_and_an_integer_for_a_float() -> None:
    check_types(At("3s", faults.Kill(1), only=["one"]))  # type: ignore[arg-type]  # as people write it
    check_types(Requests(rate=5))
