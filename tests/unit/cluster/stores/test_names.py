"""The stores that a scenario can name are those that can be started."""

import pytest

from harness.cluster.stores import STORES
from harness.common.errors import UsageError
from harness.scenario import parts
from harness.scenario.design import Design
from harness.scenario.services import Command


def test_each_store_that_a_scenario_can_name_has_a_class() -> None:
    assert tuple(STORES) == parts.STORES


@pytest.mark.parametrize("name", ["server", "http", "__init__", "oracle"])
def test_an_unknown_store_is_refused_with_the_names_of_those_there_are(name: str) -> None:
    with pytest.raises(UsageError, match=f"no store '{name}'") as refusal:
        Design("one", target=Command("serve {port}", store=name))
    assert "etcd, hazelcast, memcached, nats, postgres, redis, redis_sentinel" in refusal.value.hint
