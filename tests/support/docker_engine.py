"""A fake Docker engine that records its requests and the state of each container."""

import itertools
import queue
from collections.abc import Iterator
from typing import Any

import docker.errors

from harness.cluster.containers import Engine


class FakeEvents:
    """The stream of engine events; closing it ends the iteration."""

    def __init__(self) -> None:
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue()

    def emit(self, action: str, container: str, code: int = 0) -> None:
        self._queue.put({"Action": action, "id": container, "Actor": {"Attributes": {"exitCode": str(code)}}})

    def close(self) -> None:
        self._queue.put(None)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._queue.get, None)


class FakeApi:
    """The API calls that a Docker supervisor makes."""

    def __init__(self) -> None:
        self.stream = FakeEvents()
        self.created: dict[str, dict[str, Any]] = {}
        self.paused: set[str] = set()
        self.networks: dict[str, set[str]] = {}
        self.signals: list[tuple[str, int]] = []
        self.full = False
        self.ends_at_once = False
        self._numbers = itertools.count()

    def create_host_config(self, **options: Any) -> dict[str, Any]:
        return options

    def create_endpoint_config(self, **options: Any) -> dict[str, Any]:
        return options

    def create_container(self, **options: Any) -> dict[str, str]:
        if self.full:
            raise docker.errors.APIError("no space left on device")
        container = f"c{next(self._numbers)}"
        self.created[container] = options
        self.networks[container] = set(options["networking_config"]["EndpointsConfig"])
        return {"Id": container}

    def connect_container_to_network(self, container: str, network: str, **options: Any) -> None:
        self.networks[container].add(network)

    def disconnect_container_from_network(self, container: str, network: str, force: bool) -> None:
        self.networks[container].discard(network)

    def start(self, container: str) -> None:
        if self.ends_at_once:
            self.stream.emit("die", container, 3)

    def inspect_container(self, container: str) -> dict[str, Any]:
        networks = dict.fromkeys(self.networks[container])
        state = {"Pid": 1_000_000_000, "Paused": container in self.paused}
        return {"State": state, "NetworkSettings": {"Networks": networks}}

    def pause(self, container: str) -> None:
        self.paused.add(container)

    def unpause(self, container: str) -> None:
        self.paused.discard(container)

    def kill(self, container: str, number: int) -> None:
        self.signals.append((container, number))
        self.stream.emit("die", container, 128 + number)
        self.stream.emit("destroy", container)

    def events(self, **options: Any) -> FakeEvents:
        return self.stream


class FakeClient:
    """The part of the SDK's client that a Docker supervisor needs."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.containers = self.networks = self.images = self.volumes = Collection()

    def info(self) -> dict[str, Any]:
        return {"ServerVersion": "1.2.3", "SecurityOptions": []}


class Collection:
    """A collection in which only networks can be created."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def list(self, **options: Any) -> list[Any]:
        return []

    def create(self, name: str, driver: str, **options: Any) -> "FakeNetwork":
        self.names.append(name)
        return FakeNetwork(self, name)

    def get(self, name: str) -> "FakeNetwork":
        return FakeNetwork(self, name)


class FakeNetwork:
    """A network, or an image: both have an id."""

    def __init__(self, collection: Collection, name: str) -> None:
        self._collection = collection
        self.name = self.id = name
        self.attrs = {"IPAM": {"Config": [{"Subnet": "10.9.0.0/16" if "app" in name else "10.8.0.0/16"}]}}

    def reload(self) -> None:
        """Do nothing: the attributes never change."""

    def tag(self, name: str, tag: str) -> None:
        """Do nothing: an image has any name."""

    def remove(self) -> None:
        self._collection.names.remove(self.name)


def engine() -> tuple[Engine, FakeApi]:
    client: Any = FakeClient()
    return Engine(client), client.api
