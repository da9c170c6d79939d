"""What breaks, and how it is undone."""

from harness.faults.kill import Kill, Restart
from harness.faults.shell import Shell, Undo

__all__ = ["Kill", "Restart", "Shell", "Undo"]
