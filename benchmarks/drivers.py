"""The drivers that are compared, and how to start each on one core to send as fast as it can."""

import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from harness.cluster.supervisor import ProcessSpec, Supervisor
from harness.runner.driver import start_driver
from harness.scenario.arm import Arm
from harness.scenario.design import Design
from harness.scenario.services import BuiltIn
from harness.scenario.workload import Sessions

USERS = Path(__file__).with_name("users")
OURS = "harness"
#: Longer than any measurement; each driver is stopped after its measurement.
_MAX_DURATION_S = 120


@dataclass(frozen=True)
class Trial:
    """One driver against one server: the URL, the number of connections, and the core of the driver."""

    url: str
    connections: int
    core: int
    scratch: Path

    @property
    def host(self) -> str:
        """The URL without its path."""
        return self.url.removesuffix(urlsplit(self.url).path)


@dataclass(frozen=True)
class Peer:
    """Another driver. ``argv`` returns its arguments for a trial; ``install`` is the command that installs it."""

    name: str
    program: str
    argv: Callable[[Trial], tuple[str, ...]]
    install: str

    @property
    def key(self) -> str:
        """Its name in the JSON object."""
        keys = {FAST_HTTP.name: "fasthttp", FAST_HTTP_CHECKED.name: "fasthttp_checked", HTTP.name: "http"}
        return keys.get(self.name, self.name)

    @property
    def is_installed(self) -> bool:
        """Whether it is installed on this machine."""
        return shutil.which(self.program) is not None

    @asynccontextmanager
    async def start(self, trial: Trial, supervisor: Supervisor) -> AsyncIterator[int]:
        """Run the driver for the length of a scope; yields its pid."""
        argv = (shutil.which(self.program) or self.program, *self.argv(trial))
        env = {"GOMAXPROCS": "1", "TARGET": trial.url}
        log = trial.scratch / f"{self.name}.log"
        child = await supervisor.spawn(ProcessSpec(self.name, "driver", argv, log, env, cpus=(trial.core,)))
        try:
            yield child.pid
        finally:
            await child.kill()


class Ours:
    """The driver of the harness, as in every run: inside Locust, judging every response and recording every request."""

    name = OURS
    is_installed = True
    install = ""

    @asynccontextmanager
    async def start(self, trial: Trial, supervisor: Supervisor) -> AsyncIterator[int]:
        """Run the load process for the length of a scope; yields its pid."""
        load = Sessions(concurrent=trial.connections, duration=f"{_MAX_DURATION_S}s", warmup="0s")
        arm = Arm(Design("fixed", BuiltIn("echo", state="none")), "control", load, ())
        spool, log = trial.scratch / "spool", trial.scratch / "harness.log"
        shutil.rmtree(spool, ignore_errors=True)
        async with start_driver(arm, USERS / "ours.py", spool=spool, log=log, supervisor=supervisor, seed=1) as driver:
            await driver.wait_until_ready()
            driver.start(trial.host)
            yield driver.pid
            driver.stop()
            await driver.wait_until_stopped()


def _locust(file: str) -> Callable[[Trial], tuple[str, ...]]:
    def argv(trial: Trial) -> tuple[str, ...]:
        users = str(trial.connections)
        options = ("--headless", "--only-summary", "-u", users, "-r", users, "--host", trial.host)
        return ("-m", "locust", "-f", str(USERS / file), *options)

    return argv


def _vegeta(trial: Trial) -> tuple[str, ...]:
    targets, workers = trial.scratch / "vegeta.targets", str(trial.connections)
    targets.write_text(f"GET {trial.url}\n")
    rate = ("-rate", "0", "-workers", workers, "-max-workers", workers)
    return ("attack", "-targets", str(targets), *rate, "-duration", f"{_MAX_DURATION_S}s", "-output", "/dev/null")


def _k6(trial: Trial) -> tuple[str, ...]:
    length = ("--vus", str(trial.connections), "--duration", f"{_MAX_DURATION_S}s")
    return ("run", "-q", "--no-usage-report", *length, str(USERS / "k6.js"))


FAST_HTTP = Peer("FastHttpUser", sys.executable, _locust("fast_http.py"), "pip install locust")
FAST_HTTP_CHECKED = Peer(
    "FastHttpUser that checks and records", sys.executable, _locust("fast_http_checked.py"), "pip install locust"
)
HTTP = Peer("HttpUser", sys.executable, _locust("http.py"), "pip install locust")
WRK = Peer("wrk", "wrk", lambda t: ("-t1", f"-c{t.connections}", f"-d{_MAX_DURATION_S}s", t.url), "apt-get install wrk")
HEY = Peer(
    "hey", "hey", lambda t: ("-z", f"{_MAX_DURATION_S}s", "-c", f"{t.connections}", t.url), "apt-get install hey"
)
AB = Peer(
    "ab",
    "ab",
    lambda t: ("-k", "-t", f"{_MAX_DURATION_S}", "-n", "20000000", "-c", f"{t.connections}", t.url),
    "apt-get install apache2-utils",
)
K6 = Peer("k6", "k6", _k6, "go install go.k6.io/k6@latest")
VEGETA = Peer("vegeta", "vegeta", _vegeta, "go install github.com/tsenart/vegeta/v12@latest")
OHA = Peer(
    "oha",
    "oha",
    lambda t: ("--no-tui", "-z", f"{_MAX_DURATION_S}s", "-c", f"{t.connections}", t.url),
    "cargo install oha",
)
WRK2 = Peer(
    "wrk2",
    "wrk2",
    lambda t: ("-t1", f"-c{t.connections}", f"-d{_MAX_DURATION_S}s", "-R1000000", t.url),
    "build it from source and name it wrk2",
)
PEERS = (FAST_HTTP, FAST_HTTP_CHECKED, HTTP, WRK, HEY, AB, K6, VEGETA, OHA, WRK2)
