"""What a Docker engine starts, and how the engine is asked for it."""

import os
import resource
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
from docker.types import NetworkingConfig, Ulimit

from harness.common.limits import UNLIMITED, Limits
from harness.common.ports import LOOPBACK

#: The networks of each role. The first one connects the container to the host.
NETWORKS: Mapping[str, Sequence[str]] = {"replica": ("app", "store"), "balancer": ("app",), "store": ("store",)}


@dataclass(frozen=True)
class ContainerSpec:
    """A container to start.

    Without ``argv`` and ``entrypoint``, it runs what its image names. The ``port`` inside it is ``published`` on
    loopback, and ``more_ports`` under their own numbers. Without ``cpus``, it may use all cores.
    """

    name: str
    role: str
    image: str
    log: Path
    argv: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    port: int | None = None
    published: int | None = None
    limits: Limits = UNLIMITED
    mounts: tuple[Path, ...] = ()
    cpus: tuple[int, ...] = ()
    more_ports: tuple[int, ...] = ()

    @property
    def ports(self) -> Mapping[int, int | None]:
        """The ports inside it, each with the one on loopback that leads there."""
        return {**({self.port: self.published} if self.port else {}), **{port: port for port in self.more_ports}}


@dataclass(frozen=True)
class Endpoint:
    """The address of a container in a network."""

    network: str
    address: str


def create_options(
    api: docker.APIClient, spec: ContainerSpec, run: str, endpoint: Endpoint, labels: Mapping[str, str]
) -> dict[str, Any]:
    """Return the arguments of ``api.create_container``; the container starts with one ``endpoint``."""
    config = api.create_endpoint_config(ipv4_address=endpoint.address, aliases=[spec.name])
    endpoints: Any = {endpoint.network: config}  # the stubs expect one endpoint, the API a mapping of them
    return {
        "image": spec.image,
        "command": list(spec.argv) if spec.argv is not None else None,
        "entrypoint": list(spec.entrypoint) if spec.entrypoint is not None else None,
        "name": f"harness-{run}-{spec.name}-{os.urandom(3).hex()}",
        "user": spec.user,
        "environment": dict(spec.env),
        "labels": labels,
        "ports": list(spec.ports),
        "host_config": api.create_host_config(**_host_options(spec, endpoint.network)),
        "networking_config": NetworkingConfig(endpoints),
    }


def _host_options(spec: ContainerSpec, network: str) -> dict[str, Any]:
    max_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    unlimited = max_files == resource.RLIM_INFINITY
    limits = spec.limits
    return {
        "binds": {str(path): {"bind": str(path), "mode": "rw"} for path in dict.fromkeys(spec.mounts)},
        "port_bindings": {port: (LOOPBACK, published) for port, published in spec.ports.items()},
        "network_mode": network,
        "auto_remove": True,
        "ulimits": [] if unlimited else [Ulimit(name="nofile", soft=max_files, hard=max_files)],
        **({"nano_cpus": int(limits.cpus * 1e9)} if limits.cpus else {}),
        **({"mem_limit": limits.memory, "memswap_limit": limits.memory} if limits.memory else {}),
        **({"cpuset_cpus": ",".join(map(str, spec.cpus))} if spec.cpus else {}),
    }
