"""The moving parts of a running design: its listening ports, and the configuration of its balancer and store."""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from harness.cluster.supervisor import Child
from harness.cluster.supervisor.listening import listening_addresses

_MAX_CONFIG_BYTES = 1 << 20  # a larger file is no configuration


@dataclass(frozen=True)
class Footprint:
    """``ports`` counts listening addresses; ``config_lines`` counts configuration lines and command-line flags."""

    ports: int
    config_lines: int


def measure_footprint(children: Iterable[Child]) -> Footprint:
    """Measure all parts except the load process. Only the balancer and the store count for the configuration."""
    parts = [child for child in children if child.role != "driver"]
    pids = [part.pid for part in parts]
    for part in parts:
        with contextlib.suppress(psutil.Error):
            pids.extend(process.pid for process in psutil.Process(part.pid).children(recursive=True))
    configured = [part for part in parts if part.role in ("balancer", "store")]
    return Footprint(len(listening_addresses(pids)), sum(_config_lines(part.pid) for part in configured))


def _config_lines(pid: int) -> int:
    """The number of flags on its command line, and of lines in the files named there."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        words, base = process.cmdline()[1:], Path(process.cwd())
        files = {base / word for word in words if not word.startswith("-")}
        return sum(word.startswith("-") for word in words) + sum(map(_lines, files))
    return 0


def _lines(file: Path) -> int:
    """The number of lines that are neither empty nor comments; 0 if it is not a text file."""
    try:
        if not file.is_file() or file.stat().st_size > _MAX_CONFIG_BYTES:
            return 0
        lines = map(str.strip, file.read_text().splitlines())
    except (OSError, UnicodeDecodeError):  # for example a word too long for a file name
        return 0
    return sum(bool(line) and not line.startswith("#") for line in lines)
