"""The networks of a run: each part has a fixed address in each of its networks, which a restart does not change."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

import docker
import docker.errors
from docker.types import IPAMConfig, IPAMPool

from harness.common.errors import EnvironmentLacksError

_MAX_ATTEMPTS = 10
_FIRST_HOST = 10  # lower numbers are left to the gateway and other needs of the engine


@dataclass(frozen=True)
class Network:
    """A bridge network and its addresses."""

    name: str
    subnet: ipaddress.IPv4Network

    def address(self, number: int) -> str:
        """Return the address of the part with this number, from 0."""
        return str(self.subnet.network_address + _FIRST_HOST + number)


def create_network(client: docker.DockerClient, name: str, labels: Mapping[str, str]) -> Network:
    """Create a network in a free subnet. The subnet has to be named: otherwise addresses cannot be fixed.

    Raises:
        EnvironmentLacksError: the engine creates none.
    """
    problem: Exception | None = None
    for _ in range(_MAX_ATTEMPTS):
        try:
            subnet = _find_free_subnet(client, name, labels)
            pool = IPAMPool(subnet=subnet)
            client.networks.create(name, "bridge", ipam=IPAMConfig(pool_configs=[pool]), labels=dict(labels))
        except docker.errors.APIError as error:  # most likely another run took the subnet
            problem = error
        else:
            return Network(name, ipaddress.IPv4Network(subnet))
    raise EnvironmentLacksError(f"the Docker engine creates no network: {problem}", "docker network prune") from problem


def _find_free_subnet(client: docker.DockerClient, name: str, labels: Mapping[str, str]) -> str:
    network = client.networks.create(f"{name}-asked", "bridge", labels=dict(labels))
    try:
        network.reload()
        return str(network.attrs["IPAM"]["Config"][0]["Subnet"])
    finally:
        network.remove()
