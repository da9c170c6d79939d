"""The machine and the versions of a run: what a reader needs to believe it, or to repeat it."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
from pathlib import Path

_PARTS = (
    *("session-harness", "locust", "gevent", "aiohttp", "numpy", "pandas", "pyarrow", "matplotlib"),
    *("redis", "nats-py", "hazelcast-python-client", "memcachio", "asyncpg"),
)


def environment() -> dict[str, str | int | float | None]:
    """CPU, cores, memory, kernel, Python and the commit, in plain values."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "git": _commit(),
    }


def versions() -> dict[str, str]:
    """The versions of the packages that measure."""
    installed = {}
    for name in _PARTS:
        try:
            installed[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    where = Path(__file__).parent
    done = subprocess.run(
        [git, "-C", str(where), "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or None
