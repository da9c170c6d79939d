"""The last line of `make bench-driver`, and its floors."""

import json
from collections.abc import Mapping

import pytest
from rich.console import Console

from benchmarks.comparison import CI_FLOORS, FEW, FLOORS, MANY, Comparison, Entry, Round
from benchmarks.drivers import FAST_HTTP, HEY, WRK, Ours, Peer

#: Keys of the last line, whichever drivers are installed.
KEYS = {
    "engine_rps", "engine_1000_rps", "fasthttp_ratio", "http_ratio", "wrk_ratio", "hey_ratio", "ab_ratio", "k6_ratio",
    "vegeta_ratio", "oha_ratio", "wrk2_ratio", "wrk_1000_ratio", "cpu_us_per_request", "bytes_per_session",
}  # fmt: skip


def entry(driver: Ours | Peer, rates: list[float], cpu_us: float = 10.0, connections: int = FEW) -> Entry:
    return Entry(driver, connections, [Round(rate, cpu_us, 50_000_000 + 1000 * connections) for rate in rates])


def comparison(*entries: Entry, floors: Mapping[str, float] = FLOORS) -> Comparison:
    return Comparison(entries, 1.0, Console(quiet=True), floors)


def test_the_last_line_has_every_key_and_null_if_a_driver_is_missing() -> None:
    figures = json.loads(json.dumps(comparison(entry(Ours(), [100])).figures()))
    assert set(figures) >= KEYS
    assert {key for key in KEYS if figures[key] is not None} == {"engine_rps", "cpu_us_per_request"}


def test_ratios_compare_the_best_rounds_with_the_same_number_of_connections() -> None:
    many = [entry(Ours(), [60], connections=MANY), entry(WRK, [80, 10], connections=MANY)]
    figures = comparison(entry(Ours(), [50, 90]), entry(WRK, [120, 30]), entry(HEY, [45, 20]), *many).figures()
    assert (figures["wrk_ratio"], figures["hey_ratio"], figures["wrk_1000_ratio"]) == (0.75, 2.0, 0.75)
    assert figures["bytes_per_session"] == 1000


@pytest.mark.parametrize(("fast", "broken"), [(9.0, []), (11.0, ["fasthttp_ratio is 9.091, below 10.0"])])
def test_a_floor_that_does_not_hold_is_reported(fast: float, broken: list[str]) -> None:
    assert comparison(entry(Ours(), [100]), entry(FAST_HTTP, [fast])).broken() == broken


def test_the_floors_of_ci_depend_on_cpu_time_and_not_on_rates() -> None:
    slow, lean = entry(Ours(), [1], cpu_us=12.5), entry(FAST_HTTP, [100], cpu_us=100.0)
    held = comparison(slow, lean, entry(WRK, [100], cpu_us=8.0), floors=CI_FLOORS)
    assert held.broken() == [] and held.figures()["fasthttp_cpu_ratio"] == 8.0
    fat = comparison(entry(Ours(), [1], cpu_us=25.0), lean, floors=CI_FLOORS)
    assert fat.broken() == ["fasthttp_cpu_ratio is 4.0, below 6.0"]


def test_the_ratio_of_cpu_time_compares_the_best_rounds() -> None:
    disturbed = Entry(Ours(), FEW, [Round(1, cpu_us, 50_000_000) for cpu_us in (40.0, 20.0, 60.0)])
    wrk = Entry(WRK, FEW, [Round(1, cpu_us, 1_000_000) for cpu_us in (9.0, 10.0, 12.0)])
    assert comparison(disturbed, wrk).figures()["wrk_cpu_ratio"] == 0.45
