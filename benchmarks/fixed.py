"""nginx with one fixed response, and the count of its responses: the same measurement for every driver."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psutil

from benchmarks.probes import is_listening
from harness.cluster.balancers import nginx
from harness.cluster.balancers.launch import wait_for_process
from harness.cluster.supervisor import ProcessSpec, Supervisor
from harness.common.ports import LOOPBACK, Reservation

#: A session without writes, owned by the user of the request: what the ledgers expect, so they only need to compare.
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
    """How many responses nginx had written at ``t_ns`` (CLOCK_MONOTONIC)."""

    responses: int
    t_ns: int

    def rate(self, earlier: "Count") -> float:
        """Responses per second since an earlier count."""
        return (self.responses - earlier.responses) / (self.t_ns - earlier.t_ns) * 1e9


class FixedResponse:
    """A running nginx."""

    def __init__(self, port: int, pid: int) -> None:
        self.url = f"http://{LOOPBACK}:{port}/cart"
        self._pid = pid

    def count(self) -> Count:
        """Count the write calls, as the kernel does: nginx writes each response with one call, and nothing else."""
        written = 0
        for worker in psutil.Process(self._pid).children():
            written += int(worker.io_counters().write_count)
        return Count(written, time.monotonic_ns())


@asynccontextmanager
async def fixed_response(supervisor: Supervisor, core: int) -> AsyncIterator[FixedResponse]:
    """Run an nginx with one worker on one core, for the length of a scope.

    Raises:
        EnvironmentLacksError: nginx is not installed.
        HarnessError: it does not start.
    """
    home = supervisor.scratch / "fixed"
    (home / "temp").mkdir(parents=True)
    with Reservation() as reservation:
        config = home / "nginx.conf"
        config.write_text(_CONFIG.format(host=LOOPBACK, port=reservation.port, body=BODY))
        argv = (str(nginx.binary()), "-e", "stderr", "-p", str(home), "-c", str(config))
        child = await supervisor.spawn(ProcessSpec("nginx", "balancer", argv, home / "nginx.log", cpus=(core,)))
        server = FixedResponse(reservation.port, child.pid)
        await wait_for_process(
            lambda: is_listening(reservation.port), child, f"nginx to listen on port {reservation.port}"
        )
        try:
            yield server
        finally:
            await child.stop()
