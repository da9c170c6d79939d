"""Which cluster a run may use."""

import pytest

from harness.common.errors import UsageError
from harness.scenario.cluster_access import ClusterAccess


@pytest.mark.parametrize("prefix", ["Harness", "-x", "x-", "", "a" * 32, "a_b"])
def test_a_prefix_that_no_namespace_can_have_is_refused(prefix: str) -> None:
    with pytest.raises(UsageError, match="a namespace cannot begin with"):
        ClusterAccess(prefix=prefix)


def test_an_image_needs_a_name() -> None:
    assert ClusterAccess(prefix="a" * 31, image="x").image == "x"
    with pytest.raises(UsageError, match="image is empty"):
        ClusterAccess(image="")
