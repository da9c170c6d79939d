"""What this machine has and what it lacks, with the command that installs it. Quick, and without the network."""

import asyncio
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from harness.cluster import balancers, stores
from harness.cluster.kubernetes import is_configured, require_client
from harness.common.errors import EnvironmentLacksError, UsageError
from harness.scenario.design import Design
from harness.scenario.kubernetes import Running
from harness.scenario.services import BuiltIn

_TIMEOUT_S = 1.5
_PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_COMMON_PARTS = ("haproxy", "nginx", "redis")  # used by most scenarios
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class InventoryItem:
    """One part: whether it is present, its version or amount, what needs it, and how to get it."""

    part: str
    present: bool
    version: str
    needed_for: str
    install: str
    required: bool = True  # False: only ``needed_for`` depends on it


def examine(results: Path = Path("results"), context: str | None = None) -> tuple[InventoryItem, ...]:
    """Return all items in a fixed order.

    ``results`` is where runs will be written, ``context`` the context of the kubeconfig; None is the current one.
    """
    needed_for = {name: "balancing" if name in _COMMON_PARTS else f"designs behind {name}" for name in balancers.SPECS}
    checks: Sequence[Callable[[], InventoryItem]] = (
        _python,
        _cores,
        _descriptors,
        *(
            partial(_server, name, kind.binary, needed_for[name], kind.version)
            for name, kind in balancers.SPECS.items()
        ),
        *(
            partial(_server, name, partial(stores.locate, name), f"state in {name}", "--version")
            for name in stores.STORES
        ),
        _docker,
        partial(_kubernetes, context),
        _browser,
        partial(_disk, results),
        _ports,
        _proc,
    )
    with ThreadPoolExecutor(len(checks)) as pool:
        return tuple(pool.map(lambda check: check(), checks))


def describe_balancers(designs: Iterable[Design]) -> Mapping[str, str]:
    """The balancer of each design with its version, such as ``haproxy 2.8.5``; none for a service that already runs."""
    chosen = {
        design.name: balancers.select(replace(design.balancing, names=not isinstance(design.target, BuiltIn)))
        for design in designs
        if not isinstance(design.target, Running)
    }
    items = {spec.name: _server(spec.name, spec.binary, "", spec.version) for spec in chosen.values()}
    return {name: f"{spec.name} {items[spec.name].version}".rstrip() for name, spec in chosen.items()}


def _python() -> InventoryItem:
    fits = sys.version_info >= (3, 11)
    return InventoryItem(
        "python", fits, platform.python_version(), "everything", "apt-get install python3 python3-venv (3.11 or newer)"
    )


def _cores() -> InventoryItem:
    cores = os.cpu_count() or 1
    return InventoryItem(
        "cores",
        cores >= 2,
        str(cores),
        "load and replicas on separate cores",
        "use a machine with 2 or more",
        False,
    )


def _descriptors() -> InventoryItem:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = soft == resource.RLIM_INFINITY
    return InventoryItem(
        "descriptors",
        unlimited or soft >= 1024,
        "unlimited" if unlimited else str(soft),
        "one socket per session",
        "ulimit -n 65536",
    )


def _server(name: str, binary: Callable[[], Path | str], needed_for: str, flag: str) -> InventoryItem:
    """Examine a balancer or a store; ``flag`` makes it print its version."""
    required = name in _COMMON_PARTS
    try:
        path = binary()
    except EnvironmentLacksError as lack:
        return InventoryItem(name, False, "", needed_for, lack.hint, required)
    output = Path(path).name if str(path).endswith(".jar") else _run([str(path), flag])
    return InventoryItem(
        name,
        output is not None,
        _version(output and output.replace(str(path), "")),
        needed_for,
        f"reinstall it: {path} does not start",
        required,
    )


def _docker() -> InventoryItem:
    from harness.cluster.containers import connect_engine  # noqa: PLC0415 - its SDK takes a third of a second to load

    try:
        version = connect_engine(timeout=2).version
    except EnvironmentLacksError as lack:
        return InventoryItem("docker", False, "", "--backend docker", lack.hint, False)
    return InventoryItem("docker", True, version, "--backend docker", "restart dockerd", False)


def _kubernetes(context: str | None) -> InventoryItem:
    """The cluster of a context."""
    item = InventoryItem("kubernetes", False, "", "--backend kubernetes", "", False)
    try:
        require_client()
        if not is_configured():
            return replace(item, install="no cluster is configured, see docs/kubernetes.md")
        from harness.cluster.kubernetes.api import connect_api  # noqa: PLC0415 - its library takes half a second to load

        async def read_version() -> str:
            return await (await connect_api(context)).version()

        version = asyncio.run(asyncio.wait_for(read_version(), _TIMEOUT_S))
    except (EnvironmentLacksError, UsageError) as lack:
        return replace(item, install=lack.hint)
    except TimeoutError:
        return replace(item, install="the API server does not answer: kubectl version")
    return replace(item, present=True, version=version, install="see docs/kubernetes.md")


def _browser() -> InventoryItem:
    output = next((output for name in _BROWSERS if (output := _run([name, "--version"]))), None)
    return InventoryItem(
        "chromium", output is not None, _version(output), "the tests", "apt-get install chromium", False
    )


def _disk(results: Path) -> InventoryItem:
    place = next(folder for folder in (results.absolute(), *results.absolute().parents) if folder.exists())
    free = shutil.disk_usage(place).free / 1e9
    return InventoryItem("disk", free >= 1, f"{free:.1f} GB free", f"runs in {results}", "harness clean --runs")


def _ports() -> InventoryItem:
    low, high = map(int, _PORT_RANGE.read_text().split()) if _PORT_RANGE.exists() else (32768, 60999)
    wide = high - low >= 10_000
    fix = 'sysctl -w net.ipv4.ip_local_port_range="15000 65000"'
    return InventoryItem("ports", wide, f"{low}-{high}", "connections", fix)


def _proc() -> InventoryItem:
    mounted = Path("/proc/self/stat").exists()
    return InventoryItem(
        "/proc",
        mounted,
        "mounted" if mounted else "",
        "CPU and memory figures",
        "use Linux, or mount -t proc proc /proc",
        False,
    )


def _run(command: Sequence[str]) -> str | None:
    """Return the output of a command; None if it is missing, fails, or takes too long."""
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout + result.stderr


def _version(output: str | None) -> str:
    match = re.search(r"\d+(\.\d+)+", output or "")
    return match[0] if match else ""
