"""A Docker engine: the image of the parts, the networks of a run, and the parts as containers."""

from harness.cluster.containers.docker_supervisor import ContainerSpec, DockerSupervisor, owner, supervise_containers
from harness.cluster.containers.engine import Engine, connect_engine

__all__ = ["ContainerSpec", "DockerSupervisor", "Engine", "connect_engine", "owner", "supervise_containers"]
