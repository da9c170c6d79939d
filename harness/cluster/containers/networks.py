"""A run's own networks: every part has a fixed address in each that it is in, before and after a restart."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

import docker
import docker.errors
from docker.types import IPAMConfig, IPAMPool

from harness.common.errors import EnvironmentLacksError

_TRIES = 10
_FIRST = 10  # the lowest number that a part is given; below are the gateway and what else the engine wants


@dataclass(frozen=True)
class Network:
    """A bridge of the engine's, with its addresses."""

    name: str
    subnet: ipaddress.IPv4Network

    def address(self, number: int) -> str:
        """That of the part with this number, from 0."""
        return str(self.subnet.network_address + _FIRST + number)


def create_network(client: docker.DockerClient, name: str, labels: Mapping[str, str]) -> Network:
    """Make a network. Addresses can be fixed only in a subnet that is named: first the engine is asked for a free one.

    Raises:
        EnvironmentLacksError: the engine makes none.
    """
    problem: Exception | None = None
    for _ in range(_TRIES):
        try:
            subnet = _free_subnet(client, name, labels)
            pool = IPAMPool(subnet=subnet)
            client.networks.create(name, "bridge", ipam=IPAMConfig(pool_configs=[pool]), labels=dict(labels))
        except docker.errors.APIError as told:  # most likely another run was quicker
            problem = told
        else:
            return Network(name, ipaddress.IPv4Network(subnet))
    raise EnvironmentLacksError(f"the Docker engine makes no network: {problem}", "docker network prune") from problem


def _free_subnet(client: docker.DockerClient, name: str, labels: Mapping[str, str]) -> str:
    network = client.networks.create(f"{name}-asked", "bridge", labels=dict(labels))
    try:
        network.reload()
        return str(network.attrs["IPAM"]["Config"][0]["Subnet"])
    finally:
        network.remove()
