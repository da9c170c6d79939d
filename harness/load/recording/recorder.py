"""The recorder: one fixed-width record a request into a buffer, whole chunks of it to whoever folds them.

The hot path only packs; the spool, the counts and Locust's statistics each take a chunk at a time, as a NumPy array.
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

Chunk = npt.NDArray[np.void]
CHUNK_RECORDS = 4096
RECORD_BYTES = RECORD.itemsize
_FULL = CHUNK_RECORDS * RECORD_BYTES
MAX_ID = 65535
_TIMES = ("t_intended", "t_sent", "t_first", "t_end")


class StringTable:
    """Strings by small numbers, per kind (``name``, ``replica``, ``boot``); 0 is the empty string.

    ``tell(kind, id, value)`` is called once for each. Where a kind runs out of numbers, the rest are ``(other)``.
    """

    def __init__(self, tell: Callable[[str, int, str], None] = lambda kind, number, value: None) -> None:
        self._tell = tell
        self._ids: dict[str, dict[str, int]] = {"name": {"": 0}, "replica": {"": 0}, "boot": {"": 0}}
        self._values: dict[str, list[str]] = {kind: [""] for kind in self._ids}

    def intern(self, kind: str, value: str) -> int:
        """The number of a string; a new one where it has none yet."""
        ids = self._ids[kind]
        found = ids.get(value)
        if found is None:  # once a string
            if len(ids) >= MAX_ID and value != "(other)":
                return self.intern(kind, "(other)")
            found = ids[value] = len(ids)
            self._values[kind].append(value)
            self._tell(kind, found, value)
        return found

    def lookup(self, kind: str, number: int) -> str:
        """The string of a number."""
        return self._values[kind][number]


def load_phase(chunk: Chunk) -> Chunk:
    """The records of what the load asked for: not of the final sweep, nor of what a WebSocket brought unasked."""
    others = chunk["phase"] != LOAD
    return chunk[~others] if others.any() else chunk


class Recorder:
    """The buffer. Whoever records packs its fields, in the order of ``RECORD``, to ``buffer`` at ``place()``.

    The times packed are those of the clock; ``t0`` is taken off them a chunk at a time.
    """

    pack = struct.Struct(RECORD_FORMAT).pack_into

    def __init__(self, *sinks: Callable[[Chunk], None]) -> None:
        self.sinks = list(sinks)
        self.t0 = 0
        self.buffer = bytearray(_FULL)
        self._end = 0

    def reserve(self) -> int:
        """Where the next record goes, which is to be packed at once; a full buffer is flushed before."""
        if self._end == _FULL:
            self.flush()
        place = self._end
        self._end = place + RECORD_BYTES
        return place

    def add(self, *fields: int) -> None:
        """Append one record; a full buffer is flushed."""
        self.pack(self.buffer, self.reserve(), *fields)

    def flush(self) -> None:
        """Give what is buffered to every sink."""
        if self._end:
            chunk = np.frombuffer(self.buffer[: self._end], RECORD)
            self._end = 0
            if self.t0:
                self._count_from_t0(chunk)
            for sink in self.sinks:
                sink(chunk)

    def _count_from_t0(self, chunk: Chunk) -> None:
        silent = chunk["t_first"] == NO_TIME
        for time in _TIMES:
            chunk[time] -= self.t0
        chunk["t_first"][silent] = NO_TIME


class SpoolWriter:
    """The directory that the harness reads: ``requests.bin``, ``names.jsonl``, ``ledgers.jsonl`` (docs/wire.md)."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC | os.O_CLOEXEC
        self._requests = os.open(directory / "requests.bin", flags, 0o644)
        self._names = os.open(directory / "names.jsonl", flags, 0o644)

    def set_window(self, start: float, end: float) -> None:
        """From when to when (seconds from T0) requests count; what is recorded has its times."""

    def write(self, chunk: Chunk) -> None:
        """Append records.

        Raises:
            EnvironmentLacksError: the disk is full; what was written before stays readable.
        """
        self._append(self._requests, chunk.tobytes())

    def write_name(self, kind: str, number: int, value: str) -> None:
        """Append a name. At once, so that no record on disk refers to a name that is not."""
        self._append(self._names, (json.dumps({"kind": kind, "id": number, "value": value}) + "\n").encode())

    def write_ledgers(self, testimonies: list[Any]) -> None:
        """Write ``ledgers.jsonl`` as a whole: it is there completely, or not at all."""
        self.write_whole("ledgers.jsonl", (_line(testimony) for testimony in testimonies))

    def write_whole(self, name: str, lines: Iterable[str]) -> None:
        """Write a file completely, or not at all."""
        half = self._directory / f"{name}.part"
        try:
            with half.open("w", encoding="utf-8") as file:
                file.writelines(lines)
        except OSError as problem:
            raise _unwritable(problem) from problem
        half.replace(self._directory / name)

    def close(self) -> None:
        """Close both files."""
        os.close(self._requests)
        os.close(self._names)

    def _append(self, fd: int, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(fd, data) :]
        except OSError as problem:
            raise _unwritable(problem) from problem


def _line(testimony: Any) -> str:
    told = testimony.to_json()
    return (told if isinstance(told, str) else json.dumps(told, separators=(",", ":"))) + "\n"


def _unwritable(problem: OSError) -> EnvironmentLacksError:
    if problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return EnvironmentLacksError(
            "the disk is full: recording has stopped", "free some space, or choose another --out"
        )
    return EnvironmentLacksError(f"the spool cannot be written: {problem}", "choose another --out")
