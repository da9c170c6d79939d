from typing import Any

import pytest

from harness.common.errors import UsageError
from harness.scenario.driver_processes import ONE_PROCESS, Address, DriverProcesses


@pytest.mark.parametrize(
    ("by", "here", "workers"),
    [
        (ONE_PROCESS, 1, 0),
        (DriverProcesses(1), 1, 0),
        (DriverProcesses(2), 2, 2),
        (DriverProcesses(elsewhere=2), 0, 2),
        (DriverProcesses(1, elsewhere=2), 1, 3),
        (DriverProcesses(inside=1), 0, 0),
        (DriverProcesses(inside=3), 0, 3),
    ],
)
def test_driver_options_say_which_processes_drive_the_load(by: DriverProcesses, here: int, workers: int) -> None:
    assert (by.here, by.workers) == (here, workers)


@pytest.mark.parametrize(("processes", "elsewhere"), [(0, 0), (-1, 0), (1, -1)])
def test_fewer_than_one_is_refused(processes: int, elsewhere: int) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        DriverProcesses(processes, elsewhere)


def test_an_address_for_workers_needs_workers() -> None:
    with pytest.raises(UsageError, match="none is expected"):
        DriverProcesses(2, bind=Address("127.0.0.1", 5557))


@pytest.mark.parametrize("others", [{"processes": 1}, {"elsewhere": 2}])
def test_a_load_from_pods_comes_from_nowhere_else(others: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="not from both"):
        DriverProcesses(**others, inside=1)


def test_controls_have_one_process_where_the_load_comes_from_and_keep_their_records() -> None:
    assert DriverProcesses(inside=3, records=False).controls == DriverProcesses(inside=1)
    assert DriverProcesses(3, records=False).controls == ONE_PROCESS


def test_an_address_is_read() -> None:
    assert Address.parse("192.0.2.1:99", "--master") == Address("192.0.2.1", 99)
    assert str(Address.parse("host", "--master")) == "host:5557"


@pytest.mark.parametrize("text", ["", ":", "host:", "host:x", ":5557", "host:70000"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--master"):
        Address.parse(text, "--master")
