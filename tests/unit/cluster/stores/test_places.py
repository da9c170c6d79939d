"""Stores whose servers have addresses of their own, as in containers and pods."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from harness.cluster.stores import STORES, StoreType
from harness.cluster.stores.server import Server
from harness.cluster.supervisor import Child, ProcessSpec, Supervisor
from harness.runner.image_support import STORES as IN_IMAGE


class Elsewhere(Supervisor):
    """Gives each part another address for the other parts, and starts nothing."""

    listen = "0.0.0.0"  # noqa: S104 - nothing listens
    shares_files = False
    children = ()

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch

    @property
    def scratch(self) -> Path:
        return self._scratch

    def address(self, name: str, role: str = "replica") -> str:
        return f"{name}.{role}"

    def program(self, name: str, locate: Callable[[], str]) -> str:
        return name

    async def spawn(self, spec: ProcessSpec, fds: Mapping[str, int] | None = None) -> Child:
        raise AssertionError(f"started {spec.name}")

    async def signal(self, child: int, number: int, *, group: bool) -> bool:
        return False


@pytest.fixture(params=IN_IMAGE)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> StoreType:
    return STORES[str(request.param)](Elsewhere(tmp_path), tmp_path)


def commands(store: StoreType) -> dict[Server, str]:
    """The command line of each server, with the file that it names."""
    for server in store.servers:
        server.folder.mkdir()
    argvs = {server: server.argv() for server in store.servers}
    return {server: " ".join([*argv, *map(content, argv)]) for server, argv in argvs.items()}


def content(word: str) -> str:
    return Path(word).read_text() if word.endswith(".conf") and Path(word).exists() else ""


def test_its_program_is_that_of_the_image(store: StoreType) -> None:
    for command in commands(store).values():
        assert command.startswith(("memcached ", "nats-server ", "valkey-server ", "/bin/sh -c")), command
        assert "setpriv" not in command and "/site-packages/" not in command


def test_clients_are_given_the_addresses_that_replicas_reach(store: StoreType) -> None:
    assert "127.0.0.1" not in store.url
    named = [server for server in store.servers if f"{server.name}.store:{server.port}" in store.url]
    assert len(named) == (3 if len(store.servers) > 1 else 1)


def test_every_server_has_all_its_ports_opened(store: StoreType) -> None:
    for server in store.servers:
        assert server.ports[0] == server.port and len(set(server.ports)) == len(server.ports)


def test_the_servers_of_nats_find_one_another_at_the_addresses_that_others_reach(tmp_path: Path) -> None:
    store = STORES["nats"](Elsewhere(tmp_path), tmp_path)
    for server in store.servers:
        server.folder.mkdir()
        config = json.loads(Path(server.argv()[-1]).read_text())
        assert config["listen"] == f"0.0.0.0:{server.port}"
        assert config["client_advertise"] == f"{server.name}.store:{server.port}"
        routes = [f"nats://{other.name}.store:{other.ports[2]}" for other in store.servers]
        assert config["cluster"]["routes"] == routes
        assert f"nats://{config['cluster']['advertise']}" in routes


def test_the_replica_announces_the_address_that_the_sentinels_know(tmp_path: Path) -> None:
    store = STORES["redis_sentinel"](Elsewhere(tmp_path), tmp_path)
    first, second, *sentinels = store.servers
    command = " ".join(second.argv())
    assert f"--replica-announce-ip {second.name}.store --replica-announce-port {second.port}" in command
    assert len(sentinels) == 3 and f"{first.name}.store:{first.port}" not in store.url
