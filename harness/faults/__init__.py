"""What breaks, and how it is undone."""

from harness.faults.autoscale import Autoscale
from harness.faults.balancer import KillBalancer, ReloadBalancer
from harness.faults.deploy import RollingDeploy, Start, Terminate
from harness.faults.fault import Heal
from harness.faults.keys import RotateKeys
from harness.faults.kill import CrashLoop, Kill, Restart
from harness.faults.link import Bandwidth, DropReplies, HoldReplies, Latency, Partition, ResetConnections
from harness.faults.pause import Pause, Resume, Slow
from harness.faults.scale import ScaleIn, ScaleOut
from harness.faults.shell import Shell
from harness.faults.store import (
    CutReplication,
    Evict,
    KillPrimary,
    KillStore,
    PauseStore,
)
from harness.faults.volume import LoseVolume, TruncateTail
from harness.faults.workload import DrainNode, LoseNode, Resize, RollingRestart

__all__ = [
    "Autoscale",
    "Bandwidth",
    "CrashLoop",
    "CutReplication",
    "DrainNode",
    "DropReplies",
    "Evict",
    "Heal",
    "HoldReplies",
    "Kill",
    "KillBalancer",
    "KillPrimary",
    "KillStore",
    "Latency",
    "LoseNode",
    "LoseVolume",
    "Partition",
    "Pause",
    "PauseStore",
    "ReloadBalancer",
    "ResetConnections",
    "Resize",
    "Restart",
    "Resume",
    "RollingDeploy",
    "RollingRestart",
    "RotateKeys",
    "ScaleIn",
    "ScaleOut",
    "Shell",
    "Slow",
    "Start",
    "Terminate",
    "TruncateTail",
]
