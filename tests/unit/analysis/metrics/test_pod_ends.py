"""Which requests met a pod that was leaving its Service."""

from harness.analysis.metrics.pod_ends import find_pod_ends
from harness.observations.faults import FaultRecord
from harness.observations.load_requests import LoadRequests
from harness.report.evidence import describe_pod_end
from tests.support.clocks_and_topology import RequestRow, requests

ROLLING = {
    "healed_r1_sigterm_s": 1.0,
    "healed_r1_endpoint_left_s": 1.25,
    "healed_r1_gone_s": 2.0,
    "healed_r0_sigterm_s": 4.0,
    "healed_r0_endpoint_left_s": 4.5,
}
RESTART = FaultRecord(1, "rolling_restart", "workload", 3.0, 3.1, 9.0, evidence=ROLLING)


def load(*unanswered: float) -> LoadRequests:
    """A good request every tenth of a second, and requests without a reply that were sent at these times."""
    good = [RequestRow(1, tenth / 10) for tenth in range(200)]
    failed = [RequestRow(2, t, "failed", replica=None, boot=None) for t in unanswered]
    return LoadRequests.select(requests([*good, *failed]))


def test_each_pod_has_the_requests_from_its_sigterm_to_that_of_the_next_pod() -> None:
    first, second = find_pod_ends(RESTART, load(3.5, 4.0, 4.2, 7.25, 8.0))
    assert (first.replica, first.sigterm, first.endpoint_left, first.gone) == ("r1", 4.0, 4.25, 5.0)
    assert (first.unanswered, first.last_unanswered) == (2, 4.2)
    assert (second.replica, second.gone, second.unanswered, second.last_unanswered) == ("r0", None, 2, 8.0)


def test_after_a_second_without_one_it_is_over() -> None:
    _, second = find_pod_ends(RESTART, load(7.5, 8.4, 9.5, 15.0))
    assert (second.unanswered, second.last_unanswered) == (2, 8.4)
    assert "2 requests unanswered, the last sent at 8.4 s" in describe_pod_end(second)


def test_a_request_that_was_on_its_way_at_the_sigterm_counts() -> None:
    first, _ = find_pod_ends(RESTART, load(3.995))
    assert (first.unanswered, first.last_unanswered) == (1, 4.0)


def test_without_a_failed_request_there_is_no_last_one() -> None:
    only, _ = find_pod_ends(RESTART, load())
    assert (only.unanswered, only.last_unanswered) == (0, None)
    assert describe_pod_end(only) == "r1: SIGTERM at 4 s, left its Service at 4.25 s, 0 requests unanswered"


def test_a_fault_that_ends_one_pod_names_it_by_its_target() -> None:
    killed = FaultRecord(1, "kill", "r2", 3.0, 3.1, evidence={"endpoint_left_s": 0.1, "gone_s": 0.1})
    found = [(pod.replica, pod.sigterm, pod.endpoint_left) for pod in find_pod_ends(killed, load())]
    assert found == [("r2", None, 3.1)]


def test_a_process_that_was_killed_is_no_pod() -> None:
    assert find_pod_ends(FaultRecord(1, "kill", "r2", 3.0, 3.1, evidence={"pid": 7}), load()) == ()


def test_the_last_unanswered_request_is_rounded_to_a_tenth_of_a_millisecond() -> None:
    first, _ = find_pod_ends(RESTART, load(4.123456))
    assert first.last_unanswered == 4.1235
