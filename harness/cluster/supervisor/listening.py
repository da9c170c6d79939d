"""The TCP sockets of processes: where they listen, and which connections they have accepted."""

import contextlib
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import Any

import psutil

from harness.cluster.supervisor.main import descendants, processes


def process_tree(root: int) -> set[int]:
    """Return the pids of a process, its descendants, and the members of its process group."""
    return {root, *descendants(root), *(process.pid for process in processes() if process.group == root)}


def listening_addresses(pids: Iterable[int]) -> set[tuple[str, int]]:
    """Return host and port of every TCP socket on which one of the processes listens.

    Processes that have ended, or that may not be inspected, contribute nothing.
    """
    sockets = _sockets(pids)
    return {(socket.laddr.ip, socket.laddr.port) for socket in sockets if socket.status == psutil.CONN_LISTEN}


def count_connections(pids: Iterable[int], port: int) -> int:
    """Count the open connections of the processes at their port."""
    open_ones = [socket for socket in _sockets(pids) if socket.status == psutil.CONN_ESTABLISHED]
    return len({(socket.laddr, socket.raddr) for socket in open_ones if socket.laddr.port == port})


def _sockets(pids: Iterable[int]) -> Iterator[Any]:
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            yield from psutil.Process(pid).net_connections("tcp")


def is_reachable(address: tuple[str, int], at: tuple[str, int]) -> bool:
    """Whether a socket that listens on an address answers who connects to the IPv4 address and port ``at``."""
    listens_on = ip_address(address[0])
    mapped = getattr(listens_on, "ipv4_mapped", None) or listens_on
    return address[1] == at[1] and (listens_on.is_unspecified or mapped == ip_address(at[0]))
