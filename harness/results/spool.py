"""A spool read back: fixed-width records to a table, also what a crash left of it."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api.types import union_categoricals

from harness.observations.aggregates import AGGREGATES_FILE, AggregateStats
from harness.observations.requests import RECORD, Anomaly, Method, Outcome

_NUMERIC = (
    "session",
    "writer",
    "op",
    "status",
    "phase",
    "t_intended",
    "t_sent",
    "t_first",
    "t_end",
    "bytes_sent",
    "bytes_received",
    "reconnected",
    "attempts",
)
_INTERNED = ("name", "replica", "boot")
_ENUMERATED = {"method": Method, "outcome": Outcome, "anomaly": Anomaly}
COLUMNS = (
    "session",
    "writer",
    "op",
    "name",
    "method",
    "status",
    "outcome",
    "anomaly",
    "replica",
    "boot",
    "phase",
    "t_intended",
    "t_sent",
    "t_first",
    "t_end",
    "bytes_sent",
    "bytes_received",
    "reconnected",
    "attempts",
)


def read_requests(directory: Path) -> pd.DataFrame:
    """The requests of a spool, in the order in which they ended, with the columns of requests.parquet.

    ``name``, ``replica`` and ``boot`` are categories of strings (missing where there is none), ``method``, ``outcome``
    and ``anomaly`` of lower-case words (methods upper-case). A torn last record or line is left out; where the load
    never began there are no rows. Several workers' records are one table.
    """
    parts = list_parts(directory)
    if len(parts) == 1:
        return _read_part(parts[0])
    tables = [_read_part(part) for part in parts]
    columns = {column: _concatenate([table.pop(column) for table in tables]) for column in COLUMNS}
    return pd.DataFrame(columns, copy=False).sort_values("t_end", kind="stable", ignore_index=True)


def list_parts(directory: Path) -> Sequence[Path]:
    """The directories of a spool: itself, or one for each of several workers."""
    return sorted(path for path in directory.glob("*") if path.is_dir()) or [directory]


def read_ledger_lines(directory: Path) -> str:
    """The lines of ledgers.jsonl of all parts of a spool."""
    files = [part / "ledgers.jsonl" for part in list_parts(directory)]
    return "".join(file.read_text(encoding="utf-8") for file in files if file.exists())


def read_aggregates(directory: Path) -> AggregateStats | None:
    """The aggregates of a spool; None if it recorded its requests instead."""
    files = [part / AGGREGATES_FILE for part in list_parts(directory)]
    parts = [AggregateStats.from_json(json.loads(file.read_text())) for file in files if file.exists()]
    return AggregateStats.combine(parts) if parts else None


def _concatenate(columns: list[pd.Series]) -> pd.Series:
    if isinstance(columns[0].dtype, pd.CategoricalDtype):
        return pd.Series(union_categoricals(columns))
    return pd.concat(columns, ignore_index=True)


def _read_part(directory: Path) -> pd.DataFrame:
    path = directory / "requests.bin"
    count = path.stat().st_size // RECORD.itemsize if path.exists() else 0
    records = np.memmap(path, RECORD, "r", shape=(count,)) if count else np.empty(0, RECORD)
    names = _read_names(directory / "names.jsonl")
    columns = {column: pd.Series(np.ascontiguousarray(records[column])) for column in _NUMERIC}
    columns |= {column: _decode_interned(records[column], names[column]) for column in _INTERNED}
    for column, words in _ENUMERATED.items():
        labels = pd.Index([word.name if words is Method else word.name.lower() for word in words])
        columns[column] = pd.Series(pd.Categorical.from_codes(records[column].astype(np.int32), categories=labels))
    return pd.DataFrame({column: columns[column] for column in COLUMNS}, copy=False)


def _read_names(path: Path) -> dict[str, dict[int, str]]:
    names: dict[str, dict[int, str]] = {kind: {} for kind in _INTERNED}
    for line in path.read_bytes().split(b"\n")[:-1] if path.exists() else ():
        entry = json.loads(line)
        names[entry["kind"]][entry["id"]] = entry["value"]
    return names


def _decode_interned(ids: np.ndarray, names: dict[int, str]) -> pd.Series:
    """Strings of interned ids, both of shape (n,): 0 and ids without a name become missing values."""
    codes = np.full(np.iinfo(np.uint16).max + 1, -1, np.int32)
    for code, number in enumerate(names):
        codes[number] = code
    return pd.Series(pd.Categorical.from_codes(codes[ids], categories=pd.Index(list(names.values()), dtype=object)))
