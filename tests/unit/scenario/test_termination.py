"""How pods end, as part of a design."""

import pytest

from harness.common.errors import UsageError
from harness.scenario.design import Design
from harness.scenario.termination import Termination


def test_a_design_describes_its_termination_only_if_it_sets_one() -> None:
    assert "grace_s" not in Design("plain").describe()
    gentle = Design("gentle", termination=Termination("20s", pre_stop="5s")).describe()
    assert (gentle["grace_s"], gentle["pre_stop_s"]) == (20.0, 5.0)


@pytest.mark.parametrize(("grace", "pre_stop"), [("10s", "10s"), ("500ms", "0s"), ("10s", "1500ms"), ("0s", "0s")])
def test_a_termination_that_kubernetes_cannot_do_is_refused(grace: str, pre_stop: str) -> None:
    with pytest.raises(UsageError, match="before SIGTERM"):
        Termination(grace, pre_stop)
