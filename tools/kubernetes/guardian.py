"""The cluster's only process outside its namespaces: links them to this machine, and ends them."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tools.kubernetes.layout import API_PORT, HOST, LINK, PODS, SERVICES, Layout, Node
from tools.kubernetes.node import remove_cgroup


async def guard(layout: Layout, nodes: int, owner: int | None) -> None:
    """Start the keeper in namespaces of its own; end it on SIGTERM, or with the process ``owner``.

    The keeper gets SIGKILL if this process dies, and everything in its namespaces dies with it.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    if owner is not None:
        loop.add_reader(os.pidfd_open(owner), stop.set)
    keeper = await asyncio.create_subprocess_exec(
        *["setpriv", "--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child", "--mount", "--net"],
        *["--mount-proc", sys.executable, "-m", "tools.kubernetes", "keep", "--nodes", str(nodes)],
        env={**os.environ, "HARNESS_CLUSTER": str(layout.home)},
    )
    ended = asyncio.create_task(keeper.wait())
    try:
        init = await asyncio.to_thread(_find_child, keeper.pid)
        layout.state.write_text(json.dumps({"guardian": os.getpid(), "keeper": init, "nodes": nodes}))
        _link(init, layout.nodes(nodes))
        relay = await asyncio.start_server(_relay, "127.0.0.1", API_PORT)
        async with relay:
            await asyncio.wait({ended, asyncio.create_task(stop.wait())}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        layout.kubeconfig.unlink(missing_ok=True)
        if keeper.returncode is None:
            keeper.kill()
        await keeper.wait()
        await asyncio.to_thread(remove_traces, layout)


def remove_traces(layout: Layout) -> None:
    """Remove what is outside the namespaces of a cluster that has ended."""
    subprocess.run(["ip", "link", "delete", LINK], capture_output=True, check=False)
    for node in layout.nodes(2):
        remove_cgroup(node)
    layout.kubeconfig.unlink(missing_ok=True)
    layout.state.unlink(missing_ok=True)


def _find_child(pid: int) -> int:
    """The first process of the new namespace, as this machine numbers it."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    for _ in range(100):
        if found := children.read_text().split():
            return int(found[0])
        time.sleep(0.05)
    raise TimeoutError("the cluster's first process did not start")


def _link(pid: int, nodes: list[Node]) -> None:
    """Connect the namespaces to this machine. The link and its routes vanish with them, if not before."""
    gateway = nodes[0].address
    others = [f"{node.address}/32" for node in nodes[1:]]
    for command in (
        f"link add {LINK} type veth peer name eth0 netns {pid}",
        f"addr add {HOST}/24 dev {LINK}",
        f"link set {LINK} up",
        *[f"route add {network} via {gateway}" for network in (PODS, SERVICES, *others)],
    ):
        subprocess.run(["ip", *command.split()], check=True)


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass a connection to the API server on, so that it answers on loopback."""
    try:
        inner_reader, inner_writer = await asyncio.open_connection("10.88.0.2", API_PORT)
    except OSError:
        writer.close()
        return
    await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()
