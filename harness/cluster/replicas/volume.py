"""Damage to a volume, the directory in which a replica keeps what outlives its process."""

import shutil
from pathlib import Path

from harness.cluster.capabilities import Evidence


def empty_volume(volume: Path) -> Evidence:
    """Remove everything: confirmed if nothing is left. The facts are the ``files`` and ``bytes`` that were removed."""
    files = _files(volume)
    removed_bytes = sum(path.stat().st_size for path in files)
    for path in volume.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return Evidence(not _files(volume), {"files": len(files), "bytes": removed_bytes})


def truncate_newest(volume: Path, cut: int) -> Evidence:
    """Cut up to ``cut`` bytes off the end of its newest file, as a power cut does: confirmed if it is shorter."""
    newest = max(_files(volume), key=lambda path: path.stat().st_mtime_ns, default=None)
    before = newest.stat().st_size if newest else 0
    if newest is None or not before:
        return Evidence(False, {"reason": "there is nothing on its volume"})
    with newest.open("r+b") as file:
        file.truncate(max(0, before - cut))
    left = newest.stat().st_size
    return Evidence(left < before, {"file": newest.name, "bytes_cut": before - left, "bytes_left": left})


def volume_bytes(volume: Path) -> int:
    """Return the total size of its files in bytes."""
    return sum(path.stat().st_size for path in _files(volume))


def _files(volume: Path) -> list[Path]:
    return [path for path in volume.rglob("*") if path.is_file()]
