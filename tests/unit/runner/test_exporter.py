import socket
import urllib.request

import pytest

from harness.common.errors import EnvironmentLacksError
from harness.observations.events import Event
from harness.observations.samples import Snapshot
from harness.runner.exporter import Exporter


def _free() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def _read_metrics(port: int) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return str(opener.open(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode())


def test_a_scraper_reads_what_the_load_process_said_last() -> None:
    port = _free()
    with Exporter(port) as exporter:
        exporter.arm_started("sticky", "fault", 0, 2, 20.0)
        exporter.event(Event(0.0, "replica_ready", "r1"))
        exporter.snapshot(Snapshot(1, 0.2, sent=12, ok=10, failed=1, in_doubt=1, sessions=5, sessions_lost=2, p99_ms=8))
        exporter.event(Event(1.0, "fault_effective", "r1"))
        metrics = _read_metrics(port)
    assert 'harness_requests_total{arm="fault",design="sticky",outcome="ok"} 10.0' in metrics
    assert 'harness_sessions_lost_total{arm="fault",design="sticky"} 2.0' in metrics
    assert 'harness_latency_p99_seconds{arm="fault",design="sticky"} 0.008' in metrics
    assert 'harness_replica_up{arm="fault",design="sticky",replica="r1"} 0.0' in metrics


def test_the_port_is_free_again_after_the_scope() -> None:
    port = _free()
    for _ in range(2):
        with Exporter(port):
            pass


def test_a_taken_port_is_reported() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(EnvironmentLacksError, match="taken"), Exporter(taken.getsockname()[1]):
            pass
