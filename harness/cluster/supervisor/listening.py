"""The TCP sockets on which processes listen."""

import contextlib
from collections.abc import Iterable

import psutil

from harness.cluster.supervisor.main import descendants, processes


def process_tree(root: int) -> set[int]:
    """Return the pids of a process, its descendants, and the members of its process group."""
    return {root, *descendants(root), *(process.pid for process in processes() if process.group == root)}


def listening_addresses(pids: Iterable[int]) -> set[tuple[str, int]]:
    """Return host and port of every TCP socket on which one of the processes listens.

    Processes that have ended, or that may not be inspected, contribute nothing.
    """
    addresses: set[tuple[str, int]] = set()
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            connections = psutil.Process(pid).net_connections("tcp")
            listening = [connection.laddr for connection in connections if connection.status == psutil.CONN_LISTEN]
            addresses.update((address.ip, address.port) for address in listening)
    return addresses
