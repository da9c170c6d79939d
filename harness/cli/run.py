"""``harness run``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import flags
from harness.common.errors import UsageError

if TYPE_CHECKING:
    from harness.runner.flag_scenario import FlagScenario
    from harness.runner.progress import Progress
    from harness.scenario.driver_processes import DriverProcesses
    from harness.scenario.loading import Loaded
    from harness.scenario.overrides import Overrides

Scenario = Annotated[
    Path | None,
    typer.Argument(metavar="SCENARIO", help="A file in scenarios/, or a plain locustfile with --command."),
]
Start = Annotated[
    str | None, typer.Option("--command", metavar="TEXT", help="Start this service, for a file without SCENARIO.")
]
ServiceUrl = Annotated[str | None, typer.Option(metavar="URL", help="Load this service, which already runs.")]
Ready = Annotated[str, typer.Option(metavar="PATH", help="The path that answers 200 to 399 once --command is up.")]
Policy = Annotated[str, typer.Option(metavar="NAME", help="How the balancer before --command chooses.")]
KillAt = Annotated[str | None, typer.Option(metavar="10s", help="Kill a replica of --command at this time.")]
RestartAt = Annotated[str | None, typer.Option(metavar="14s", help="Bring that replica back at this time.")]
Cpus = Annotated[float | None, typer.Option(metavar="N", help="Cores that a replica can use (--backend docker).")]
Memory = Annotated[str | None, typer.Option(metavar="256m", help="Memory that a replica can use (--backend docker).")]
Processes = Annotated[int | None, typer.Option(metavar="N", help="Load processes on this machine (1).")]
ExpectWorkers = Annotated[
    int, typer.Option(metavar="N", help="Also wait for this many workers, started by harness worker.")
]
MasterBind = Annotated[
    str | None, typer.Option(metavar="HOST:PORT", help="Where those workers connect to (127.0.0.1:5557).")
]
Users = Annotated[int | None, typer.Option(metavar="N", help="Concurrent sessions (closed load).")]
Rate = Annotated[float | None, typer.Option(metavar="R", help="Requests per second (open load); excludes --users.")]
Duration = Annotated[str | None, typer.Option(metavar="20s", help="Duration of each arm, warm-up included.")]
Repeat = Annotated[int, typer.Option(metavar="N", help="Run everything N times, interleaved.")]
Quick = Annotated[bool, typer.Option("--quick", help="Run the scenario's short form.")]
NoRecords = Annotated[
    bool,
    typer.Option(
        "--no-records", help="Keep histograms, not requests: for long soaks; figures that need requests are null."
    ),
]
PrometheusPort = Annotated[
    int | None,
    typer.Option(min=0, max=65535, metavar="N", help="Serve live metrics on this port of the loopback interface."),
]
AllowHosts = Annotated[
    list[str],
    typer.Option(
        "--allow-host",
        default_factory=list,
        show_default=False,
        metavar="NAME",
        help="A host besides this one that a Url(...) may name (repeatable).",
    ),
]


def run(
    context: typer.Context,
    scenario: Scenario = None,
    *,
    design: flags.Designs,
    replicas: flags.Replicas = None,
    balancer: flags.Balancer = None,
    backend: flags.Backend = "process",
    cpus: Cpus = None,
    memory: Memory = None,
    users: Users = None,
    rate: Rate = None,
    duration: Duration = None,
    repeat: Repeat = 1,
    seed: flags.Seed = None,
    out: flags.Out = flags.RESULTS,
    quick: Quick = False,
    processes: Processes = None,
    expect_workers: ExpectWorkers = 0,
    master_bind: MasterBind = None,
    no_records: NoRecords = False,
    prometheus_port: PrometheusPort = None,
    allow_host: AllowHosts,
    start: Start = None,
    url: ServiceUrl = None,
    ready: Ready = "/",
    policy: Policy = "cookie",
    kill: KillAt = None,
    restart: RestartAt = None,
    as_json: flags.Json = False,
) -> int:
    """Run a scenario: every design with and without its faults.

    Example:

    \b
        harness run scenarios/node_kill.py --design sticky --duration 20s
    """
    from harness.cli import tables
    from harness.common import limits
    from harness.runner import flag_scenario, pipeline
    from harness.scenario import overrides

    if users is not None and rate is not None:
        raise UsageError("--users is a closed load, --rate an open one: not both", "leave one of them out")
    drivers = _drivers(processes, expect_workers, master_bind, not no_records)
    changes = overrides.Overrides(
        tuple(design), replicas, balancer, users, rate, duration, seed, quick, repeat, tuple(allow_host),
        drivers, backend, limits.Limits(cpus, memory),
    )  # fmt: skip
    loaded = _load(scenario, flag_scenario.FlagScenario(start, url, ready, policy, kill, restart), changes)
    for command in pipeline.shell_commands(loaded, changes):
        print(f"will run: {command}", file=sys.stderr)
    outcome = pipeline.run_scenario(loaded, changes, out, flags.read_values(context), _progress(prometheus_port))
    tables.print_outcome(outcome, as_json)
    return 130 if outcome.interrupted else outcome.analysis.result.exit_code


def _drivers(processes: int | None, elsewhere: int, master_bind: str | None, records: bool) -> "DriverProcesses":
    """The load processes; says on standard error how to start those on other machines."""
    from harness.scenario import driver_processes

    bind = master_bind or (driver_processes.DEFAULT_BIND if elsewhere else None)
    address = driver_processes.Address.parse(bind, "--master-bind") if bind else None
    drivers = driver_processes.DriverProcesses(processes, elsewhere, address, records)
    if elsewhere:
        print(f"each arm waits for {elsewhere} x: harness worker --master {address}", file=sys.stderr)
    return drivers


def _load(path: Path | None, service: "FlagScenario", changes: "Overrides") -> "Loaded":
    """The scenario of the file, or the one that the flags describe in its place."""
    from harness.scenario import loading

    if not service.given and path is None:
        raise UsageError("nothing to run", "harness run SCENARIO, or harness run --command TEXT")
    described = service.scenario(changes.replicas, changes.users, changes.duration) if service.given else None
    return loading.load(path, described)


def _progress(prometheus_port: int | None) -> "Progress":
    """What the terminal shows, and live metrics beside it if a port is given for them."""
    from harness.runner import exporter, progress

    terminal = progress.progress()
    return (
        terminal
        if prometheus_port is None
        else exporter.CompositeProgress([exporter.Exporter(prometheus_port), terminal])
    )
