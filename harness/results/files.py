"""Files that are written whole or not at all, and read with an error that names what to do."""

import errno
import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from harness.common.errors import EnvironmentLacksError, HarnessError, UsageError


@contextmanager
def explain_write_errors(path: Path) -> Iterator[None]:
    """Raise a failed write as an error of the project.

    Raises:
        EnvironmentLacksError: the disk is full.
        UsageError: the path cannot be written for another reason.
    """
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
    """Write a table whole or not at all."""
    part = path.with_name(path.name + ".part")
    requests.to_parquet(part, index=False)
    part.replace(path)


def read_parquet(path: Path, without: Collection[str] = ()) -> pd.DataFrame:
    """As ``pd.read_parquet``, but without holding the whole table twice: it is converted column by column.

    The columns named in ``without`` are not read.
    """
    table = pq.read_table(path, columns=[name for name in pq.read_schema(path).names if name not in without])
    frame: pd.DataFrame = table.to_pandas(split_blocks=True, self_destruct=True)
    return frame


def read_json_object(path: Path, problem: str) -> dict[str, Any]:
    """The object that a JSON file holds.

    Raises:
        UsageError: it cannot be read, or holds something else; the message is ``problem``.
    """
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError) as cause:
        raise UsageError(
            problem, "name a directory under results/<scenario>/, such as results/node_kill/latest"
        ) from cause
    if not isinstance(value, dict):
        raise UsageError(problem, "it was changed after the run; harness report writes all files again but run.json")
    return value


def read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a JSON-lines file; a torn last one, which a crash leaves, is skipped.

    Raises:
        HarnessError: another line is not JSON.
    """
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
