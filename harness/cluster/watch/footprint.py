"""The moving parts of a design that is up: where it listens, and how much configuration its balancer and store took."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from harness.cluster.supervisor import Child

_MAX_CONFIG_BYTES = 1 << 20  # bytes of a configuration file


@dataclass(frozen=True)
class Footprint:
    """``ports`` are addresses listened on; ``config_lines`` lines of configuration files, and command-line flags."""

    ports: int
    config_lines: int


def measure_footprint(children: Iterable[Child]) -> Footprint:
    """Those of all that runs but the load process. The configuration is the balancer's and the store's."""
    parts = [child for child in children if child.role != "driver"]
    listening = {address for part in parts for process in _family(part.pid) for address in _listening(process)}
    configured = [part for part in parts if part.role in ("balancer", "store")]
    return Footprint(len(listening), sum(_config_lines(part.pid) for part in configured))


def _family(pid: int) -> Iterator[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(pid)
        yield root
        yield from root.children(recursive=True)


def _listening(process: psutil.Process) -> Iterator[tuple[str, int]]:
    with contextlib.suppress(psutil.Error):
        for one in process.net_connections("tcp"):
            if one.status == psutil.CONN_LISTEN and one.laddr:
                yield one.laddr.ip, one.laddr.port


def _config_lines(pid: int) -> int:
    """The flags of its command line, and the lines of the files named there."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        words, base = process.cmdline()[1:], Path(process.cwd())
        files = {base / word for word in words if not word.startswith("-")}
        return sum(word.startswith("-") for word in words) + sum(map(_lines, files))
    return 0


def _lines(file: Path) -> int:
    """Its lines that say something; 0 where it is no text, or no file."""
    try:
        if not file.is_file() or file.stat().st_size > _MAX_CONFIG_BYTES:
            return 0
        lines = map(str.strip, file.read_text().splitlines())
    except (OSError, UnicodeDecodeError):  # such as a word too long to be a name
        return 0
    return sum(bool(line) and not line.startswith("#") for line in lines)
