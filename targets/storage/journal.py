"""The effect journal: what the service did to the world outside its session state, such as an order placed.

One JSON line an effect: ``{"op", "effect", "birth", "replica", "boot", "t"}``, ``t`` in seconds of CLOCK_MONOTONIC.
Several replicas append to one file: each line is one ``write`` to a descriptor opened with ``O_APPEND``.
"""

import json
import os
import time
from collections.abc import Collection, Mapping
from pathlib import Path

from targets.common.settings import Settings, SettingsError


class Journal:
    """Appends effects to a file; without a path it keeps none."""

    def __init__(self, path: Path | None, settings: Settings) -> None:
        self._replica, self._boot = settings.replica, settings.boot
        self._path, self._descriptor = path, None if path is None else _open_file(path)

    def append(self, op: str, effect: str, birth: str = "") -> None:
        """Record that ``op`` had an effect; ``birth`` names the session it came from, if any."""
        if self._descriptor is None:
            return
        line = {"op": op, "effect": effect, "birth": birth, "replica": self._replica, "boot": self._boot}
        os.write(self._descriptor, (json.dumps({**line, "t": time.monotonic()}) + "\n").encode())

    def effects(self, ops: Collection[str]) -> Mapping[str, set[str]]:
        """What has happened under these operations, whoever did it: as the outside would answer if asked."""
        found: dict[str, set[str]] = {op: set() for op in ops}
        if self._path is None or not found:
            return found
        with self._path.open() as file:
            for line in file:
                told = json.loads(line)
                if told["op"] in found:
                    found[told["op"]].add(told["effect"])
        return found

    def close(self) -> None:
        """Give the file back; later effects are not kept."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _open_file(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    except OSError as problem:
        raise SettingsError(f"cannot write the journal {path}: {problem.strerror}") from problem
