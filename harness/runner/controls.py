"""The controls of every run: the judge against seeded bugs, and the driver against a service that does nothing."""

from harness.cluster.topology import Topology
from harness.common.bundled import scenarios_home
from harness.common.http_client import ask_json
from harness.results.run import Run
from harness.runner.arm_runner import ArmRunner
from harness.scenario.arm import Arm
from harness.scenario.balancing import Balancing
from harness.scenario.design import Design
from harness.scenario.services import BuiltIn
from harness.scenario.workload import Sessions

BUGS = "drop:0.12,duplicate:0.12,stale:0.12,leak:0.12,rollback:0.12,lose:0.12"
_PLAIN = Balancing("round_robin")
_TRUTH_TIMEOUT_S = 10.0

#: The floor under a round's figures: the driver against a service that does nothing.
ECHO = Arm(
    Design("echo", BuiltIn("echo", state="none"), _PLAIN, replicas=1),
    "control",
    Sessions(concurrent=16, duration="1.5s", warmup="500ms"),
    (),
)
ECHO_USERS = scenarios_home() / "echo.py"


def calibration_arm(seed: int) -> Arm:
    """The judge's test: one replica with seeded bugs."""
    options = {"bugs": BUGS, "bug_seed": str(seed)}
    design = Design("calibration", BuiltIn(state="faulty", options=options), _PLAIN, replicas=1)
    return Arm(design, "control", Sessions(concurrent=60, duration="2s", warmup="0s"), ())


async def calibrate(runner: ArmRunner, into: Run) -> dict[str, str]:
    """Measure the calibration arm. Returns the bug that each owner's session really had, as reported by the target."""
    truth: dict[str, str] = {}

    async def read_truth(topology: Topology) -> None:
        host, port = topology.replicas[0].member.address_from_host
        sessions = (await ask_json(f"http://{host}:{port}/truth", timeout_s=_TRUTH_TIMEOUT_S))["sessions"]
        truth.update({session["owner"]: session["bug"] if session["struck"] else "none" for session in sessions})

    async with runner.record(calibration_arm(into.plan.seed), into.arm("calibration", "control")) as recorder:
        await runner.measure(recorder, scenarios_home() / "calibration.py", read_truth)
    return truth
