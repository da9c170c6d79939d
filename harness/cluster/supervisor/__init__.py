"""One process that starts every part of a run, and ends them all when the harness ends, however it does."""

from harness.cluster.supervisor.client import (
    ROLES,
    Child,
    Death,
    ProcessSpec,
    ProcessSupervisor,
    Supervisor,
    start_supervisor,
)

__all__ = ["ROLES", "Child", "Death", "ProcessSpec", "ProcessSupervisor", "Supervisor", "start_supervisor"]
