import math
from itertools import count, islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.common.errors import UsageError
from harness.scenario.rates import Ramp, Shape, Steps, Trace, describe, from_json, moments, peak, to_json

SHAPES = [Ramp(0, 100, "10s"), Ramp(100, 20, "5s"), Ramp(50, 10, "4s"), Steps([(10, "2s"), (0, "3s"), (200, "1s")])]


def rate_at(shape: Ramp | Steps, t: float) -> float:
    if isinstance(shape, Ramp):
        return shape.first + (shape.last - shape.first) * min(1, t / float(shape.over.removesuffix("s")))
    for rate, length in shape.steps:
        t -= float(length.removesuffix("s"))
        if t < 0:
            return rate
    return shape.steps[-1][0]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n", [5, 40, 79.5])
def test_so_many_have_come_when_the_rate_adds_up_to_them(shape: Ramp | Steps, n: float) -> None:
    tick = 1e-3
    added = sum(rate_at(shape, (k + 0.5) * tick) for k in range(round(shape.moment(n) / tick))) * tick
    assert added == pytest.approx(n, rel=0.01, abs=0.3)


@given(st.floats(0, 1000), st.floats(0.001, 1000), st.integers(1, 60))
def test_arrivals_of_a_ramp_go_forward(first: float, last: float, over: int) -> None:
    times = list(islice(moments(Ramp(first, last, f"{over}s"), map(float, count())), 500))
    assert times == sorted(times) and times[0] == 0


def test_a_ramp_stays_at_its_last_rate() -> None:
    ramp = Ramp(10, 30, "10s")
    assert (ramp.moment(200), ramp.moment(230), ramp.moment(500)) == (10, 11, 20)


def test_a_step_begins_when_the_one_before_it_ends() -> None:
    steps = Steps([(10, "2s"), (0, "3s"), (20, "1s")])
    assert [steps.moment(n) for n in (0, 10, 20, 40, 60)] == [0, 1, 2, 6, 7]


def test_no_sessions_arrive_where_the_rate_is_zero() -> None:
    assert len(list(moments(Ramp(50, 0, "4s"), map(float, count())))) == 101
    assert len(list(moments(Steps([(10, "1s"), (0, "1s")]), map(float, count())))) == 11


@pytest.mark.parametrize("shape", [5.0, *SHAPES, Trace("a.csv", 2.0, (0.0, 1.5))])
def test_a_rate_comes_back_as_it_was(shape: float | Shape) -> None:
    assert from_json(to_json(shape)) == shape


def trace(directory: Path, text: str, speed: float = 1.0) -> Trace:
    (directory / "arrivals.csv").write_text(text)
    return Trace("arrivals.csv", speed).located(directory)


def test_a_trace_is_replayed_at_its_speed(tmp_path: Path) -> None:
    replayed = trace(tmp_path, "time,what\n0.5,a\n\n1.5,b\n1.5,c\n4,d\n", speed=2)
    assert list(moments(replayed, iter(()))) == [0.25, 0.75, 0.75, 2.0]
    assert peak(replayed) == 3 and describe(replayed)["trace"]["arrivals"] == 4


@pytest.mark.parametrize("text", ["1\n0.5\n", "a\nb\n", "-1\n", "1\nnan\n", "1\ninf\n"])
def test_a_trace_that_does_not_go_forward_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="arrival"):
        trace(tmp_path, text).read()


def test_a_trace_that_is_missing_is_refused() -> None:
    with pytest.raises(UsageError, match=r"cannot read a trace from /nowhere\.csv"):
        describe(Trace("/nowhere.csv"))


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (Ramp, (-1, 5, "1s")),
        (Ramp, (0, 0, "1s")),
        (Ramp, (1, 2, "0s")),
        (Steps, ([],)),
        (Steps, ([(0, "1s")],)),
        (Steps, ([(1, "0s")],)),
        (Trace, ("a.csv", 0)),
    ],
)
def test_an_impossible_shape_is_refused(kind: type[Shape], values: tuple[object, ...]) -> None:
    with pytest.raises(UsageError):
        kind(*values)  # type: ignore[arg-type]  # as a scenario might have them


def test_a_time_is_finite_or_never() -> None:
    assert Ramp(50, 0, "4s").moment(101) == math.inf
