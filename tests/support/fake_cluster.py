"""An API server of Kubernetes in memory, with just enough behind it: workloads get pods that become ready at once."""

import asyncio
import contextlib
import copy
import itertools
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from harness.common.background import background
from harness.common.waiting import wait_until

Manifest = dict[str, Any]
VERSION = {"gitVersion": "v1.34.4"}
Key = tuple[str, str, str]  # the plural of the kind, the namespace, the name


class FakeCluster:
    """``refuse`` maps the plural of a kind to the status and message with which its creation is refused.

    ``pod_status`` gives the status of a new pod; ``down`` makes the server break off every connection, ``lose_replies``
    that many connections after a creation; while it ``hangs``, it answers nothing. ``commands`` are those that ran in
    pods; they fail if ``command_fails`` says why. With ``node_lost``, pods end only if they are deleted without grace.
    Without ``metrics`` there is no API for them, and autoscalers have no figures. What is named in ``finalized`` stays
    after its deletion.
    """

    def __init__(self) -> None:
        self.objects: dict[Key, Manifest] = {}
        self.deletions: list[tuple[Key, Manifest]] = []
        self.refuse: dict[str, tuple[int, str]] = {}
        self.pod_status: Callable[[Manifest], Manifest] = ready
        self.replica_set_conditions: list[Manifest] = []
        self.logs: dict[str, list[str]] = {}
        self.commands: list[tuple[str, list[str]]] = []
        self.command_fails = ""
        self.forwarded: list[str] = []  # the pods that connections were forwarded to
        self.proxied: dict[str, int] = {}  # the status of a Service by "name:port/path"; others do not answer
        self.node_lost = False
        self.finalized: set[str] = set()
        self.metrics = True
        self.down = False
        self.cut = 0  # connections that it broke off
        self.hangs = False
        self.lose_replies = 0
        self.versions = asyncio.Event()
        self._numbers = itertools.count(1)
        self._events: list[tuple[str, str, Manifest]] = []  # the kind, the namespace, and what a watch reports
        self._watchers: list[tuple[str, str, asyncio.Queue[Manifest | None]]] = []

    def names(self, plural: str, namespace: str = "") -> list[str]:
        return sorted(name for kind, where, name in self.objects if kind == plural and namespace in ("", where))

    def put(self, key: Key, manifest: Manifest) -> Manifest:
        change = "MODIFIED" if key in self.objects else "ADDED"
        item = copy.deepcopy(manifest)
        metadata = item.setdefault("metadata", {})
        metadata.setdefault(
            "uid", self.objects.get(key, {}).get("metadata", {}).get("uid") or f"uid-{next(self._numbers)}"
        )
        metadata["resourceVersion"] = str(next(self._numbers))
        metadata |= {"namespace": key[1]} if key[1] else {}
        self.objects[key] = item
        self._announce(change, key, item)
        return item

    def remove(self, key: Key) -> None:
        item = self.objects.pop(key)
        item["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        self._announce("DELETED", key, item)

    def scale(self, key: Key, replicas: int) -> None:
        """Change the size of a workload, as an autoscaler does."""
        self._control(key[1], self.put(key, merge(self.objects[key], {"spec": {"replicas": replicas}})))

    async def watched(self, plural: str) -> None:
        """Wait until a watch of a kind has begun."""
        assert await wait_until(lambda: any(kind == plural for kind, _, _ in self._watchers), 10.0, 0.005)

    async def asked_for_its_version(self) -> None:
        """Wait until it answers the next such request."""
        self.versions.clear()
        async with asyncio.timeout(10):
            await self.versions.wait()

    async def cuts(self, count: int) -> None:
        """Wait until that many connections were broken off."""
        assert await wait_until(lambda: self.cut >= count, 10.0, 0.005)

    def break_watches(self) -> None:
        for _, _, queue in self._watchers:
            queue.put_nowait(None)

    def _announce(self, change: str, key: Key, item: Manifest) -> None:
        event = {"type": change, "object": copy.deepcopy(item)}
        self._events.append((key[0], key[1], event))
        for plural, namespace, queue in self._watchers:
            if plural == key[0] and namespace in ("", key[1]):
                queue.put_nowait(event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self.down:
            self.cut += 1
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        while self.hangs:  # noqa: ASYNC110 - as a process that was stopped
            await asyncio.sleep(0.01)
        if request.path.rstrip("/") == "/version":
            self.versions.set()
            return failure(*self.refuse["version"]) if "version" in self.refuse else web.json_response(VERSION)
        if request.path == "/apis/metrics.k8s.io/v1beta1":
            return web.json_response({"resources": []}) if self.metrics else failure(404, "not found")
        return await self._answer(request)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        parts = request.path.strip("/").split("/")
        rest = parts[2:] if parts[0] == "api" else parts[3:]
        namespace = rest[1] if rest[0] == "namespaces" and len(rest) > 2 else ""
        plural, *more = rest[2:] if namespace else rest
        if more[1:] == ["eviction"]:
            return self._delete((plural, namespace, more[0]), {})
        if more[1:2] in (["log"], ["portforward"], ["exec"], ["proxy"]):
            return await self._connect(request, *more)
        if request.method == "POST":
            response = self._create(plural, namespace, await request.json())
            if self.lose_replies:
                self.lose_replies -= 1
                assert request.transport is not None
                request.transport.abort()
            return response
        if not more:
            return await self._list_or_watch(request, plural, namespace)
        key = (plural, namespace, more[0])
        return await self._answer_object(request, key)

    async def _connect(self, request: web.Request, name: str, how: str, *path: str) -> web.StreamResponse:
        """What a pod or a Service itself answers."""
        if how == "portforward":
            return await self._forward(request, name)
        if how == "exec":
            return await self._run(request, name)
        if how == "log":
            return web.Response(text="".join(f"{line}\n" for line in self.logs.get(name, [])))
        status = self.proxied.get("/".join([name, *path]), 503)
        return failure(status, "from the service") if status >= 400 else web.Response(status=status)

    async def _forward(self, request: web.Request, pod: str) -> web.StreamResponse:
        """Connect to a port of this machine, which stands for the loopback of every pod."""
        self.forwarded.append(pod)
        if "pods/portforward" in self.refuse:
            return failure(*self.refuse["pods/portforward"])
        port = int(request.query["ports"])
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        for channel in (b"\0", b"\1"):
            await websocket.send_bytes(channel + port.to_bytes(2, "little"))
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError as problem:
            await websocket.send_bytes(b"\1" + str(problem).encode())
            await websocket.close()
            return websocket

        async def answer() -> None:
            while data := await reader.read(1 << 16):
                await websocket.send_bytes(b"\0" + data)
            await websocket.close()

        async with background(answer()):
            async for message in websocket:
                writer.write(message.data[1:])
        writer.close()
        return websocket

    async def _run(self, request: web.Request, pod: str) -> web.StreamResponse:
        """Take a command for a container, and report its end."""
        self.commands.append((pod, request.query.getall("command")))
        socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await socket.prepare(request)
        if self.command_fails:
            await socket.send_bytes(b"\x02" + self.command_fails.encode())
        causes = {"details": {"causes": [{"reason": "ExitCode", "message": "1"}]}}
        status = (
            {"status": "Failure", "message": "exit code 1", **causes} if self.command_fails else {"status": "Success"}
        )
        await socket.send_bytes(b"\x03" + json.dumps(status).encode())
        await socket.close()
        return socket

    async def _answer_object(self, request: web.Request, key: Key) -> web.StreamResponse:
        if key not in self.objects:
            return failure(404, f'{key[0]} "{key[2]}" not found')
        if request.method == "DELETE":
            return self._delete(key, await request.json())
        if request.method == "PATCH":
            before = self.objects[key]
            after = self.put(key, merge(before, await request.json()))
            if key[0] == "deployments":
                self._control(key[1], after, restart=before["spec"]["template"] != after["spec"]["template"])
            return web.json_response(after)
        return web.json_response(self.objects[key])

    def _create(self, plural: str, namespace: str, manifest: Manifest) -> web.Response:
        if plural in self.refuse:
            return failure(*self.refuse[plural])
        key = (plural, namespace, manifest["metadata"]["name"])
        if plural == "services":
            manifest["spec"]["clusterIP"] = "127.0.0.1"
        if plural == "pods":
            manifest["status"] = self.pod_status(manifest)
        if plural == "horizontalpodautoscalers":
            manifest["status"] = {"conditions": [{"type": "ScalingActive", "status": str(self.metrics)}]}
        if key in self.objects:
            return failure(409, f'{plural} "{key[2]}" already exists')
        item = self.put(key, manifest)
        if plural in ("deployments", "statefulsets"):
            self._control(namespace, item)
        return web.json_response(item, status=201)

    def _control(self, namespace: str, workload: Manifest, restart: bool = False) -> None:
        """Be the controller of a workload."""
        name, labels = workload["metadata"]["name"], workload["metadata"]["labels"]
        if self.replica_set_conditions:
            status = {"conditions": self.replica_set_conditions}
            self.put(("replicasets", namespace, name), {"metadata": {"name": name, "labels": labels}, "status": status})
            return
        owned = [key for key in self.objects if key[:2] == ("pods", namespace) and key[2].startswith(f"{name}-")]
        cost = "controller.kubernetes.io/pod-deletion-cost"
        cheapest = sorted(owned, key=lambda key: self.objects[key]["metadata"].get("annotations", {}).get(cost, "0"))
        surplus = len(owned) if restart else max(0, len(owned) - workload["spec"]["replicas"])
        for key in cheapest[:surplus]:
            self.remove(key)
        ordinals = (
            number for number in itertools.count() if ("pods", namespace, f"{name}-{number}") not in self.objects
        )
        for _ in range(workload["spec"]["replicas"] - len(owned) + surplus):
            suffix = next(ordinals) if workload["kind"] == "StatefulSet" else f"x{next(self._numbers)}"
            template = copy.deepcopy(workload["spec"]["template"])
            template["metadata"]["name"] = f"{name}-{suffix}"
            template["spec"]["nodeName"] = "node1"
            for claim in workload["spec"].get("volumeClaimTemplates", ()):
                metadata = {"name": f"{claim['metadata']['name']}-{name}-{suffix}"}
                self._create("persistentvolumeclaims", namespace, {**claim, "metadata": metadata})  # or it is there
            self._create("pods", namespace, template)

    def _delete(self, key: Key, options: Manifest) -> web.Response:
        uid = options.get("preconditions", {}).get("uid")
        if uid not in (None, self.objects[key]["metadata"]["uid"]):
            return failure(409, "the uid differs")
        self.deletions.append((key, options))
        if key[2] in self.finalized:
            return web.json_response(self.objects[key])
        if self.node_lost and key[0] == "pods" and options.get("gracePeriodSeconds") != 0:
            return web.json_response({"kind": "Status", "status": "Success"})
        if key[0] == "persistentvolumeclaims":  # it goes with the pod that uses it
            self.objects[key]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
            return web.json_response(self.objects[key])
        self.remove(key)
        for other, item in list(self.objects.items()):
            unused = other[:2] == ("persistentvolumeclaims", key[1]) and other[2].endswith(f"-{key[2]}")
            if unused and "deletionTimestamp" in item["metadata"]:
                self.remove(other)
        if key[0] == "namespaces":
            for inside in [other for other in self.objects if other[1] == key[2]]:
                self.remove(inside)
        if key[0] in ("deployments", "statefulsets"):
            for pod in [other for other in self.objects if other[0] == "pods" and other[2].startswith(f"{key[2]}-")]:
                self.remove(pod)
        for (kind, where, _), item in list(self.objects.items()):
            if where == key[1] and kind in ("deployments", "statefulsets"):
                self._control(key[1], item)
        return web.json_response({"kind": "Status", "status": "Success"})

    async def _list_or_watch(self, request: web.Request, plural: str, namespace: str) -> web.StreamResponse:
        if request.query.get("watch") != "true":
            items = [
                item
                for (kind, where, _), item in self.objects.items()
                if kind == plural
                and namespace in ("", where)
                and selects(request.query.get("labelSelector", ""), item["metadata"].get("labels", {}))
            ]
            return web.json_response({"items": items, "metadata": {"resourceVersion": str(len(self._events))}})
        response = web.StreamResponse()
        await response.prepare(request)
        queue: asyncio.Queue[Manifest | None] = asyncio.Queue()
        for kind, where, missed in self._events[int(request.query["resourceVersion"]) :]:
            if kind == plural and namespace in ("", where):
                queue.put_nowait(missed)
        watcher = (plural, namespace, queue)
        self._watchers.append(watcher)
        try:
            while (event := await queue.get()) is not None:
                with contextlib.suppress(ConnectionError):  # the client has gone
                    await response.write(json.dumps(event).encode() + b"\n")
        finally:
            self._watchers.remove(watcher)
        return response


def selects(selector: str, labels: Manifest) -> bool:
    """Whether a label selector chooses an object: ``name``, or ``name=value``."""
    name, _, value = selector.partition("=")
    return not selector or (name in labels and value in ("", labels[name]))


def ready(pod: Manifest) -> Manifest:
    """The status of a pod that runs and is ready."""
    return {
        "podIP": "127.0.0.1",
        "conditions": [{"type": kind, "status": "True"} for kind in ("Ready", "ContainersReady")],
        "containerStatuses": [
            {
                "containerID": f"containerd://c-{pod['metadata']['name']}",
                "restartCount": 0,
                "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
            }
        ],
    }


def waiting(reason: str, message: str) -> Callable[[Manifest], Manifest]:
    """The status of pods whose container waits."""
    status = {"restartCount": 0, "state": {"waiting": {"reason": reason, "message": message}}}
    return lambda pod: {"containerStatuses": [status]}


def merge(item: Manifest, change: Manifest) -> Manifest:
    """A JSON merge patch (RFC 7396)."""
    result = dict(item)
    for name, value in change.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge(result.get(name, {}), value) if isinstance(value, dict) else value
    return result


def failure(code: int, message: str) -> web.Response:
    return web.json_response({"kind": "Status", "status": "Failure", "message": message, "code": code}, status=code)


@asynccontextmanager
async def serve_cluster(cluster: FakeCluster, kubeconfig: Path, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """Serve it for the length of a scope; yields its URL, and writes the kubeconfig for it."""
    runner = web.ServerRunner(web.Server(cluster.handle), shutdown_timeout=0.1)  # type: ignore[arg-type] # as aiohttp's own
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://{host}:{runner.addresses[0][1]}"
    named = {"name": "fake"}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "fake",
        "clusters": [{**named, "cluster": {"server": url}}],
        "users": [{**named, "user": {"token": "secret"}}],
        "contexts": [{**named, "context": {"cluster": "fake", "user": "fake"}}],
    }
    kubeconfig.write_text(json.dumps(config))  # noqa: ASYNC240 - a few bytes
    try:
        yield url
    finally:
        cluster.break_watches()
        await runner.cleanup()


@contextmanager
def serve_in_thread(cluster: FakeCluster, kubeconfig: Path, host: str = "127.0.0.1") -> Iterator[str]:
    """As ``serve_cluster``, for a command, which needs the main thread."""
    loop = asyncio.new_event_loop()
    serving = serve_cluster(cluster, kubeconfig, host)
    url = loop.run_until_complete(serving.__aenter__())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield url
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(serving.__aexit__(None, None, None))
        loop.close()
