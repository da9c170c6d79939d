"""A spool read back: fixed-width records to a table, also what a crash left of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api.types import union_categoricals

from harness.common.durations import MAX_SECONDS
from harness.observations.aggregates import AGGREGATE_COUNTS, AGGREGATES_FILE, AggregateStats
from harness.observations.requests import RECORD, Anomaly, Method, Outcome
from harness.results.files import check_type, decode_json

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


@dataclass(frozen=True)
class InternedName:
    """A line of names.jsonl: the string behind an id of one kind."""

    kind: str
    id: int
    value: str


def check_requests(requests: pd.DataFrame) -> pd.DataFrame:
    """The same table, if every column holds what the load process writes.

    Raises:
        ValueError: a column is missing, or holds something else.
    """
    for column in (name for name in COLUMNS if name != "writer"):
        if column not in requests:
            raise ValueError(f"the table of requests has no column {column}")
        values = requests[column]
        if column in _NUMERIC and not pd.api.types.is_integer_dtype(values.dtype):
            raise ValueError(f"{column} holds {values.dtype}, not integers")
        if column in _INTERNED or column in _ENUMERATED:
            _check_categories(values, _labels(column) if column in _ENUMERATED else None)
        if column.startswith("t_") and (values.abs() > MAX_SECONDS * 1e9).any():
            raise ValueError(f"{column} holds a time that no run reaches")
    return requests


def _check_categories(values: pd.Series, allowed: Sequence[str] | None) -> None:
    if not isinstance(values.dtype, pd.CategoricalDtype):
        raise ValueError(f"{values.name} holds {values.dtype}, not names")
    for name in values.cat.categories:
        if not isinstance(name, str) or (allowed is not None and name not in allowed):
            raise ValueError(f"{values.name} holds {name!r}")
    if allowed is not None and values.isna().any():
        raise ValueError(f"{values.name} has no value in every row")


def _labels(column: str) -> Sequence[str]:
    words = _ENUMERATED[column]
    return [word.name if words is Method else word.name.lower() for word in words]


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
    parts = [read_aggregates_file(file) for file in files if file.exists()]
    return AggregateStats.combine(parts) if parts else None


def read_aggregates_file(file: Path) -> AggregateStats:
    """The aggregates in one file.

    Raises:
        ValueError: the file holds something else.
    """
    values = decode_json(file.read_bytes(), dict[str, int | str | dict[str, int]])
    aggregates = AggregateStats.from_json(values)
    check_type({name: getattr(aggregates, name) for name in AGGREGATE_COUNTS}, dict[str, int])
    check_type([aggregates.per_replica or {}, aggregates.by_name or {}], list[dict[str, int]])
    return aggregates


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
    for column in _ENUMERATED:
        labels = pd.Index(_labels(column))
        columns[column] = pd.Series(pd.Categorical.from_codes(records[column].astype(np.int32), categories=labels))
    return pd.DataFrame({column: columns[column] for column in COLUMNS}, copy=False)


def _read_names(path: Path) -> dict[str, dict[int, str]]:
    names: dict[str, dict[int, str]] = {kind: {} for kind in _INTERNED}
    for line in path.read_bytes().split(b"\n")[:-1] if path.exists() else ():
        entry = decode_json(line, InternedName)
        names[entry.kind][entry.id] = entry.value
    return names


def _decode_interned(ids: np.ndarray, names: dict[int, str]) -> pd.Series:
    """Strings of interned ids, both of shape (n,): 0 and ids without a name become missing values."""
    codes = np.full(np.iinfo(np.uint16).max + 1, -1, np.int32)
    for code, number in enumerate(names):
        codes[number] = code
    return pd.Series(pd.Categorical.from_codes(codes[ids], categories=pd.Index(list(names.values()), dtype=object)))
