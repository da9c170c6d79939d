"""The API server of a cluster: objects are read, written and watched as the JSON that it speaks.

``kr8s`` reads the kubeconfig, authenticates and makes the requests.
"""

import asyncio
import contextlib
import ipaddress
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import httpx_ws
import kr8s
from kr8s._api import Api  # the class of asyncio, which kr8s does not export
from kr8s.asyncio.objects import Pod

from harness.cluster.kubernetes.kinds import Kind, Manifest
from harness.cluster.kubernetes.kubeconfig import SETUP, Authentication, authenticate
from harness.common.background import background
from harness.common.errors import EnvironmentLacksError, HarnessError, UsageError
from harness.common.waiting import wait_until

_TIMEOUT_S = 5.0  # of a request that is not a watch
_RECONNECT_S = 0.2
_FORWARDED_BYTES = 1 << 16
#: What is read, and what is written.
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_MERGE = {"Content-Type": "application/merge-patch+json"}


class ApiUnreachableError(EnvironmentLacksError):
    """The API server does not answer."""


class KubernetesApi:
    """A connection to an API server.

    A request to a server that does not answer is repeated for ``patience_s``, and then raises ``ApiUnreachableError``.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self.patience_s = 0.0

    @property
    def context(self) -> str:
        """The name of the context."""
        return str(self._api.auth.active_context)

    @property
    def namespace(self) -> str:
        """The namespace of the context."""
        return str(self._api.namespace)

    @property
    def server(self) -> str:
        """The URL of the API server."""
        return str(self._api.auth.server)

    @property
    def is_local(self) -> bool:
        """Whether the API server listens on this machine's loopback."""
        host = urlsplit(self.server).hostname or ""
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(host).is_loopback
        return host == "localhost"

    async def version(self) -> str:
        """The version of Kubernetes, such as ``v1.34.4``."""
        return str((await self._request("GET", "its version", version="", base="/version"))["gitVersion"])

    async def offers(self, group: str, version: str) -> bool:
        """Whether there is this version of a group of the API, and what answers for it does."""
        try:
            await self._request("GET", f"API {group}/{version}", version=group, base="/apis", url=version)
        except (MissingError, ApiUnreachableError):
            return False
        return True

    async def create(self, kind: Kind, manifest: Manifest, namespace: str | None = None) -> Manifest:
        """Create an object; returns it as the server completed it.

        Raises:
            EnvironmentLacksError: the server refuses it: no permission, a quota, an admission rule.
        """
        name, content = manifest["metadata"]["name"], json.dumps(manifest)
        try:
            return await self._request("POST", f"{kind.name} {name}", **_address(kind, namespace), content=content)
        except _ExistsError:  # an earlier attempt created it, and its answer was lost
            return await self._request("GET", name, **_address(kind, namespace, name))

    async def get(self, kind: Kind, name: str, namespace: str | None = None) -> Manifest | None:
        """Read an object; None if there is none of that name."""
        try:
            return await self._request("GET", f"{kind.name} {name}", **_address(kind, namespace, name))
        except MissingError:
            return None

    async def read_all(
        self, kind: Kind, namespace: str | None = None, labels: str = "", fields: str = ""
    ) -> list[Manifest]:
        """Read all objects of a kind, or those that the selectors choose."""
        params = {"labelSelector": labels, "fieldSelector": fields}
        body = await self._request("GET", kind.plural, **_address(kind, namespace), params=params)
        return list(body["items"])

    async def patch(self, kind: Kind, name: str, change: Mapping[str, Any], namespace: str | None = None) -> Manifest:
        """Merge a change into an object; returns the result."""
        address, content = _address(kind, namespace, name), json.dumps(change)
        return await self._request("PATCH", f"{kind.name} {name}", **address, content=content, headers=_MERGE)

    async def delete(
        self, kind: Kind, name: str, namespace: str | None = None, *, grace_s: int | None = None, uid: str = ""
    ) -> bool:
        """Delete an object, after ``grace_s`` seconds if it is a pod; returns whether there was one.

        With a ``uid``, another object of the same name is left alone.
        """
        options: Manifest = {"propagationPolicy": "Background"}
        options |= {} if grace_s is None else {"gracePeriodSeconds": grace_s}
        options |= {"preconditions": {"uid": uid}} if uid else {}
        try:
            address, content = _address(kind, namespace, name), json.dumps(options)
            await self._request("DELETE", f"{kind.name} {name}", **address, content=content)
        except MissingError:
            return False
        except _ConflictError:
            if uid:  # there is another one of that name by now
                return False
            raise
        return True

    async def follow(self, kind: Kind, namespace: str, labels: str = "") -> AsyncGenerator[tuple[str, Manifest]]:
        """Yield ``ADDED``, ``MODIFIED`` or ``DELETED`` with each object of a kind, from now on and for ever.

        A watch that breaks off is resumed with a list, as soon as the server answers again: what vanished meanwhile is
        ``DELETED``.
        """
        known: dict[str, Manifest] = {}
        while True:
            try:
                address, params = _address(kind, namespace), {"labelSelector": labels}
                async with self._call("GET", kind.plural, **address, params=params) as response:
                    listed = response.json()
                version = listed["metadata"]["resourceVersion"]
                current = {item["metadata"]["uid"]: item for item in listed["items"]}
                for uid in [uid for uid in known if uid not in current]:
                    yield "DELETED", known.pop(uid)
                for uid, item in current.items():
                    yield "MODIFIED" if uid in known else "ADDED", item
                known = current
                async for change, item in self._watch(kind, namespace, labels, version):
                    known[item["metadata"]["uid"]] = item
                    if change == "DELETED":
                        del known[item["metadata"]["uid"]]
                    yield change, item
            except ApiUnreachableError:
                await asyncio.sleep(_RECONNECT_S)

    async def _watch(
        self, kind: Kind, namespace: str, labels: str, version: str
    ) -> AsyncIterator[tuple[str, Manifest]]:
        params = {"watch": "true", "resourceVersion": version, "labelSelector": labels}
        async with self._stream(f"a watch of {kind.plural}", kind.version, namespace, kind.plural, params) as lines:
            async for line in lines:
                event = json.loads(line)
                if event["type"] == "ERROR":  # the version is too old: the caller lists again
                    return
                yield event["type"], event["object"]

    @asynccontextmanager
    async def log(self, pod: str, namespace: str, since: str | None = None) -> AsyncIterator[AsyncIterator[str]]:
        """The lines of a pod's log as they come, each after its time; from the beginning, or from a time on."""
        params = {"follow": "true", "timestamps": "true", **({"sinceTime": since} if since else {})}
        async with self._stream(f"the log of {pod}", "v1", namespace, f"pods/{pod}/log", params) as lines:
            yield lines

    async def forward(self, connection: Connection, pod: str, namespace: str, port: int) -> None:
        """Pass bytes between a connection and a port on the loopback of a pod, until either side closes.

        Raises:
            EnvironmentLacksError: the server forwards nothing: no permission, or no such pod.
        """
        reader, writer = connection
        url, params = f"pods/{pod}/portforward", {"ports": str(port)}
        try:
            async with (
                self._api.open_websocket(namespace=namespace, url=url, params=params) as websocket,
                background(_receive(websocket, writer)),
            ):
                while data := await reader.read(_FORWARDED_BYTES):
                    await websocket.send_bytes(b"\0" + data)  # the channel for data of the first port
        except httpx_ws.WebSocketUpgradeError as problem:
            what = f"the API server forwards no connection to {pod}: status {problem.response.status_code}"
            raise EnvironmentLacksError(
                what, "--load-inside needs the rights to get and create pods/portforward"
            ) from None
        except (httpx_ws.HTTPXWSException, httpx.TransportError, OSError, ExceptionGroup):
            pass  # as if the pod had closed the connection
        finally:
            writer.close()

    async def ask_service(self, service: str, port: int, namespace: str, path: str) -> int | None:
        """The status with which a Service answers a path, asked by the API server; None if it does not answer in time.

        Raises:
            EnvironmentLacksError: the server may not be asked to.
        """
        url = f"services/{service}:{port}/proxy{path}"
        try:
            async with self._call(
                "GET",
                f"services/proxy of {service}",
                version="v1",
                namespace=namespace,
                url=url,
                raise_for_status=False,
            ) as response:
                return response.status_code
        except ApiUnreachableError:
            return None

    async def run_in_pod(self, pod: str, namespace: str, argv: Sequence[str]) -> None:
        """Run a command in the container of a pod that is ready, and wait for its end.

        Raises:
            ApiUnreachableError: the pod does not run it in time, or the server does not answer.
            EnvironmentLacksError: there is no such pod, or the command fails.
        """
        place = Pod({"metadata": {"name": pod, "namespace": namespace}}, namespace=namespace, api=self._api)
        with self._explained(f"pod {pod}"):
            async with asyncio.timeout(_TIMEOUT_S):
                done = await place.exec(list(argv), check=False)
        if done.returncode:
            reason = " ".join(done.stderr.decode(errors="replace").split())
            raise EnvironmentLacksError(f"{argv[0]} fails in {pod}: {reason}", "the log of the pod may say why")

    @asynccontextmanager
    async def _stream(
        self, what: str, version: str, namespace: str, url: str, params: Mapping[str, str]
    ) -> AsyncIterator[AsyncIterator[str]]:
        timeout = httpx.Timeout(_TIMEOUT_S, read=None)
        async with self._call(
            "GET", what, version=version, namespace=namespace, url=url, params=params, stream=True, timeout=timeout
        ) as response:
            yield response.aiter_lines()

    async def _request(self, method: str, what: str, **request: Any) -> Manifest:
        """Make a request and return the reply; while the server does not answer, again until the patience is over."""
        deadline, failed = time.monotonic() + self.patience_s, False
        while True:
            try:
                async with self._call(method, what, **request) as response:
                    body: Manifest = response.json()
                    return body
            except ApiUnreachableError:
                if time.monotonic() >= deadline:
                    raise
                failed = True
                await asyncio.sleep(_RECONNECT_S)
            except _ConflictError as conflict:
                raise (_ExistsError(conflict.message) if failed else conflict) from None

    @asynccontextmanager
    async def _call(self, method: str, what: str, **request: Any) -> AsyncIterator[httpx.Response]:
        request = {"timeout": _TIMEOUT_S, **request}
        with self._explained(what):
            async with self._api.call_api(method, **request) as response:
                yield response

    @contextlib.contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        """What goes wrong in the scope is raised as an error of the harness."""
        try:
            yield
        except kr8s.NotFoundError as problem:
            raise MissingError(f"there is no {what}: {problem}", "was it deleted by somebody else?") from problem
        except kr8s.ServerError as problem:
            raise _explain(problem, what, self.context) from problem
        except _UNREACHABLE as problem:
            reason = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
            raise ApiUnreachableError(f"the API server of {self.context} does not answer: {reason}", SETUP) from problem


async def _receive(websocket: httpx_ws.AsyncWebSocketSession, writer: asyncio.StreamWriter) -> None:
    """Pass on the data of ``pods/portforward``, and close ``writer`` at their end.

    They come on channel 0; a message on channel 1 is an error. The first message of each is the number of the port.
    """
    numbered: set[int] = set()
    try:
        while True:
            channel, *_ = message = await websocket.receive_bytes()
            if channel not in numbered:
                numbered.add(channel)
            elif channel == 0:
                writer.write(message[1:])
                await writer.drain()
            else:
                return
    except (httpx_ws.HTTPXWSException, OSError):
        return
    finally:
        writer.close()


#: What a request raises without an answer. A group is what httpx_ws raises, of what went wrong at once.
_UNREACHABLE = (
    kr8s.APITimeoutError,
    httpx.TransportError,
    httpx.StreamError,
    httpx_ws.HTTPXWSException,
    ExceptionGroup,
    OSError,
)


def _address(kind: Kind, namespace: str | None, name: str = "") -> Mapping[str, Any]:
    """Where an object is, or all of its kind, as kr8s takes it."""
    return {"version": kind.version, "namespace": namespace, "url": f"{kind.plural}/{name}" if name else kind.plural}


class MissingError(EnvironmentLacksError):
    """There is no such object."""


class ForbiddenError(EnvironmentLacksError):
    """The user has no permission."""


class _ConflictError(EnvironmentLacksError):
    """There is such an object already, or it is not the one that was meant."""


class _ExistsError(_ConflictError):
    """There is such an object already, after an attempt to create it whose answer was lost."""


#: What some statuses of a reply mean.
_REFUSALS: Mapping[int, tuple[type[EnvironmentLacksError], str, str]] = {
    404: (MissingError, "there is no {what}: {reason}", "was it deleted by somebody else?"),
    409: (_ConflictError, "the API server refuses {what}: {reason}", "was it changed by somebody else?"),
    401: (EnvironmentLacksError, "the API server of {context} does not accept the credentials", SETUP),
}


def _explain(problem: kr8s.ServerError, what: str, context: str) -> HarnessError:
    """The server's refusal as an error of the harness."""
    status = problem.response.status_code if problem.response is not None else 0
    reason = str(problem).splitlines()[0]
    if status in _REFUSALS:
        error, message, hint = _REFUSALS[status]
        return error(message.format(what=what, context=context, reason=reason), hint)
    if "exceeded quota" in reason:
        return EnvironmentLacksError(f"no {what}: {reason}", "raise the quota, or use fewer or smaller replicas")
    if status == 403:
        return ForbiddenError(f"no permission: {reason}", "docs/kubernetes.md lists the rights that a run needs")
    if status >= 500:
        return ApiUnreachableError(f"the API server of {context} fails: {reason}", SETUP)
    return EnvironmentLacksError(
        f"the API server refuses {what}: {reason}", "docs/kubernetes.md says what a run creates"
    )


class _Client(Api):
    """The client of kr8s, with credentials that are given to it."""

    def __init__(self, authentication: Authentication) -> None:
        # kr8s.asyncio.api() may return what was made under a loop that has ended: it knows loops by their id.
        super().__init__(bypass_factory=True)
        self.auth = authentication


async def connect_api(context: str | None = None) -> KubernetesApi:
    """Connect to the API server of a context; None is the current one.

    Raises:
        UsageError: the kubeconfig has no such context.
        EnvironmentLacksError: no cluster is configured, the credentials cannot be read, or the server does not answer.
    """
    authentication = authenticate(context)
    try:
        return KubernetesApi(await _Client(authentication))
    except (kr8s.APITimeoutError, httpx.TransportError, OSError) as problem:
        raise ApiUnreachableError(f"the API server does not answer: {problem}", SETUP) from problem
    except kr8s.ServerError as problem:
        raise _explain(problem, "its version", authentication.active_context) from problem


def require_allowed(api: KubernetesApi, allowed: tuple[str, ...]) -> None:
    """Check that this cluster may be used: it is on this machine, or its context is allowed by name.

    Raises:
        UsageError: it is neither.
    """
    if not api.is_local and api.context not in allowed:
        raise UsageError(
            f"the context {api.context} leads to {api.server}, which is not this machine",
            f"if you may load that cluster: --allow-context {api.context}",
        )


async def wait_until_gone(api: KubernetesApi, kind: Kind, name: str, namespace: str | None, timeout_s: float) -> bool:
    """Wait until there is no such object; whether that happened in time. The server may be away for a while."""

    async def is_gone() -> bool:
        with contextlib.suppress(ApiUnreachableError):
            return await api.get(kind, name, namespace) is None
        return False

    return await wait_until(is_gone, timeout_s, _RECONNECT_S)
