"""What breaks, and how it is undone."""

from harness.faults.kill import Kill, Restart

__all__ = ["Kill", "Restart"]
