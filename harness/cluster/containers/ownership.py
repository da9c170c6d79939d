"""Which process made a container."""

import os
from pathlib import Path

from harness.cluster.supervisor.main import identity


def owner() -> str:
    """Return the pid namespace and the identity of this process: the value of the label ``sweep.OWNER``."""
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = ""
    return f"{namespace} {identity(os.getpid())}"
