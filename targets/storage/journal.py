"""The effect journal: the service's effects outside its session state, such as an order.

One JSON line per effect: ``{"op", "effect", "birth", "replica", "boot", "t"}``, ``t`` in seconds of CLOCK_MONOTONIC.
Several replicas append to one file: each line is one ``write`` to a descriptor opened with ``O_APPEND``.
"""

import json
import os
import time
from collections.abc import Collection, Mapping
from pathlib import Path

from targets.common.settings import Settings, SettingsError


class Journal:
    """Appends effects to a file; without a path it drops them."""

    def __init__(self, path: Path | None, settings: Settings) -> None:
        self._replica, self._boot = settings.replica, settings.boot
        self._path, self._descriptor = path, None if path is None else _open_file(path)

    def append(self, op: str, effect: str, birth: str = "") -> None:
        """Record that ``op`` had an effect; ``birth`` names the session it belongs to, if any."""
        if self._descriptor is None:
            return
        line = {"op": op, "effect": effect, "birth": birth, "replica": self._replica, "boot": self._boot}
        os.write(self._descriptor, (json.dumps({**line, "t": time.monotonic()}) + "\n").encode())

    def effects(self, ops: Collection[str]) -> Mapping[str, set[str]]:
        """The effects of these operations on any replica, as the outside services would report them."""
        effects: dict[str, set[str]] = {op: set() for op in ops}
        if self._path is None or not effects:
            return effects
        with self._path.open() as file:
            for line in file:
                record = json.loads(line)
                if record["op"] in effects:
                    effects[record["op"]].add(record["effect"])
        return effects

    def close(self) -> None:
        """Close the file; later effects are dropped."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _open_file(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    except OSError as problem:
        raise SettingsError(f"cannot write the journal {path}: {problem.strerror}") from problem
