"""A Docker engine: the image of the parts, the networks of a run, and the parts as containers."""

from harness.cluster.containers.docker_supervisor import Box, Dock, docked, owner
from harness.cluster.containers.engine import Engine, connected

__all__ = ["Box", "Dock", "Engine", "connected", "docked", "owner"]
