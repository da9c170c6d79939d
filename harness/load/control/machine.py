"""The machine that a process runs on."""

import os
import socket
from pathlib import Path

from harness.load.control.plan import NODE


def machine_id() -> str:
    """Distinguishes machines: two processes that read the same here have one monotonic clock."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    return boot.read_text().strip() if boot.exists() else socket.gethostname()


def host_name() -> str:
    """The name of this machine, for people; of a pod also the node that it runs on."""
    node = os.environ.get(NODE)
    return f"{socket.gethostname()} on {node}" if node else socket.gethostname()
