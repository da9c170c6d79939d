"""TODO: harness.results.files."""

import errno
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from harness.common.errors import EnvironmentLacksError, HarnessError, UsageError


@contextmanager
def explain_write_errors(path: Path) -> Iterator[None]:
    """Tell a failed write as what it is: a full disk is the environment's, the rest is the path's."""
    try:
        yield
    except OSError as problem:
        if problem.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EnvironmentLacksError(
                f"no space left where {path} lies; what was measured before is kept",
                "free some space (harness clean --runs removes old runs) or choose another place with --out",
            ) from problem
        raise UsageError(f"cannot write {path}: {problem.strerror}", "choose another place with --out") from problem


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    part.replace(path)


def write_parquet(requests: pd.DataFrame, path: Path) -> None:
    part = path.with_name(path.name + ".part")
    requests.to_parquet(part, index=False)
    part.replace(path)


def read_parquet(path: Path) -> pd.DataFrame:
    """As ``pd.read_parquet``, but a column at a time gives its memory back: never the whole table twice."""
    table = pq.read_table(path)
    frame: pd.DataFrame = table.to_pandas(split_blocks=True, self_destruct=True)
    return frame


def read_json_object(path: Path, problem: str) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError) as cause:
        raise UsageError(
            problem, "name a directory under results/<scenario>/, such as results/node_kill/latest"
        ) from cause
    if not isinstance(value, dict):
        raise UsageError(problem, "it was changed after the run; harness report writes all but run.json anew")
    return value


def read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a JSON-lines file; a torn last one, which a crash leaves, is passed over."""
    if not path.exists():
        return
    lines = path.read_text().splitlines()
    for index, line in enumerate(lines):
        try:
            yield json.loads(line)
        except ValueError as problem:
            if index == len(lines) - 1:
                return
            raise HarnessError(f"{path}:{index + 1} is not JSON", "the file was changed after the run") from problem
