"""nginx with one fixed reply, and its own count of what it answered: the same meter for every driver."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psutil

from harness.cluster.balancers import nginx
from harness.cluster.balancers.launch import wait_for_process
from harness.cluster.supervisor import ProcessSpec, Supervisor
from harness.common.ports import LOOPBACK, Reservation

#: One session nobody has written to, of whoever asks: what the ledgers expect, so that looking is all their work.
BODY = (
    '{"session":{"birth":"9f86d081884c7d65","owner":"$http_x_user","count":0,"last":"","digest":"0000000000000000"},'
    '"items":[]}'
)
_CONFIG = """\
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr warn;
worker_rlimit_nofile 20000;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    client_body_temp_path temp; proxy_temp_path temp; fastcgi_temp_path temp; uwsgi_temp_path temp; scgi_temp_path temp;
    keepalive_timeout 1h;
    keepalive_time 24h;
    keepalive_requests 1000000000;
    server {{
        listen {host}:{port} reuseport backlog=4096;
        location / {{
            default_type application/json;
            add_header X-Replica r0;
            add_header X-Boot 7d3f1a5c9b2e4f60;
            return 200 '{body}';
        }}
    }}
}}
"""


@dataclass(frozen=True)
class Count:
    """How many replies nginx had written at a time (ns, CLOCK_MONOTONIC)."""

    replies: int
    t_ns: int

    def rate(self, earlier: "Count") -> float:
        """Replies a second since."""
        return (self.replies - earlier.replies) / (self.t_ns - earlier.t_ns) * 1e9


class FixedReply:
    """A running nginx."""

    def __init__(self, port: int, pid: int) -> None:
        self.url = f"http://{LOOPBACK}:{port}/cart"
        self._address = (LOOPBACK, port)
        self._pid = pid

    async def answers(self) -> bool:
        """Whether it is up."""
        try:
            _, writer = await asyncio.open_connection(*self._address)
        except OSError:
            return False
        writer.close()
        return True

    def count(self) -> Count:
        """By the kernel's own account: nginx writes each reply with one call, and only those."""
        written = 0
        for worker in psutil.Process(self._pid).children():
            written += int(worker.io_counters().write_count)
        return Count(written, time.monotonic_ns())


@asynccontextmanager
async def fixed_reply(supervisor: Supervisor, core: int) -> AsyncIterator[FixedReply]:
    """An nginx of one worker on one core, for the length of a scope.

    Raises:
        EnvironmentLacksError: there is no nginx.
        HarnessError: it does not come up.
    """
    home = supervisor.scratch / "fixed"
    (home / "temp").mkdir(parents=True)
    with Reservation() as held:
        config = home / "nginx.conf"
        config.write_text(_CONFIG.format(host=LOOPBACK, port=held.port, body=BODY))
        argv = (str(nginx.binary()), "-e", "stderr", "-p", str(home), "-c", str(config))
        child = await supervisor.spawn(ProcessSpec("nginx", "balancer", argv, home / "nginx.log", cpus=(core,)))
        server = FixedReply(held.port, child.pid)
        await wait_for_process(server.answers, child, f"nginx to listen on port {held.port}")
        try:
            yield server
        finally:
            await child.stop()
