"""What breaks, and how it is undone."""

from harness.faults.balancer import KillBalancer, ReloadBalancer, RestartBalancer
from harness.faults.deploy import RollingDeploy, Start, Terminate
from harness.faults.fault import Heal
from harness.faults.kill import CrashLoop, Kill, Restart
from harness.faults.pause import Pause, Resume, Slow
from harness.faults.scale import ScaleIn, ScaleOut
from harness.faults.shell import Shell, Undo
from harness.faults.store import Evict, KillStore, PauseStore, RestartStore, ResumeStore

__all__ = [
    "CrashLoop",
    "Evict",
    "Heal",
    "Kill",
    "KillBalancer",
    "KillStore",
    "Pause",
    "PauseStore",
    "ReloadBalancer",
    "Restart",
    "RestartBalancer",
    "RestartStore",
    "Resume",
    "ResumeStore",
    "RollingDeploy",
    "ScaleIn",
    "ScaleOut",
    "Shell",
    "Slow",
    "Start",
    "Terminate",
    "Undo",
]
