"""The command line: parsing, printing, exit codes; nothing else."""

import argparse
import asyncio
import functools
import json
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.common.errors import HarnessError, UsageError

if TYPE_CHECKING:
    from harness.analysis.compare import Comparison
    from harness.analysis.scaling.scaling_run import Scaled
    from harness.report.table import TableRow
    from harness.runner.pipeline import RunOutcome
    from harness.runner.progress import Progress
    from harness.scenario.driver_processes import DriverProcesses
    from harness.scenario.loading import Loaded

Command = Callable[[argparse.Namespace], int]

EXIT_CODES = """exit codes: 0 pass, 1 fail, 2 usage, 3 unknown (cannot be trusted), 4 something is missing,
70 a defect of the harness, 130 interrupted (what was measured is kept)"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the process's exit code; problems are told in a line, with a hint."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a script's background jobs start with it ignored
    arguments = build_parser().parse_args(argv)
    command: Command = arguments.command
    try:
        return command(arguments)
    except HarnessError as problem:
        return _told(problem)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except Exception as problem:  # the last resort: a defect is told as one, its trace kept for us
        return _defect(problem)


class _Parser(argparse.ArgumentParser):
    """Tells what is wrong with the command line as any other problem is told."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"harness: {message}\n  hint: {self.prog} --help\n")


def _port(text: str) -> int:
    if not text.isdigit() or not 0 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to 65535, not {text!r}")
    return int(text)


def _sizes(text: str) -> tuple[int, ...]:
    if not all(size.isdigit() for size in text.split(",")):
        raise argparse.ArgumentTypeError(f"sizes are numbers with commas between them, such as 1,2,4,8, not {text!r}")
    return tuple(map(int, text.split(",")))


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = _Parser(
        prog="harness",
        description="Where should session state live? Start, balance, drive, kill, judge, draw.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (
        _add_run,
        _add_worker,
        _add_scale,
        _add_init,
        _add_report,
        _add_explain,
        _add_compare,
        _add_baseline,
        _add_claims,
        _add_up,
        _add_kill,
        _add_clean,
        _add_list,
        _add_doctor,
    ):
        add(commands)
    return parser


Commands = Any  # argparse's own type of a group of subparsers is private


def _command(commands: Commands, name: str, do: Command, what: str, example: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=what,
        description=what,
        epilog=f"example: {example}\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=do)
    return parser


def _json_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print facts as JSON")


def _backend_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--backend", choices=["process", "docker"], default="process", help="where the parts run (process)"
    )


def _add_run(commands: Commands) -> None:
    run = _command(
        commands, "run", _run, "run a scenario: every design with and without its faults",
        "harness run scenarios/node_kill.py --design sticky --duration 20s",
    )  # fmt: skip
    run.add_argument(
        "scenario", type=Path, nargs="?", help="a file of scenarios/, or a plain locustfile with --command"
    )
    run.add_argument("--command", dest="start", metavar="TEXT", help="start this service, for a file without SCENARIO")
    run.add_argument("--url", metavar="URL", help="load this service, which runs already")
    run.add_argument("--ready", default="/", metavar="PATH", help="what answers 200 to 399 when --command is up")
    run.add_argument("--policy", default="cookie", metavar="NAME", help="how the balancer before --command chooses")
    run.add_argument("--kill", metavar="10s", help="kill a replica of --command then")
    run.add_argument("--restart", metavar="14s", help="and bring it back then")
    run.add_argument("--design", action="append", default=[], metavar="NAME", help="only this design (may be repeated)")
    run.add_argument("--replicas", type=int, metavar="N", help="replicas of each design")
    run.add_argument("--balancer", metavar="NAME", help="haproxy, nginx, envoy, traefik or caddy")
    _backend_flags(run)
    run.add_argument("--cpus", type=float, metavar="N", help="cores that a replica may use (--backend docker)")
    run.add_argument("--memory", metavar="256m", help="memory that a replica may use (--backend docker)")
    run.add_argument("--processes", type=int, metavar="N", help="load processes of this machine (1)")
    run.add_argument(
        "--expect-workers",
        type=int,
        default=0,
        metavar="N",
        help="and so many that come from elsewhere: harness worker",
    )
    run.add_argument("--master-bind", metavar="HOST:PORT", help="where those come to (127.0.0.1:5557)")
    load = run.add_mutually_exclusive_group()
    load.add_argument("--users", type=int, metavar="N", help="concurrent sessions (closed load)")
    load.add_argument("--rate", type=float, metavar="R", help="requests a second (open load)")
    run.add_argument("--duration", metavar="20s", help="how long each arm is driven, warm-up included")
    run.add_argument("--repeat", type=int, default=1, metavar="N", help="run everything N times, interleaved")
    run.add_argument("--seed", type=int, metavar="N", help="of arrivals and operation ids")
    run.add_argument("--out", type=Path, default=Path("results"), metavar="DIR", help="where runs are kept")
    run.add_argument("--quick", action="store_true", help="the scenario's short form")
    run.add_argument(
        "--no-records",
        action="store_true",
        help="keep histograms, not requests: for a long soak; what needs them is null",
    )
    run.add_argument("--prometheus-port", type=_port, metavar="N", help="serve live metrics there, on loopback")
    run.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME",
        help="a host besides this one that a Url(...) may name (may be repeated)",
    )  # fmt: skip
    _json_flag(run)


def _add_worker(commands: Commands) -> None:
    worker = _command(
        commands, "worker", _worker, "drive a share of another machine's runs, until Ctrl-C",
        "harness worker --master 192.0.2.10:5557",
    )  # fmt: skip
    worker.add_argument("--master", required=True, metavar="HOST:PORT", help="where `harness run` expects workers")


def _add_scale(commands: Commands) -> None:
    scale = _command(
        commands, "scale", _scale, "capacity at each size, a fitted scaling law, and its limits",
        "harness scale scenarios/scale.py --replicas 1,2,4,8",
    )  # fmt: skip
    scale.add_argument("scenario", type=Path, help="a file of scenarios/")
    scale.add_argument("--replicas", type=_sizes, default="1,2,4,8", metavar="N,N", help="the sizes (1,2,4,8)")
    scale.add_argument(
        "--design", action="append", default=[], metavar="NAME", help="only this design (may be repeated)"
    )
    scale.add_argument("--balancer", metavar="NAME", help="haproxy, nginx, envoy, traefik or caddy")
    scale.add_argument(
        "--slo-p99", type=float, default=200.0, metavar="MS", help="the p99 latency a demand must hold (200)"
    )
    scale.add_argument(
        "--slo-errors", type=float, default=0.001, metavar="SHARE", help="the share of errors allowed (0.001)"
    )
    _backend_flags(scale)
    scale.add_argument("--seed", type=int, metavar="N", help="of arrivals and operation ids")
    scale.add_argument("--out", type=Path, default=Path("results"), metavar="DIR", help="where runs are kept")
    _json_flag(scale)


def _add_init(commands: Commands) -> None:
    init = _command(
        commands, "init", _init, "write a scenario for a service of yours, and say what its sessions are",
        'harness init --command "node server.js" --session counter --path /count',
    )  # fmt: skip
    init.add_argument(
        "file",
        type=Path,
        nargs="?",
        default=Path("scenario.py"),
        help="what to write; where it is there already, look again (scenario.py)",
    )
    init.add_argument("--command", dest="start", metavar="TEXT", help="how one copy of the service is started")
    init.add_argument("--ready", metavar="PATH", help="what answers 200 to 399 once it is up (/)")
    init.add_argument("--session", metavar="KIND", help="how a session shows: page, counter, cart or login (page)")
    init.add_argument("--path", metavar="PATH", help="where it shows (/)")
    init.add_argument("--force", action="store_true", help="write over a file that is there")
    _json_flag(init)


def _add_report(commands: Commands) -> None:
    report = _command(
        commands, "report", _report, "charts and report.html from what a run recorded",
        "harness report results/node_kill/latest",
    )  # fmt: skip
    report.add_argument("run", type=Path, help="a run's directory")
    report.add_argument(
        "other", type=Path, nargs="?", metavar="RUN", help="another run, to stand beside it in one page"
    )
    report.add_argument("--gallery", type=Path, metavar="DIR", help="copy the charts there too")
    _json_flag(report)


def _add_explain(commands: Commands) -> None:
    explain = _command(
        commands, "explain", _explain, "one session's story, and why it was judged so",
        "harness explain results/node_kill/latest sticky/17",
    )  # fmt: skip
    explain.add_argument("run", type=Path, help="a run's directory")
    explain.add_argument(
        "session", nargs="?", help="DESIGN/SESSION or DESIGN/ARM/SESSION; without it, those worth a look"
    )
    _json_flag(explain)


def _add_compare(commands: Commands) -> None:
    compare = _command(
        commands, "compare", _compare, "hold a run against a baseline: invariants exactly, times as ratios",
        "harness compare results/node_kill/latest results/baselines/node_kill --markdown compare.md",
    )  # fmt: skip
    compare.add_argument("run", type=Path, help="a run's directory, best of --repeat 6 or more")
    compare.add_argument("baseline", type=Path, help="a baseline's directory, or another run's")
    compare.add_argument(
        "--margin", type=_share, default=0.10, metavar="10%", help="what a ratio may move by (default 10%%)"
    )
    compare.add_argument(
        "--allow-environment", action="store_true", help="declare that another cpu, count of cores or python is fine"
    )
    compare.add_argument("--markdown", type=Path, metavar="FILE", help="write it as a comment for a pull request")
    compare.add_argument("--junit", type=Path, metavar="FILE", help="write it as JUnit's XML")
    _json_flag(compare)


def _share(text: str) -> float:
    """``10%`` or ``10``: a share between 0 and 1, both excluded."""
    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no margin; per cent between 0 and 100, such as 10%")
    return share


def _add_baseline(commands: Commands) -> None:
    baseline = _command(
        commands, "baseline", _accept, "what later runs are held against",
        'harness baseline accept results/node_kill/latest --reason "the first one"',
    )  # fmt: skip
    deeds = baseline.add_subparsers(required=True, metavar="COMMAND")
    accept = _command(
        deeds, "accept", _accept, "make a run its scenario's baseline",
        'harness baseline accept results/node_kill/latest --reason "faster checkout, seen three times"',
    )  # fmt: skip
    accept.add_argument("run", type=Path, help="a run's directory")
    accept.add_argument("--reason", required=True, metavar="WHY", help="why it moves; kept beside it")
    accept.add_argument("--force", action="store_true", help="take a run that did not pass")
    accept.add_argument(
        "--baselines", type=Path, default=Path("results/baselines"), metavar="DIR", help="where baselines are kept"
    )
    _json_flag(accept)


def _add_claims(commands: Commands) -> None:
    claims = _command(
        commands, "claims", _claims, "attempt the claims of docs/claims.md, and write that page anew",
        "harness claims --only C07",
    )  # fmt: skip
    claims.add_argument("--only", action="append", default=[], metavar="ID", help="this claim (may be repeated)")
    claims.add_argument(
        "--decide", action="store_true", help="take every place for the state through its mishaps; write decide.md"
    )
    claims.add_argument("--fresh", action="store_true", help="run again what was measured already")
    claims.add_argument(
        "--out", type=Path, default=Path("results/claims"), metavar="DIR", help="where their runs are kept"
    )
    claims.add_argument("--docs", type=Path, default=Path("docs"), metavar="DIR", help="where the page is written")
    _json_flag(claims)


def _add_up(commands: Commands) -> None:
    up = _command(
        commands, "up", _up, "bring a design up and hold it until Ctrl-C",
        "harness up scenarios/node_kill.py --design sticky",
    )  # fmt: skip
    up.add_argument("scenario", type=Path, help="a file of scenarios/")
    up.add_argument("--design", required=True, metavar="NAME", help="the design to bring up")
    up.add_argument("--replicas", type=int, metavar="N", help="how many replicas")
    up.add_argument("--balancer", metavar="NAME", help="haproxy, nginx, envoy, traefik or caddy")
    up.add_argument(
        "--port", type=_port, default=0, metavar="N", help="where the balancer listens (default: a free port)"
    )
    _backend_flags(up)
    _json_flag(up)


def _add_kill(commands: Commands) -> None:
    kill = _command(
        commands, "kill", _kill, "kill -9 a replica of what `harness up` holds", "harness kill r1"
    )  # fmt: skip
    kill.add_argument("replica", help="its name, such as r1")
    kill.add_argument("--restart", action="store_true", help="bring it back instead")
    _json_flag(kill)


def _add_clean(commands: Commands) -> None:
    clean = _command(
        commands, "clean", _clean, "remove what a crash left behind; with --runs old runs too", "harness clean --runs"
    )
    clean.add_argument("--runs", action="store_true", help="remove all runs but each scenario's newest")
    clean.add_argument("--out", type=Path, default=Path("results"), metavar="DIR", help="where runs are kept")
    _json_flag(clean)


def _add_list(commands: Commands) -> None:
    listing = _command(commands, "list", _list, "what there is", "harness list states")
    kinds = ["designs", "apps", "states", "balancers", "stores", "faults", "scenarios", "claims"]
    listing.add_argument("kind", nargs="?", choices=kinds, help="only this")
    _json_flag(listing)


def _add_doctor(commands: Commands) -> None:
    doctor = _command(
        commands,
        "doctor",
        _doctor,
        "what this machine has, what is missing, and the line that installs it",
        "harness doctor",
    )
    _json_flag(doctor)


def _run(arguments: argparse.Namespace) -> int:
    from harness.common import limits  # noqa: PLC0415 - `harness --help` need not wait for all of it
    from harness.runner import pipeline as conduct  # noqa: PLC0415 - `harness --help` need not wait for all of it
    from harness.scenario import overrides  # noqa: PLC0415 - `harness --help` need not wait for all of it

    changes = overrides.Overrides(
        tuple(arguments.design), arguments.replicas, arguments.balancer, arguments.users, arguments.rate,
        arguments.duration, arguments.seed, arguments.quick, arguments.repeat, tuple(arguments.allow_host),
        _driving(arguments), arguments.backend, limits.Limits(arguments.cpus, arguments.memory),
    )  # fmt: skip
    flags = {key: value for key, value in vars(arguments).items() if key not in ("command", "json")}
    loaded = _loaded(arguments)
    for command in conduct.commands(loaded, changes):
        print(f"will run: {command}", file=sys.stderr)
    conducted = conduct.conduct(loaded, changes, arguments.out, flags, _shown(arguments.prometheus_port))
    if arguments.json:
        print((conducted.run.path / "summary.json").read_text())
    else:
        _print_result(conducted)
    return 130 if conducted.interrupted else conducted.analysis.result.exit_code


def _driving(arguments: argparse.Namespace) -> "DriverProcesses":
    """How many drive, from the flags; whoever has to start some of them is told so."""
    from harness.scenario import driver_processes as driving  # noqa: PLC0415

    bind, elsewhere = arguments.master_bind, arguments.expect_workers
    if bind is None and elsewhere:
        bind = driving.DEFAULT_BIND
    address = driving.Address.of(bind, "--master-bind") if bind else None
    by = driving.DriverProcesses(arguments.processes, elsewhere, address, not arguments.no_records)
    if elsewhere:
        print(f"waits in each arm for {elsewhere} x: harness worker --master {address}", file=sys.stderr)
    return by


def _shown(prometheus_port: int | None) -> "Progress":
    """What the terminal shows, and the metrics beside it where they are asked for."""
    from harness.runner import exporter, progress  # noqa: PLC0415

    terminal = progress.progress()
    return (
        terminal
        if prometheus_port is None
        else exporter.CompositeProgress([exporter.Exporter(prometheus_port), terminal])
    )


def _init(arguments: argparse.Namespace) -> int:
    from harness.runner import init as initiate  # noqa: PLC0415
    from harness.scenario import loading  # noqa: PLC0415

    if arguments.start is not None or arguments.force or not arguments.file.exists():
        wish = initiate.InitOptions(
            _answer(arguments.start, "how is one copy started ({port} is where it listens)?", ""),
            _answer(arguments.ready, "which path answers once it is up?", "/"),
            _answer(arguments.session, f"how does a session show ({', '.join(initiate.KINDS)})?", "page"),
            _answer(arguments.path, "on which path?", "/"),
        )
        initiate.write(wish, arguments.file, arguments.force)
        print(f"{arguments.file} is written", file=sys.stderr)
    print("a look at the service, about 10 s", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="harness-init-") as logs:
        understood = asyncio.run(initiate.examine(loading.load(arguments.file), Path(logs)))
    if arguments.json:
        print(json.dumps(asdict(understood)))
    else:
        print("\n".join([*understood.sentences(), f"next: harness run {arguments.file}"]))
    return 0 if understood.shown else 3


def _answer(given: str | None, question: str, otherwise: str) -> str:
    """The flag's value; else what a person at a terminal says; else the usual."""
    if given is not None or not sys.stdin.isatty():
        return given if given is not None else otherwise
    print(f"{question} [{otherwise}] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip() or otherwise


def _loaded(arguments: argparse.Namespace) -> "Loaded":
    """The scenario file, or what the flags say in its place."""
    from harness.runner import flag_scenario as bare  # noqa: PLC0415
    from harness.scenario import loading  # noqa: PLC0415

    told = bare.FlagScenario(
        arguments.start, arguments.url, arguments.ready, arguments.policy, arguments.kill, arguments.restart
    )
    if not told.given and arguments.scenario is None:
        raise UsageError("nothing to run", "harness run SCENARIO, or harness run --command TEXT")
    otherwise = told.scenario(arguments.replicas, arguments.users, arguments.duration) if told.given else None
    return loading.load(arguments.scenario or loading.PROBING, otherwise)


def _worker(arguments: argparse.Namespace) -> int:
    from harness.runner import worker  # noqa: PLC0415
    from harness.scenario import driver_processes as driving  # noqa: PLC0415

    master = driving.Address.of(arguments.master, "--master")
    print(f"works for {master} until Ctrl-C; it runs the users that the master sends", file=sys.stderr)
    asyncio.run(worker.work(master))
    return 0


def _scale(arguments: argparse.Namespace) -> int:
    from harness.analysis.scaling import capacity  # noqa: PLC0415
    from harness.runner import pipeline as conduct  # noqa: PLC0415
    from harness.runner import progress
    from harness.runner import scaling_search as scale
    from harness.scenario import loading, overrides  # noqa: PLC0415

    sizes: tuple[int, ...] = arguments.replicas
    plan = scale.ScalePlan(sizes, capacity.Objectives(arguments.slo_p99, arguments.slo_errors))
    changes = overrides.Overrides(
        tuple(arguments.design), balancer=arguments.balancer, seed=arguments.seed, backend=arguments.backend
    )
    flags = {key: value for key, value in vars(arguments).items() if key not in ("command", "json")}
    loaded = loading.load(arguments.scenario)
    done = conduct.conduct_scaling(
        loaded, changes, plan, results=arguments.out, flags=flags, progress=progress.progress()
    )
    _print_scaling(done.run.path, done.scaled, arguments.json)
    return 130 if done.interrupted else done.scaled.exit_code(sizes)


def _print_scaling(path: Path, scaled: "Scaled", as_json: bool) -> None:
    if as_json:
        print(json.dumps(scaled.to_json(), indent=1))
        return
    table = Table("design", "replicas", "held, requests/s", "of linear", "bound by", "trials")
    for design in scaled.designs:
        for size in design.sizes:
            efficiency = design.fit.efficiency(size.point)
            share = "-" if efficiency is None else f"{100 * efficiency:.0f} %"
            held, trials = f"{size.capacity.held:,.0f}", str(len(size.capacity.trials))
            table.add_row(design.name, str(size.replicas), held, share, size.capacity.bound_by, trials)
    out = _console()
    out.print(table)
    for design in scaled.designs:
        out.print(escape(f"{design.name}: {design.fit.sentence}"), highlight=False)
    out.print(f"report: {escape(str(path / 'report.html'))}", soft_wrap=True, highlight=False)


def _report(arguments: argparse.Namespace) -> int:
    from harness.analysis.scaling import scaling_run as scaled  # noqa: PLC0415
    from harness.results import run as runs  # noqa: PLC0415
    from harness.runner import pipeline as conduct  # noqa: PLC0415

    run = runs.Run.open(arguments.run)
    if (run.path / scaled.FILE).exists():
        found = conduct.drawn_scaling(run)
        _print_scaling(run.path, found, arguments.json)
        return found.exit_code(())
    again = conduct.reanalyse(arguments.run, arguments.gallery)
    if arguments.other is not None:
        print(f"side by side: {conduct.side_by_side(again, conduct.reanalyse(arguments.other, None))}")
    if arguments.json:
        print((again.run.path / "summary.json").read_text())
    else:
        _print_result(again)
    return again.analysis.result.exit_code


def _print_result(conducted: "RunOutcome") -> None:
    from harness.report import table  # noqa: PLC0415

    out, summary = _console(), conducted.analysis.summary
    out.print(f"[bold]{summary.verdict}[/bold]: {escape(table.sentence(summary))}", highlight=False)
    for doubt in table.doubts(summary):
        out.print(escape(doubt), style="bold", highlight=False)
    out.print(_decision_table(table.rows(summary), out.width))
    for note in table.notes(summary, str(conducted.run.plan.load["kind"])):
        out.print(escape(note), style="dim", highlight=False)
    for verdict in conducted.analysis.verdicts:
        if verdict.result.value != "pass":
            where = f"{verdict.design}: " if verdict.design else ""
            out.print(escape(f"{verdict.result.value}: {where}{verdict.check}: {verdict.why}"), highlight=False)
    out.print(f"report: {escape(str(conducted.run.path / 'report.html'))}", soft_wrap=True, highlight=False)


def _decision_table(rows: Sequence["TableRow"], width: int) -> Table:
    """As many columns as the terminal has room for; the report has them all."""
    columns = _COLUMNS if width >= _WIDE else _COLUMNS[:4] + _COLUMNS[-1:]
    table = Table(*(title for title, _ in columns), show_lines=True)
    for row in rows:
        table.add_row(*(escape(cell(row)) for _, cell in columns))
    return table


_WIDE = 150
_COLUMNS: tuple[tuple[str, Callable[["TableRow"], str]], ...] = (
    ("design", lambda row: row.design),
    ("what the fault did to its sessions", lambda row: row.finding),
    ("acknowledged writes lost", lambda row: row.writes_lost),
    ("detect, recover", lambda row: f"{row.detect} s, {row.recover} s"),
    ("errors while it lasted", lambda row: row.errors),
    ("forced logins", lambda row: row.forced_logins),
    ("correct/s before, during, after", lambda row: row.throughput),
    ("p99 ms without, with", lambda row: row.p99),
    ("verdict", lambda row: row.expected),
)


def _console() -> Console:
    """Standard output; in a log or a pipe, wide enough for tables."""
    return Console(width=None if sys.stdout.isatty() else _WIDE)


def _explain(arguments: argparse.Namespace) -> int:
    from harness.analysis import explain  # noqa: PLC0415
    from harness.results import run as runs  # noqa: PLC0415

    arms = runs.Run.open(arguments.run).observations()
    if arguments.session is None:
        found = explain.notable_sessions(arms)
        if arguments.json:
            print(json.dumps([asdict(one) for one in found], indent=1))
        else:
            _print_remarkable(found)
        return 0
    told = explain.session_trace(arms, arguments.session)
    if arguments.json:
        print(json.dumps(asdict(told), indent=1))
    else:
        _print_story(told)
    return 0


def _print_remarkable(found: Sequence[Any]) -> None:
    table = Table("session", "judged", "at risk", "cause", title="sessions worth a look")
    for one in found:
        risk = "" if one.at_risk is None else "yes" if one.at_risk else "no"
        table.add_row(f"{one.design}/{one.arm}/{one.session}", one.kind, risk, one.cause)
    _console().print(table if found else "nothing happened to any session")


def _print_story(told: Any) -> None:
    out = _console()
    table = Table("t (s)", "request or event", "outcome", "replica", "boot", "operation", "note")
    for line in told.lines:
        table.add_row(f"{line.t:.3f}", line.what, line.outcome, line.replica, line.boot, line.op, line.note)
    table.title = f"{told.design}, {told.arm} arm, session {told.session}"
    out.print(table)
    for sentence in told.why:
        out.print(f"- {sentence}")


def _compare(arguments: argparse.Namespace) -> int:
    from harness.analysis import compare  # noqa: PLC0415
    from harness.analysis.compare import render as told  # noqa: PLC0415
    from harness.report.charts import forest  # noqa: PLC0415

    found = compare.read_and_compare(arguments.run, arguments.baseline, arguments.margin, arguments.allow_environment)
    from harness.results import files  # noqa: PLC0415

    with files.writing(arguments.run / "charts"):
        chart = forest.draw(found, arguments.run / "charts")
    for path, write in ((arguments.markdown, told.write_markdown), (arguments.junit, told.write_junit)):
        if path is not None:
            with files.writing(path):
                write(found, path)
    if arguments.json:
        print(json.dumps(asdict(found), indent=1))
    else:
        _print_comparison(found)
        if chart:
            print(f"chart: {chart.svg}")
    if os.environ.get("GITHUB_ACTIONS"):
        print("\n".join(told.annotations(found)), file=sys.stderr)
    return found.outcome.exit_code


def _print_comparison(found: "Comparison") -> None:
    from harness.analysis.compare import render as told  # noqa: PLC0415

    out = Console()
    out.print(escape(told.sentence(found)), style="bold", highlight=False)
    for why in found.why:
        out.print(f"- {escape(why)}", highlight=False)
    if found.metrics:
        table = Table(*told.COLUMNS)
        for one in found.metrics:
            table.add_row(*map(escape, told.row(one)))
        out.print(table)
    for note in told.notes(found):
        out.print(escape(note), style="dim", highlight=False)


def _accept(arguments: argparse.Namespace) -> int:
    from harness.results import baselines as baseline  # noqa: PLC0415
    from harness.results import run as runs

    path = baseline.accept(runs.Run.open(arguments.run), arguments.reason, arguments.baselines, arguments.force)
    if arguments.json:
        print((path / "baseline.json").read_text())
    else:
        print(f"accepted: {path}; commit it")
    return 0


def _claims(arguments: argparse.Namespace) -> int:
    from harness import claims  # noqa: PLC0415

    wanted = claims.chosen(arguments.only)
    say = functools.partial(print, file=sys.stderr, flush=True)
    if arguments.decide:
        print(claims.decide(claims.attempt(claims.DECIDING, arguments.out, say, fresh=arguments.fresh), arguments.docs))
        return 0
    runs = claims.attempt(claims.needs(wanted), arguments.out, say, fresh=arguments.fresh)
    found = {claim.id: claims.ClaimResult.of(claim, runs) for claim in wanted}
    claims.write({**claims.read(arguments.docs), **found}, arguments.docs)
    if arguments.json:
        print(json.dumps({name: one.plain() for name, one in found.items()}, indent=1))
        return 0
    table = Table("claim", "verdict", "what was seen")
    for name, one in found.items():
        table.add_row(name, one.finding.support.value, escape(one.finding.says))
    _console().print(table)
    return 0


def _up(arguments: argparse.Namespace) -> int:
    from harness.scenario import loading, overrides  # noqa: PLC0415

    changes = overrides.Overrides((arguments.design,), arguments.replicas, arguments.balancer)
    loaded = loading.load(arguments.scenario)
    design = changes.apply(loaded.scenario).designs[0]
    with tempfile.TemporaryDirectory(prefix="harness-up-") as logs:
        return _interruptible(_hold(design, Path(logs), arguments))


async def _hold(design: Any, logs: Path, arguments: argparse.Namespace) -> int:
    from harness.runner import hold  # noqa: PLC0415

    async with hold.hold_topology(design, logs, arguments.port, arguments.backend) as topology:
        replicas = [replica.name for replica in topology.replicas]
        if arguments.json:
            print(json.dumps({"url": topology.url, "replicas": replicas, "logs": str(logs)}), flush=True)
        else:
            print(f"{topology.url}  ({design.name}: {', '.join(replicas)}; logs in {logs})", flush=True)
            print("Ctrl-C ends it; `harness kill r1` in another terminal kills a replica", file=sys.stderr)
        await asyncio.Event().wait()
    return 0


def _kill(arguments: argparse.Namespace) -> int:
    from harness.runner import hold  # noqa: PLC0415

    answer = asyncio.run(hold.ask("restart" if arguments.restart else "kill", arguments.replica))
    if arguments.json:
        print(json.dumps(answer))
    else:
        print(", ".join(f"{key} {value}" for key, value in answer.items()))
    return 0


def _clean(arguments: argparse.Namespace) -> int:
    from harness.cluster import leftovers  # noqa: PLC0415

    removed = leftovers.clean(arguments.out if arguments.runs else None)
    if arguments.json:
        print(json.dumps([asdict(one) for one in removed], default=str))
    else:
        print("\n".join(f"removed {one.kind} {one.what}" for one in removed) or "nothing was left behind")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    from harness import catalogue  # noqa: PLC0415

    found = catalogue.catalogue(arguments.kind)
    if arguments.json:
        print(json.dumps({kind: [asdict(entry) for entry in entries] for kind, entries in found.items()}, indent=1))
        return 0
    for kind, entries in found.items():
        table = Table("name", "what", "", title=kind, title_justify="left")
        for entry in entries:
            table.add_row(entry.name, entry.what, entry.detail)
        _console().print(table)
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    from harness.cluster import inventory as doctor  # noqa: PLC0415

    findings = doctor.examine()
    if arguments.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        table = Table("", "part", "found", "needed for", "install")
        for one in findings:
            table.add_row(
                "ok" if one.present else "--", one.part, one.version, one.needed_for, "" if one.present else one.install
            )
        _console().print(table)
    return 0


def _interruptible(work: Coroutine[Any, Any, int]) -> int:
    """Run until done or interrupted; SIGTERM counts as Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    return asyncio.run(work)


def _told(problem: HarnessError) -> int:
    print(f"harness: {problem.message}", file=sys.stderr)
    if problem.hint:
        print(f"  hint: {problem.hint}", file=sys.stderr)
    return problem.code


def _defect(problem: Exception) -> int:
    with tempfile.NamedTemporaryFile("w", prefix="harness-defect-", suffix=".txt", delete=False) as file:
        traceback.print_exception(problem, file=file)
    print(f"harness: a defect of the harness itself: {problem!r}", file=sys.stderr)
    print(f"  hint: please report it with {file.name}", file=sys.stderr)
    return HarnessError.code


if __name__ == "__main__":
    sys.exit(main())
