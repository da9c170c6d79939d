"""The process of a container, where the node is this machine: found by the id in the names of its control groups."""

from pathlib import Path


def find_process(container: str) -> int | None:
    """The first process of a container; None where its node is another machine.

    The first one has the lowest pid: it started the others.
    """
    if not container:
        return None
    pids = sorted(int(path.name) for path in Path("/proc").glob("[0-9]*"))
    for pid in pids:
        try:
            groups = Path(f"/proc/{pid}/cgroup").read_text()
        except OSError:  # it has ended
            continue
        if container in groups:
            return pid
    return None
