"""The controls of every bench: the judge against seeded bugs, and the driver against a service that does nothing."""

from typing import Any

import aiohttp

from harness.bench import Bench
from harness.bundled import scenarios_home
from harness.fold import fold
from harness.runs import Run
from harness.scenario import Arm, Balancing, Design, Sessions
from harness.topology.topology import Topology

BUGS = "drop:0.12,duplicate:0.12,stale:0.12,leak:0.12,rollback:0.12,lose:0.12"


def arms(seed: int) -> tuple[Arm, Arm]:
    """The echo and the calibration."""
    plain = Balancing("round_robin")
    faulty = Design(
        "calibration", state="faulty", balancing=plain, replicas=1, options={"bugs": BUGS, "bug_seed": str(seed)}
    )
    return (
        Arm(Design("echo", app="echo", state="none", balancing=plain, replicas=1), "control",
            Sessions(concurrent=16, duration="1.5s", warmup="500ms"), ()),
        Arm(faulty, "control", Sessions(concurrent=60, duration="2s", warmup="0s"), ()),
    )  # fmt: skip


async def echo(bench: Bench, into: Run) -> dict[str, Any]:
    """Throughput and latency of the driver against a service that does nothing: the floor under this run's figures."""
    arm = arms(into.plan.seed)[0]
    files = into.arm("echo", "control")
    async with bench.recording(arm, files) as told:
        await bench.measure(told, scenarios_home() / "echo.py")
    figures = fold(files.observations("echo", "control", {"warmup_s": arm.warmup, "duration_s": arm.seconds}))
    return {
        "requests": figures.requests.ok,
        "throughput": figures.throughput.mean,
        "p50_ms": figures.service_ms.p50,
        "p99_ms": figures.service_ms.p99,
        "driver_cpu": figures.resources.driver_cpu,
    }


async def calibration(bench: Bench, into: Run) -> dict[str, str]:
    """The bug that each owner's session really suffered, by the faulty target's own account; its ledgers are kept."""
    truth: dict[str, str] = {}

    async def ask(topology: Topology) -> None:
        member = topology.replicas[0].member
        async with aiohttp.ClientSession() as http, http.get(f"http://{member.host}:{member.port}/truth") as reply:
            told = await reply.json()
        truth.update({one["owner"]: one["bug"] if one["struck"] else "none" for one in told["sessions"]})

    async with bench.recording(arms(into.plan.seed)[1], into.arm("calibration", "control")) as told:
        await bench.measure(told, scenarios_home() / "calibration.py", ask)
    return truth
