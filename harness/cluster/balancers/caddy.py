"""Caddy: membership by posting its whole configuration, active and passive checks, and the evidence in its error log.

A new configuration starts a new server inside Caddy: idle connections are closed, and a request that is being sent on
one of them at that moment gets no answer.
"""

import contextlib
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.cluster.balancers.launch import (
    GENERATION,
    Process,
    Setup,
    program,
    read_refusals,
    replace_file,
    serves,
    socket_in,
    start_process,
)
from harness.cluster.balancers.membership import ConfigReloadBalancer, Upstream
from harness.cluster.capabilities import Balancer, Evidence, Refusal
from harness.cluster.supervisor import Child
from harness.common.durations import parse_seconds
from harness.common.errors import HarnessError, UntrustedError
from harness.common.http_client import ask
from harness.common.pip_line import extra_line
from harness.scenario.balancing import Balancing

NAME = "caddy"
SUPPORTS = frozenset({"round_robin", "least_connections", "cookie", "hash_header", "source"})
LASTING = frozenset({"cookie"})
LACKS = frozenset({"drain", "states", "seamless"})
INSTALL = extra_line("caddy")
VERSION = "version"
COOKIE = "HARNESS_LB"

_TIMEOUT_S = 5.0

Json = dict[str, Any]


def binary() -> Path:
    """The pip wheel's Caddy, or that on PATH.

    Raises:
        EnvironmentLacksError: neither is there.
    """
    return program(NAME, INSTALL)


def config(setup: Setup, upstreams: Iterable[Upstream], generation: int) -> Json:
    """The whole configuration; draining members are left out: Caddy has no such state."""
    members = [upstream.member for upstream in upstreams if not upstream.draining]
    dials = {f"{member.host}:{member.port}": member.name for member in members}
    naming = {
        "handler": "map",
        "source": "{http.reverse_proxy.upstream.hostport}",
        "destinations": ["{replica}"],
        "mappings": [{"input": dial, "outputs": [name]} for dial, name in dials.items()],
    }
    own = {"handler": "static_response", "body": str(generation)}
    server = {
        "listen": [f"{setup.starter.listen}:{setup.port}"],
        "protocols": ["h1"],
        "automatic_https": {"disable": True},
        "routes": [
            {"match": [{"path": [GENERATION]}], "handle": [own], "terminal": True},
            {"handle": [*([naming] if setup.balancing.names else []), _proxy(setup.balancing, dials)]},
        ],
    }
    return {
        "admin": {"listen": f"unix/{_socket(setup)}", "config": {"persist": False}},
        "logging": _logging(setup),
        "apps": {"http": {"grace_period": "5s", "servers": {"clients": server}}},
    }


def _logging(setup: Setup) -> Json:
    writer = {"output": "file", "filename": str(_log(setup)), "roll": False}
    return {
        "logs": {
            "default": {"level": "ERROR", "exclude": ["http.log.error", "http.handlers.reverse_proxy"]},
            "abnormal": {"writer": writer, "encoder": {"format": "json"}, "include": ["http.log.error"]},
        }
    }


def _log(setup: Setup) -> Path:
    return setup.logs.resolve() / "caddy.abnormal.jsonl"


def _socket(setup: Setup) -> Path:
    return socket_in(setup, "caddy.sock")


def _proxy(balancing: Balancing, dials: Mapping[str, str]) -> Json:
    health = balancing.health
    interval = round(parse_seconds(health.interval) * 1e9)
    active = {
        "uri": health.path,
        "interval": interval,
        "timeout": interval,
        "fails": health.fall,
        "passes": health.rise,
    }
    # A retry goes to another member only once the failed one counts as down: after its first failure.
    passive = {"fail_duration": interval * health.fall, "max_fails": 1}
    return {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": dial} for dial in dials],
        "load_balancing": {
            "selection_policy": _policy(balancing),
            "retries": balancing.retries if balancing.redispatch else 0,
            "try_interval": "5ms",
            "retry_match": [{"method": ["NONE"]}],  # nothing is sent twice, not even a GET
        },
        "health_checks": {
            **({"active": active} if health.path else {}),
            **({"passive": passive} if balancing.redispatch and balancing.retries else {}),
        },
        "transport": {"protocol": "http", "dial_timeout": "1s", "keep_alive": {"idle_timeout": "30s"}},
        "stream_close_delay": "10m",  # WebSockets survive a change of the configuration
        **({"headers": _NAME_HEADER} if balancing.names else {}),
    }


#: On members' responses alone: Caddy's own errors do not pass the proxy's rules.
_NAME_HEADER = {"response": {"set": {"X-Replica": ["{replica}"]}}}


def _policy(balancing: Balancing) -> Json:
    """How a member is chosen: its hashes are rendezvous hashes, which are consistent."""
    lasts = {} if balancing.lasts_s is None else {"max_age": round(balancing.lasts_s * 1e9)}
    policies: Mapping[str, Json] = {
        "round_robin": {"policy": "round_robin"},
        "least_connections": {"policy": "least_conn"},
        "cookie": {"policy": "cookie", "name": COOKIE, **lasts, "fallback": {"policy": "round_robin"}},
        "hash_header": {"policy": "header", "field": balancing.key},
        "source": {"policy": "ip_hash"},
    }
    return policies[balancing.policy]


@dataclass(frozen=True)
class CaddyAdmin:
    """Caddy's admin interface, on a Unix socket."""

    path: Path

    async def load(self, content: Json) -> None:
        """Load a configuration; returns when it is in effect.

        Raises:
            HarnessError: Caddy does not answer, or rejects it.
        """
        try:
            reply = await ask("http://caddy/load", method="POST", body=content, timeout_s=_TIMEOUT_S, socket=self.path)
        except OSError as problem:
            raise UntrustedError(f"Caddy does not answer on {self.path}: {problem}", "its log says why") from problem
        if reply.status != 200:
            raise HarnessError("Caddy rejected its configuration", reply.text.strip())


class Caddy(ConfigReloadBalancer):
    """A running Caddy in front of the members. Made by ``start``."""

    name = NAME

    def __init__(self, setup: Setup, process: Process) -> None:
        super().__init__(setup, process)
        self._generation = 0

    async def _apply(self, upstreams: Mapping[str, Upstream]) -> None:
        self._generation += 1
        content = config(self._setup, upstreams.values(), self._generation)
        await CaddyAdmin(_socket(self._setup)).load(content)
        replace_file(_file(self._setup), content)
        self._upstreams = upstreams

    async def states(self) -> Mapping[str, str]:
        """Empty: Caddy reports how many requests failed, not which members it considers down."""
        return {}

    async def reload(self) -> Evidence:
        """Load its configuration again, with a new number: confirmed when that is served."""
        await self._apply(self._upstreams)
        return Evidence(await serves(self._setup, self._generation), {"pid": self.pid, "generation": self._generation})

    def refusals(self) -> tuple[Refusal, ...]:
        """Writes that Caddy answered itself without a connection to a member; one entry per refused request."""
        return read_refusals(_log(self._setup), refusals_in)


def refusals_in(lines: Iterable[str]) -> Iterable[Refusal]:
    """The refusals among log lines: failed connects of requests with a body.

    A request without a body, but with an Idempotency-Key, is retried by Go's client on its own: its failed connect may
    be the second attempt, so it proves nothing.
    """
    for line in lines:
        with contextlib.suppress(ValueError, KeyError):  # a line that is still being written, or no operation's id
            entry = json.loads(line)
            headers = entry["request"]["headers"]
            op = int(headers["Idempotency-Key"][0], 16)
            unsent = entry["msg"].startswith("dial tcp ") or entry["msg"] == "no upstreams available"
            if unsent and headers.get("Content-Length") != ["0"]:
                yield Refusal(op, f"{entry['msg']} ({entry['status']})")


def _file(setup: Setup) -> Path:
    return setup.scratch.resolve() / "caddy.json"


@contextlib.asynccontextmanager
async def start(setup: Setup) -> AsyncIterator[Balancer]:
    """Caddy in front of the members until the scope ends.

    Raises:
        EnvironmentLacksError: no Caddy, the port is taken, or the scratch directory's path is too long for a socket.
        HarnessError: it does not start.
    """
    replace_file(_file(setup), config(setup, map(Upstream, setup.members), 0))

    async def ready(_: Child) -> bool:
        return await serves(setup)

    async with start_process(setup, NAME, (str(binary()), "run", "--config", str(_file(setup))), ready) as process:
        yield Caddy(setup, process)
