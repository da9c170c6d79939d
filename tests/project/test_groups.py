"""Tests of one ``xdist_group`` share a worker, and what their fixtures make. If they do not, nothing else says so."""

import pytest

TESTS = """
import pytest

@pytest.mark.xdist_group("shared")
@pytest.mark.parametrize("number", range(6))
def test_of_the_group(number):
    pass
"""


@pytest.mark.slow
def test_the_tests_of_a_group_run_in_one_worker(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS)
    done = pytester.runpytest_subprocess("-n", "3", "--dist", "loadgroup", "-v", "-p", "no:cacheprovider")
    done.assert_outcomes(passed=6)
    workers = {line[: line.index("]")] for line in done.outlines if line.startswith("[gw")}
    assert len(workers) == 1, done.stdout.str()
