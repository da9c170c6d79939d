"""Whatever decides a verdict is made of values that nobody can change once they exist."""

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Iterator

import pytest

from harness.scenario.expectations import KINDS

ROOMS = ("harness.oracle", "harness.analysis", "harness.results", "harness.scenario.expectations")
#: These gather what they find, or note where a search stands.
GROWING = {"_Bracket", "_ConnectionHistory", "_PossibleCauses"}


def dataclasses_of(room: str) -> Iterator[type]:
    package = importlib.import_module(room)
    for module in (
        package,
        *(importlib.import_module(m.name) for m in pkgutil.walk_packages(package.__path__, f"{room}.")),
    ):
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if kind.__module__ == module.__name__ and dataclasses.is_dataclass(kind):
                yield kind


@pytest.mark.parametrize("room", ROOMS)
def test_a_value_cannot_be_changed(room: str) -> None:
    found = list(dataclasses_of(room))
    assert found
    changeable = {kind.__name__ for kind in found if not kind.__dataclass_params__.frozen}  # type: ignore[attr-defined]  # of every dataclass
    assert changeable <= GROWING


@pytest.mark.parametrize("name", KINDS)
def test_an_expectation_takes_its_settings_by_their_names(name: str) -> None:
    positional = [
        parameter.name
        for parameter in inspect.signature(KINDS[name]).parameters.values()
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY
    ]
    assert positional == ["designs"]
