"""Traefik: members in a file that it watches, its own checks, and retries of requests that were not sent.

What it lacks is not emulated: it cannot drain a member or name the one that answered, it retries a pinned client's
request with the same member, and its log does not distinguish a failed connect from a request that was sent.
"""

import contextlib
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.cluster.balancers.launch import (
    Setup,
    program,
    read_refusals,
    replace_file,
    start_process,
    wait_for_process,
)
from harness.cluster.balancers.membership import ConfigReloadBalancer, Upstream
from harness.cluster.capabilities import Balancer, Evidence, Refusal
from harness.cluster.supervisor import Child
from harness.common.durations import parse_seconds
from harness.common.errors import UntrustedError
from harness.common.http_client import ask
from harness.common.pip_line import extra_line
from harness.scenario.balancing import Balancing

NAME = "traefik"
SUPPORTS = frozenset({"round_robin", "least_connections", "cookie", "source"})
LASTING = frozenset({"cookie"})
LACKS = frozenset({"drain", "names", "redispatch", "evidence"})
INSTALL = extra_line("traefik")
VERSION = "version"
COOKIE = "HARNESS_LB"

_OWN = "/harness-lb"  # where its API answers, on the clients' port
_SERVICE = f"{_OWN}/api/http/services/replicas@file"

Json = dict[str, Any]


def binary() -> Path:
    """The pip wheel's Traefik, or that on PATH.

    Raises:
        EnvironmentLacksError: neither is there.
    """
    return program(NAME, INSTALL)


def static(setup: Setup) -> Json:
    """The configuration at its start. Changes take effect after 0.1 s; by default it would collect them for two."""
    return {
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "log": {"level": "WARN"},
        "entryPoints": {
            "clients": {
                "address": f"{setup.starter.listen}:{setup.port}",
                "reusePort": True,
                "transport": {
                    "lifeCycle": {"graceTimeOut": "1s"},
                    "respondingTimeouts": {"readTimeout": "0s", "idleTimeout": "60s"},
                },
            }
        },
        "api": {"basePath": _OWN, "dashboard": False},
        "providers": {"providersThrottleDuration": "100ms", "file": {"filename": str(_dynamic(setup)), "watch": True}},
        "accessLog": {
            "filePath": str(_log(setup)),
            "format": "json",
            "filters": {"statusCodes": ["500-599"]},
            "fields": {"headers": {"defaultMode": "drop", "names": {"Idempotency-Key": "keep"}}},
        },
    }


def _dynamic(setup: Setup) -> Path:
    return setup.scratch.resolve() / "dynamic.yaml"


def _log(setup: Setup) -> Path:
    return setup.logs.resolve() / "traefik.abnormal.jsonl"


def dynamic(setup: Setup, upstreams: Iterable[Upstream]) -> Json:
    """The members and how they are balanced, as in the file that Traefik watches; draining members are left out."""
    balancing = setup.balancing
    members = [upstream.member for upstream in upstreams if not upstream.draining]
    lasts = {} if balancing.lasts_s is None else {"maxAge": round(balancing.lasts_s)}
    return {
        "http": {
            "routers": {
                "replicas": {
                    "rule": "PathPrefix(`/`)",
                    "entryPoints": ["clients"],
                    "service": "replicas",
                    "middlewares": ["again"],
                },
                "own": {"rule": f"PathPrefix(`{_OWN}/`)", "entryPoints": ["clients"], "service": "api@internal"},
            },
            "middlewares": {"again": {"retry": {"attempts": balancing.retries + 1, "initialInterval": "1ms"}}},
            "serversTransports": {"replicas": {"forwardingTimeouts": {"dialTimeout": "1s"}}},
            "services": {
                "replicas": {
                    "loadBalancer": {
                        "servers": [{"url": f"http://{member.host}:{member.port}"} for member in members],
                        "serversTransport": "replicas",
                        "strategy": {"least_connections": "p2c", "source": "hrw"}.get(balancing.policy, "wrr"),
                        **(
                            {"sticky": {"cookie": {"name": COOKIE, "path": "/", **lasts}}}
                            if balancing.policy == "cookie"
                            else {}
                        ),
                        **_check(balancing),
                    }
                }
            },
        }
    }


def _check(balancing: Balancing) -> Json:
    """One failed check is enough: Traefik has no ``fall`` and ``rise``, and cannot check for an open port alone."""
    health = balancing.health
    if health.path is None:
        return {}
    interval = f"{round(parse_seconds(health.interval) * 1000)}ms"
    check = {"path": health.path, "interval": interval, "unhealthyInterval": interval, "timeout": interval}
    return {"healthCheck": check}


class Traefik(ConfigReloadBalancer):
    """A running Traefik in front of the members. Made by ``start``."""

    name = NAME

    async def _apply(self, upstreams: Mapping[str, Upstream]) -> None:
        wanted = {_address(upstream) for upstream in upstreams.values() if not upstream.draining}

        async def knows_members() -> bool:
            service = await _service(self._setup)
            if service is None:
                return False
            return {server["url"] for server in service["loadBalancer"].get("servers") or ()} == wanted

        replace_file(_dynamic(self._setup), dynamic(self._setup, upstreams.values()))
        await wait_for_process(knows_members, self._process.child, "Traefik to know its members")
        self._upstreams = upstreams

    async def states(self) -> Mapping[str, str]:
        """``up`` or ``down`` according to its checks; a member to be drained is removed, and reported as ``drain``."""
        service = await _service(self._setup)
        if service is None:
            raise UntrustedError("Traefik does not answer", "its log says why")
        status = service.get("serverStatus", {})
        return {
            name: "drain" if upstream.draining else status.get(_address(upstream), "UP").lower()
            for name, upstream in self._upstreams.items()
        }

    async def reload(self) -> Evidence:
        """A new process takes over the port with the current members: Traefik has no other reload."""
        return await self._process.replace()

    def refusals(self) -> tuple[Refusal, ...]:
        """Writes that it answered itself because no member was up; one entry per refused request."""
        return read_refusals(_log(self._setup), refusals_in)


def _address(upstream: Upstream) -> str:
    return f"http://{upstream.member.host}:{upstream.member.port}"


def refusals_in(lines: Iterable[str]) -> Iterable[Refusal]:
    """The refusals among log lines: responses without a chosen member."""
    for line in lines:
        with contextlib.suppress(ValueError, KeyError):  # a line that is still being written, or no operation's id
            entry = json.loads(line)
            op = int(entry["request_Idempotency-Key"], 16)
            if entry["DownstreamStatus"] == 503 and not entry.get("ServiceAddr"):
                yield Refusal(op, "no member was up (503)")


async def _service(setup: Setup) -> Json | None:
    """The members as its API reports them; None if it does not answer."""
    try:
        reply = await ask(setup.reached_url(_SERVICE))
        service: Json | None = json.loads(reply.text) if reply.status == 200 else None
    except (OSError, ValueError):
        return None
    return service


@contextlib.asynccontextmanager
async def start(setup: Setup) -> AsyncIterator[Balancer]:
    """Traefik in front of the members until the scope ends.

    Raises:
        EnvironmentLacksError: no Traefik, or the port is taken.
        HarnessError: it does not start.
    """
    file = setup.scratch.resolve() / "traefik.yaml"
    replace_file(file, static(setup))
    replace_file(_dynamic(setup), dynamic(setup, map(Upstream, setup.members)))

    async def ready(_: Child) -> bool:
        return await _service(setup) is not None

    async with start_process(setup, NAME, (str(binary()), f"--configfile={file}"), ready) as process:
        yield Traefik(setup, process)
