"""The command line of tools/cluster."""

import argparse
import asyncio
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from tools.kubernetes import programs
from tools.kubernetes.guardian import guard, remove_traces
from tools.kubernetes.keeper import Keeper
from tools.kubernetes.layout import Layout

NOT_RUNNING = programs.MissingError("not running\n  tools/cluster up")


def main() -> int:
    """Run one command; returns the exit code."""
    arguments = _parse()
    layout = Layout.default()
    try:
        return int(arguments.command(arguments, layout) or 0)
    except programs.MissingError as missing:
        print(f"cluster: {missing}", file=sys.stderr)
        return 4


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools/cluster", description="A real Kubernetes cluster on this machine.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command, text in (
        ("build", _build, "build the programs of Kubernetes that the cache lacks: once, 400 to 900 s of CPU time"),
        ("up", _up, "bring a cluster up, and print its kubeconfig; needs root"),
        ("down", _down, "end it, and remove everything that it made but its logs"),
        ("status", _status, "say whether it runs, and how to use it"),
        ("env", _env, "print the variables with which a shell uses it"),
        ("load", _load, "load an image archive (docker save) into every node"),
        ("signal", _signal, "send a signal to a program, e.g. STOP node2/kubelet"),
        ("link", _link, "cut or restore the link of node 2"),
        ("guard", _guard, ""),  # without a text, not listed
        ("keep", _keep, ""),
    ):
        sub = commands.add_parser(name, help=text) if text else commands.add_parser(name)
        sub.set_defaults(command=command)
        if name in ("up", "guard", "keep"):
            sub.add_argument("--nodes", type=int, choices=(1, 2), default=1)
            sub.add_argument("--owner", type=int, help="end the cluster when the process with this id ends")
        if name == "load":
            sub.add_argument("archive", type=Path)
        if name == "signal":
            sub.add_argument("signal", help="STOP, CONT, KILL, TERM")
            sub.add_argument("program", help="kube-apiserver, etcd, node2/kubelet, ...")
        if name == "link":
            sub.add_argument("state", choices=("down", "up"))
    return parser.parse_args()


def _build(_: argparse.Namespace, layout: Layout) -> None:
    programs.build()
    print(f"cluster: its programs are in {programs.CACHE}")


def _up(arguments: argparse.Namespace, layout: Layout) -> int:
    if layout.kubeconfig.exists() and _keeper(layout):
        return _status(arguments, layout)
    if os.geteuid() != 0:
        raise programs.MissingError("namespaces and control groups need root\n  sudo tools/cluster up")
    programs.require_packages()
    programs.build()
    _down(arguments, layout)
    shutil.rmtree(layout.home, ignore_errors=True)
    layout.logs.mkdir(parents=True)
    owner = ["--owner", str(arguments.owner)] if arguments.owner else []
    with (layout.logs / "guardian.log").open("wb") as log:
        guardian = subprocess.Popen(
            [sys.executable, "-m", "tools.kubernetes", "guard", "--nodes", str(arguments.nodes), *owner],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    started = time.monotonic()
    while not layout.kubeconfig.exists():
        if guardian.poll() is not None or time.monotonic() - started > 240:
            guardian.terminate()
            why = (layout.logs / "guardian.log").read_text().strip().splitlines()
            raise programs.MissingError(f"{why[-1] if why else 'it did not start'}\n  see the logs in {layout.logs}")
        time.sleep(0.2)
    print(f"cluster: {arguments.nodes} node(s) ready after {time.monotonic() - started:.0f} s")
    return _status(arguments, layout)


def _down(_: argparse.Namespace, layout: Layout) -> None:
    if not layout.state.exists():
        return
    guardian = json.loads(layout.state.read_text())["guardian"]
    if _keeper(layout):
        os.kill(guardian, signal.SIGTERM)
    deadline = time.monotonic() + 30
    while layout.state.exists() and Path(f"/proc/{guardian}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    remove_traces(layout)  # what a crash has left
    for path in layout.home.iterdir():
        if path.is_dir() and path != layout.logs:
            shutil.rmtree(path, ignore_errors=True)


def _status(_: argparse.Namespace, layout: Layout) -> int:
    if _keeper(layout) is None or not layout.kubeconfig.exists():
        print("cluster: not running\n  tools/cluster up")
        return 3
    print('cluster: running\n  eval "$(tools/cluster env)"')
    return 0


def _env(_: argparse.Namespace, layout: Layout) -> None:
    if _keeper(layout) is None:
        raise NOT_RUNNING
    print(f"export KUBECONFIG={shlex.quote(str(layout.kubeconfig))} PATH={shlex.quote(str(programs.CACHE))}:$PATH")


def _load(arguments: argparse.Namespace, layout: Layout) -> int:
    nodes = layout.nodes(json.loads(layout.state.read_text())["nodes"]) if layout.state.exists() else []
    for node in nodes:
        command = ["ctr", "--address", str(node.socket), "--namespace", "k8s.io", "images", "import"]
        subprocess.run([*command, str(arguments.archive)], check=True)
    return 0 if nodes else _status(arguments, layout)


def _signal(arguments: argparse.Namespace, layout: Layout) -> int:
    pids = json.loads((layout.home / "components.json").read_text())
    inside = _inside(layout, "kill", f"-{arguments.signal}", str(pids[arguments.program]))
    return subprocess.run(inside, check=False).returncode


def _link(arguments: argparse.Namespace, layout: Layout) -> int:
    return subprocess.run(_inside(layout, "ip", "link", "set", "node2", arguments.state), check=False).returncode


def _inside(layout: Layout, *command: str) -> list[str]:
    """A command in the cluster's namespaces."""
    keeper = _keeper(layout)
    if keeper is None:
        raise NOT_RUNNING
    return ["nsenter", f"--target={keeper}", "--pid", "--mount", "--net", *command]


def _keeper(layout: Layout) -> int | None:
    """The pid of the cluster's first process, if it runs."""
    if not layout.state.exists():
        return None
    state = json.loads(layout.state.read_text())
    command = Path(f"/proc/{state['guardian']}/cmdline")
    running = command.exists() and b"tools.kubernetes" in command.read_bytes()
    return int(state["keeper"]) if running else None


def _guard(arguments: argparse.Namespace, layout: Layout) -> None:
    asyncio.run(guard(layout, arguments.nodes, arguments.owner))


def _keep(arguments: argparse.Namespace, layout: Layout) -> None:
    Keeper(layout, arguments.nodes).run()


sys.exit(main())
