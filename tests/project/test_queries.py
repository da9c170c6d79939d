"""The queries that docs/results.md shows, run on a run's files."""

import json
import re
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from tests.support.clocks_and_topology import RequestRow, requests

DOCS = Path(__file__).resolve().parents[2] / "docs" / "results.md"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory in which the paths of the docs lead to a run's files."""
    for arm in ("sticky-fault", "sticky-control"):
        place = tmp_path / "results/node_kill/latest/observations" / arm
        place.mkdir(parents=True)
        asked = [
            RequestRow(n % 5, n / 10, replica=f"r{n % 3}", op=n, outcome="ok" if n % 7 else "failed")
            for n in range(100)
        ]
        requests(asked).to_parquet(place / "requests.parquet")
        (place / "samples.csv").write_text("t,role,name,cpu,memory_mb\n0.5,replica,r0,0.25,30.1\n")
    figures = {"sessions": {"lost": 1, "judged": 5, "at_risk": 1}, "latency_ms": {"p99": 1.0}}
    summary = {"schema": 1, "designs": {"sticky": {"finding": "lost", "arms": {"fault": figures, "control": figures}}}}
    (tmp_path / "results/node_kill/latest/summary.json").write_text(json.dumps(summary))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCS.read_text(), re.DOTALL)


@pytest.mark.parametrize("query", blocks("sql"))
def test_every_query_gives_rows_in_duckdb(here: Path, query: str) -> None:
    assert len(duckdb.execute(query).fetchall()) > 0


@pytest.mark.parametrize("code", blocks("python"))
def test_every_piece_of_python_runs(here: Path, code: str) -> None:
    names: dict[str, object] = {}
    exec(code, names)  # noqa: S102 - the docs' own lines
    assert any(isinstance(value, pd.DataFrame | pd.Series) for value in names.values())
