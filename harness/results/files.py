"""Files that are written whole or not at all, and read with an error that names what to do."""

import errno
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from harness.common.errors import EnvironmentLacksError, UsageError, explain_os_error

T = TypeVar("T")

#: A single value in a JSON file.
Scalar = str | int | float | bool | None


@contextmanager
def explain_write_errors(path: Path) -> Iterator[None]:
    """Raise a failed write as an error of the project.

    Raises:
        EnvironmentLacksError: the disk is full, or this process has no file descriptor left.
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
        if lack := explain_os_error(problem):
            raise lack from problem
        raise UsageError(f"cannot write {path}: {problem.strerror}", "choose another place with --out") from problem


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    part.replace(path)


def write_parquet(requests: pd.DataFrame, path: Path) -> None:
    """Write a table whole or not at all.

    A column in which nothing has a name, such as the replicas of a service that names none, holds names all the same.
    """
    table = pa.Table.from_pandas(requests, preserve_index=False)
    for index, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type) and pa.types.is_null(field.type.value_type):
            table = table.set_column(index, field.name, pa.nulls(len(table), pa.string()).dictionary_encode())
    part = path.with_name(path.name + ".part")
    pq.write_table(table, part)
    part.replace(path)


def read_parquet(path: Path, without: Collection[str] = ()) -> pd.DataFrame:
    """As ``pd.read_parquet``, but without holding the whole table twice: it is converted column by column.

    The columns named in ``without`` are not read.
    """
    table = pq.read_table(path, columns=[name for name in pq.read_schema(path).names if name not in without])
    frame: pd.DataFrame = table.to_pandas(split_blocks=True, self_destruct=True)
    return frame


def require_plain_tree(directory: Path) -> None:
    """Check that a directory holds only directories and regular files, so that nothing in it leads elsewhere.

    Raises:
        UsageError: it holds a link, a pipe, a socket or a device.
    """
    for path in directory.rglob("*"):
        if not stat.S_ISREG(mode := path.lstat().st_mode) and not stat.S_ISDIR(mode):
            raise UsageError(f"{path} is neither a file nor a directory", "a run holds no links; remove it")


def read_json(path: Path, kind: type[T], problem: str, hint: str) -> T:
    """What a JSON file holds, checked against a type down to the last key.

    Raises:
        UsageError: it cannot be read, or holds something else; the message is ``problem`` with the reason, which names
            the key.
    """
    try:
        return decode_json(path.read_bytes(), kind)
    except (OSError, ValueError) as cause:
        raise UsageError(f"{problem}: {cause}", hint) from cause


def read_json_lines(path: Path, kind: type[T]) -> Iterator[T]:
    """The lines of a JSON-lines file, each checked against a type; a torn last one, which a crash leaves, is skipped.

    Raises:
        ValueError: another line is something else; the message names it.
    """
    if not path.exists():
        return
    *lines, last = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            yield decode_json(line, kind)
        except ValueError as problem:
            raise ValueError(f"{path.name}:{number}: {problem}") from problem
    if last and not _is_torn(last):
        yield decode_json(last, kind)


def decode_json(text: bytes, kind: type[T]) -> T:
    """A value of a type from its JSON.

    Raises:
        ValueError: the text is something else.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, UsageError) as problem:
        raise ValueError(str(problem)) from problem
    except RecursionError as problem:
        raise ValueError("it is nested too deeply") from problem


def check_type(value: T, kind: type[T]) -> T:
    """The value, if all of its fields have the types that their class declares.

    Raises:
        ValueError: one has another.
    """
    try:
        return msgspec.convert(msgspec.to_builtins(value), kind)
    except (msgspec.MsgspecError, TypeError, RecursionError) as problem:
        raise ValueError(str(problem)) from problem


def _is_torn(line: bytes) -> bool:
    try:
        msgspec.json.decode(line)
    except RecursionError:
        return False
    except (msgspec.DecodeError, ValueError):
        return True
    return False
