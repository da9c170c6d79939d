"""The dashboard asks for what the harness serves."""

import json
import re
from pathlib import Path

import yaml
from prometheus_client import generate_latest

from harness.observations.events import Event
from harness.observations.samples import Snapshot
from harness.runner.exporter import Exporter

COMPOSE = Path(__file__).resolve().parents[3] / "compose"
DASHBOARD = json.loads((COMPOSE / "metrics" / "dashboard.json").read_text())


def served() -> set[str]:
    """The names of all metrics."""
    exporter = Exporter(0)
    exporter.arm_started("sticky", "fault", 0, 1, 1.0)
    exporter.event(Event(0.0, "replica_ready", "r1"))
    exporter.snapshot(Snapshot(1, 0.2, sent=1, ok=1, sessions=1, p99_ms=8, lag_p99_ms=1))
    return set(re.findall(r"^(harness_\w+){", generate_latest(exporter.registry).decode(), flags=re.MULTILINE))


def test_every_query_is_about_a_metric_that_is_served_and_each_is_shown() -> None:
    queries = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    asked = {name for query in queries for name in re.findall(r"harness_\w+", query)}
    assert asked == {name for name in served() if not name.endswith("_created")}


def test_compose_gives_grafana_each_file_of_the_dashboard() -> None:
    services = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]
    mounted = [volume.split(":")[0] for name in ("prometheus", "grafana") for volume in services[name]["volumes"]]
    assert {Path(file).name for file in mounted} == {path.name for path in (COMPOSE / "metrics").iterdir()}
    assert services["grafana"]["profiles"] == services["prometheus"]["profiles"] == ["metrics"]


def test_a_counter_goes_on_over_the_rounds_of_an_arm() -> None:
    exporter = Exporter(0)
    for _round in range(2):
        exporter.arm_started("sticky", "control", 0, 1, 1.0)
        exporter.snapshot(Snapshot(1, 0.2, ok=3))
        exporter.snapshot(Snapshot(1, 0.4, ok=5))
    assert (
        'harness_requests_total{arm="control",design="sticky",outcome="ok"} 10.0'
        in generate_latest(exporter.registry).decode()
    )
