"""A Docker engine: the image of the parts, the networks of a run, and the parts as containers."""

from harness.cluster.containers.container_spec import ContainerSpec
from harness.cluster.containers.docker_supervisor import DockerSupervisor
from harness.cluster.containers.engine import Engine, connect_engine
from harness.cluster.containers.launch import supervise_containers

__all__ = ["ContainerSpec", "DockerSupervisor", "Engine", "connect_engine", "supervise_containers"]
