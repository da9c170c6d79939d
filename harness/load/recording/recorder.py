"""The recorder: buffers one fixed-width record per request, and passes chunks of records to its sinks.

The hot path only packs. The spool, the live statistics and Locust's statistics each take one chunk at a time, as a
NumPy array.
"""

import errno
import json
import os
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.common.errors import EnvironmentLacksError
from harness.observations.requests import LOAD, NO_TIME, RECORD, RECORD_FORMAT

#: Records of dtype ``RECORD``, shape (n,).
Chunk = npt.NDArray[np.void]
CHUNK_RECORDS = 4096
RECORD_BYTES = RECORD.itemsize
_FULL = CHUNK_RECORDS * RECORD_BYTES
MAX_ID = 65535
_TIMES = ("t_intended", "t_sent", "t_first", "t_end")


class StringTable:
    """Maps strings to small ids, per kind (``name``, ``replica``, ``boot``); 0 is the empty string.

    ``on_new(kind, id, value)`` is called once for each string. When a kind runs out of ids, the rest are ``(other)``.
    """

    def __init__(self, on_new: Callable[[str, int, str], None] = lambda kind, number, value: None) -> None:
        self._on_new = on_new
        self._ids: dict[str, dict[str, int]] = {"name": {"": 0}, "replica": {"": 0}, "boot": {"": 0}}
        self._values: dict[str, list[str]] = {kind: [""] for kind in self._ids}

    def intern(self, kind: str, value: str) -> int:
        """The id of a string; a new one if it has none yet."""
        ids = self._ids[kind]
        number = ids.get(value)
        if number is None:  # once per string
            if len(ids) >= MAX_ID and value != "(other)":
                return self.intern(kind, "(other)")
            number = ids[value] = len(ids)
            self._values[kind].append(value)
            self._on_new(kind, number, value)
        return number

    def lookup(self, kind: str, number: int) -> str:
        """The string with an id."""
        return self._values[kind][number]


def load_phase(chunk: Chunk) -> Chunk:
    """The records of the load itself, shape (m,): without the final sweep and unsolicited WebSocket messages."""
    others = chunk["phase"] != LOAD
    return chunk[~others] if others.any() else chunk


class Recorder:
    """The buffer of records. Callers pack the fields, in the order of ``RECORD``, into ``buffer`` at ``reserve()``.

    Packed times are clock times (ns); ``t0`` is subtracted from them when a chunk is flushed.
    """

    pack = struct.Struct(RECORD_FORMAT).pack_into

    def __init__(self, *sinks: Callable[[Chunk], None]) -> None:
        self.sinks = list(sinks)
        self.t0 = 0
        self.buffer = bytearray(_FULL)
        self._end = 0

    def reserve(self) -> int:
        """The offset of the next record, which must be packed immediately; flushes a full buffer first."""
        if self._end == _FULL:
            self.flush()
        place = self._end
        self._end = place + RECORD_BYTES
        return place

    def add(self, *fields: int) -> None:
        """Append one record; flushes a full buffer first."""
        self.pack(self.buffer, self.reserve(), *fields)

    def flush(self) -> None:
        """Pass the buffered records to every sink."""
        if self._end:
            chunk = np.frombuffer(self.buffer[: self._end], RECORD)
            self._end = 0
            if self.t0:
                self._subtract_t0(chunk)
            for sink in self.sinks:
                sink(chunk)

    def _subtract_t0(self, chunk: Chunk) -> None:
        without_response = chunk["t_first"] == NO_TIME
        for time in _TIMES:
            chunk[time] -= self.t0
        chunk["t_first"][without_response] = NO_TIME


class SpoolWriter:
    """Writes what the harness reads: ``requests.bin``, ``names.jsonl``, ``ledgers.jsonl`` (docs/load-process.md)."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC | os.O_CLOEXEC
        self._requests = os.open(directory / "requests.bin", flags, 0o644)
        self._names = os.open(directory / "names.jsonl", flags, 0o644)

    def set_window(self, start: float, end: float) -> None:
        """Set the measured time, in seconds from T0. No effect here: records keep their times."""

    def write(self, chunk: Chunk) -> None:
        """Append records.

        Raises:
            EnvironmentLacksError: the disk is full; records written before stay readable.
        """
        self._append(self._requests, chunk.tobytes())

    def write_name(self, kind: str, number: int, value: str) -> None:
        """Append a name immediately, so that no record on disk refers to a name that is missing."""
        self._append(self._names, (json.dumps({"kind": kind, "id": number, "value": value}) + "\n").encode())

    def write_ledgers(self, histories: list[Any]) -> None:
        """Write ``ledgers.jsonl``, either completely or not at all."""
        encoded = (history.to_json() for history in histories)
        self.write_whole(
            "ledgers.jsonl",
            (f"{line if isinstance(line, str) else json.dumps(line, separators=(',', ':'))}\n" for line in encoded),
        )

    def write_whole(self, name: str, lines: Iterable[str]) -> None:
        """Write a file, either completely or not at all."""
        partial = self._directory / f"{name}.part"
        try:
            with partial.open("w", encoding="utf-8") as file:
                file.writelines(lines)
        except OSError as problem:
            raise _write_error(problem) from problem
        partial.replace(self._directory / name)

    def close(self) -> None:
        """Close both files."""
        os.close(self._requests)
        os.close(self._names)

    def _append(self, fd: int, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(fd, data) :]
        except OSError as problem:
            raise _write_error(problem) from problem


def _write_error(problem: OSError) -> EnvironmentLacksError:
    if problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return EnvironmentLacksError(
            "the disk is full: recording has stopped", "free some space, or choose another --out"
        )
    return EnvironmentLacksError(f"cannot write the spool: {problem}", "choose another --out")
