"""One process starts every part of a run, and ends all parts when the harness ends, for whatever reason."""

from harness.cluster.supervisor.child import Child, Death
from harness.cluster.supervisor.client import ProcessSupervisor
from harness.cluster.supervisor.interface import Supervisor
from harness.cluster.supervisor.launch import start_supervisor
from harness.cluster.supervisor.process_spec import ROLES, ProcessSpec
from harness.cluster.supervisor.warm import Spawner, start_warm

__all__ = [
    "ROLES",
    "Child",
    "Death",
    "ProcessSpec",
    "ProcessSupervisor",
    "Spawner",
    "Supervisor",
    "start_supervisor",
    "start_warm",
]
