"""``harness run``."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import flags
from harness.cli.errors import report_interrupt
from harness.common.errors import UsageError
from harness.common.terminal import note, show

if TYPE_CHECKING:
    from harness.runner.flag_scenario import FlagScenario
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
ServiceUrl = Annotated[
    str | None, typer.Option(metavar="URL", help="Load this service, which runs; with --kubernetes, the way to it.")
]
Ready = Annotated[str, typer.Option(metavar="PATH", help="The path that answers 200 to 399 once --command is up.")]
Policy = Annotated[str, typer.Option(metavar="NAME", help="How the balancer before --command chooses.")]
KillAt = Annotated[str | None, typer.Option(metavar="10s", help="Kill a replica of --command at this time.")]
RestartAt = Annotated[str | None, typer.Option(metavar="14s", help="Bring that replica back at this time.")]
Workload = Annotated[
    str | None, typer.Option(metavar="deployment/NAME", help="Attach to this workload, which runs on a cluster.")
]
Namespace = Annotated[str | None, typer.Option(metavar="NAME", help="Of --kubernetes (that of the kubeconfig).")]
Service = Annotated[
    str | None, typer.Option(metavar="NAME", help="Which Service of --kubernetes, if there are several.")
]
ServicePort = Annotated[int | None, typer.Option(metavar="N", help="Which port of that Service, if it has several.")]
RollingRestartAt = Annotated[
    str | None, typer.Option("--rolling-restart", metavar="10s", help="Replace all pods of --kubernetes at this time.")
]
ReadyWithin = Annotated[
    str | None, typer.Option(metavar="120s", help="When all pods have to be ready again after a fault (120s).")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before a workload of others is loaded and broken.")]
Cpus = Annotated[float | None, typer.Option(metavar="N", help="Cores that a replica can use (docker, kubernetes).")]
Memory = Annotated[str | None, typer.Option(metavar="256m", help="Memory that a replica can use (docker, kubernetes).")]
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
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only check, and say what would start, how long it takes, and which commands.")
]
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
Live = Annotated[bool, typer.Option("--live", help="Show the run in a browser while it goes on, on loopback.")]
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


Expectations = Annotated[
    list[str],
    typer.Option(
        "--expect",
        default_factory=list,
        show_default=False,
        metavar="TEXT",
        help='A threshold besides what the scenario expects (repeatable): "p99 < 200ms", "errors < 0.1 %", '
        '"throughput > 500/s", "availability > 99.9 %". With a design, a request name and a phase: '
        '"sticky: p99(GET /cart) < 200ms during before".',
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
    kube_context: flags.Context = None,
    allow_context: flags.AllowContexts,
    namespace_prefix: flags.NamespacePrefix = flags.NAMESPACE_PREFIX,
    image: flags.ImageName = flags.IMAGE,
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
    load_inside: flags.LoadInside = 0,
    load_image: flags.LoadImage = flags.LOAD_IMAGE,
    no_records: NoRecords = False,
    prometheus_port: PrometheusPort = None,
    live: Live = False,
    allow_host: AllowHosts,
    start: Start = None,
    url: ServiceUrl = None,
    ready: Ready = "/",
    policy: Policy = "cookie",
    kill: KillAt = None,
    restart: RestartAt = None,
    kubernetes: Workload = None,
    namespace: Namespace = None,
    service: Service = None,
    service_port: ServicePort = None,
    rolling_restart: RollingRestartAt = None,
    ready_within: ReadyWithin = None,
    yes: Yes = False,
    expect: Expectations,
    dry_run: DryRun = False,
    quiet: flags.Quiet = False,
    verbose: flags.Verbose = False,
    no_color: flags.NoColor = False,
    as_json: flags.Json = False,
) -> int:
    """Run a scenario: every design with and without its faults.

    Besides what the scenario states, every design is expected to be clean and to answer well without a fault, and to
    lose no more under the fault than its theory says (without a theory: nothing). What was not judged is unknown.

    Example:

    \b
        harness run scenarios/node_kill.py --design sticky --duration 20s
    """
    from harness.common import limits
    from harness.runner import flag_scenario, pipeline, preview, progress_views
    from harness.scenario import cluster_access, overrides
    from harness.scenario.expectations import thresholds
    from harness.scenario.kubernetes import Kubernetes

    if users is not None and rate is not None:
        raise UsageError("--users is a closed load, --rate an open one: not both", "leave one of them out")
    drivers = _drivers(processes, expect_workers, master_bind, load_inside, not no_records)
    changes = overrides.Overrides(
        tuple(design), replicas, balancer, users, rate, duration, seed, quick, repeat, tuple(allow_host),
        drivers, backend, limits.Limits(cpus, memory), tuple(map(thresholds.Threshold.parse, expect)),
        cluster_access.ClusterAccess(
            kube_context, tuple(allow_context), namespace_prefix, image, load_image, forwarded=load_inside > 0
        ),
    )  # fmt: skip
    attached = kubernetes and Kubernetes(
        kubernetes, namespace, service, service_port, url, ready=ready,
        ready_within=ready_within or Kubernetes.ready_within,
    )  # fmt: skip
    described = flag_scenario.FlagScenario(
        start, None if attached else url, ready, policy, kill, restart, attached or None, rolling_restart, ready_within
    )
    loaded = _load(scenario, described, changes)
    if dry_run:
        planned = preview.preview(loaded, changes)
        show(json.dumps(asdict(planned), indent=1) if as_json else "\n".join(planned.lines()))
        return 0
    for command in pipeline.shell_commands(loaded, changes):
        note(f"will run: {command}")
    _agree(pipeline.survey_attachments(loaded, changes), yes)
    views = progress_views.choose(quiet, verbose, prometheus_port)
    with _live_page(out) if live else nullcontext():
        outcome = pipeline.run_scenario(loaded, changes, out, flags.read_values(context), views)
        from harness.cli import tables  # with what draws, which was loaded during the run

        tables.print_outcome(outcome, as_json)
    return report_interrupt() if outcome.interrupted else outcome.analysis.result.exit_code


def _agree(plan: Sequence[str], yes: bool) -> None:
    """Show what will be done to workloads that already run, and ask whether it may be done.

    Raises:
        UsageError: the answer is no, or there is nobody to ask.
    """
    for line in plan:
        note(line)
    if not plan or yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("nothing is done to a workload that already runs without a yes", "--yes")
    note("go on? [y/N] ", end="")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("nothing was done")


def _drivers(
    processes: int | None, elsewhere: int, master_bind: str | None, inside: int, records: bool
) -> "DriverProcesses":
    """The load processes; says on standard error how to start those on other machines."""
    from harness.scenario import driver_processes

    bind = master_bind or (driver_processes.DEFAULT_BIND if elsewhere else None)
    address = driver_processes.Address.parse(bind, "--master-bind") if bind else None
    given = os.environ.get("HARNESS_WORKER_TOKEN")
    drivers = driver_processes.DriverProcesses(
        processes, elsewhere, address, inside, records, **({"token": given} if given else {})
    )
    if elsewhere:
        token = "" if given else f"HARNESS_WORKER_TOKEN={drivers.token} "
        note(f"each arm waits for {elsewhere} x: {token}harness worker --master {address}")
        note("warning: a worker gets the scenario's code and is believed; keep its token secret (docs/security.md)")
    return drivers


def _load(path: Path | None, service: "FlagScenario", changes: "Overrides") -> "Loaded":
    """The scenario of the file, or the one that the flags describe in its place."""
    from harness.scenario import loading

    if not service.given and path is None:
        raise UsageError("nothing to run", "harness run SCENARIO, or harness run --command TEXT")
    described = service.scenario(changes.replicas, changes.users, changes.duration) if service.given else None
    return loading.load(path, described)


@contextmanager
def _live_page(results: Path) -> Iterator[None]:
    """A page that follows the run, for the length of a scope, and as long afterwards as it is open in a browser."""
    from harness.site import beside_run, browser

    with beside_run.serve_beside(results) as site:
        address = f"{site.address}/live"
        note(f"live: {address}")
        browser.open_page(address)
        yield
        if site.watchers.count:
            note("the live page is still open: close it or press Ctrl-C to end this command")
            beside_run.wait_until_unwatched(site)
