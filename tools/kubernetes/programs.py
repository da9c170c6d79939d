"""Kubernetes' own programs and metrics-server, built from their Go modules and kept in the user's cache."""

import fcntl
import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

VERSION = "1.34.4"  # the last minor version that accepts control groups of version 1 without a warning
METRICS_SERVER, METRICS_SERVER_VERSION = "metrics-server", "0.8.0"
NAMES = (
    *("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"),
    METRICS_SERVER,
)
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "session-harness" / f"kubernetes-{VERSION}"
#: Programs of the system, each with the Debian package that brings it.
PACKAGES = {
    "containerd": "containerd",
    "runc": "runc",
    "etcd": "etcd-server",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "gcc": "gcc",
    "openssl": "openssl",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
}


class MissingError(Exception):
    """This machine lacks something; the message has a second line that says how to get it."""


def require_packages() -> None:
    """Check that the programs of the system are there.

    Raises:
        MissingError: some are not.
    """
    missing = sorted({package for program, package in PACKAGES.items() if shutil.which(program) is None})
    if missing:
        raise MissingError(f"missing: {' '.join(missing)}\n  sudo apt-get install {' '.join(missing)}")


def build() -> None:
    """Build what the cache lacks: 400 to 900 s of CPU time and 550 MB the first time.

    Raises:
        MissingError: there is no Go, or a build fails.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second build finds the programs built
        missing = missing_programs()
        if missing:
            require_go()
        for name in missing:
            print(f"cluster: building {name}", flush=True)
            _build(name, _write_source())


def require_go() -> None:
    """Check that there is a Go that can fetch the version which Kubernetes asks for, as Go does since 1.21.

    Raises:
        MissingError: there is none.
    """
    found = _go("version") if shutil.which("go") else ""
    version = re.search(r"go1\.(\d+)", found)
    if version is None or int(version[1]) < 21:
        raise MissingError(
            f"no Go 1.21 or newer to build Kubernetes with: {found.strip() or 'none'}\n"
            "  install it from https://go.dev/dl, or as golang-go from the backports of Debian 12"
        )


def missing_programs() -> list[str]:
    """The programs that the cache lacks."""
    return [name for name in NAMES if not (CACHE / name).exists()]


def _write_source() -> Path:
    """The folder of a Go module that has Kubernetes' programs as dependencies."""
    source = CACHE / "source"
    source.mkdir(exist_ok=True)
    (source / "go.mod").write_text(write_module(_read_module()))
    (source / "tools.go").write_text(_imports())
    return source


def _read_module() -> Any:
    """The go.mod of Kubernetes, as ``go mod edit -json`` prints it."""
    download = _go("mod", "download", "-json", f"k8s.io/kubernetes@v{VERSION}")
    return json.loads(_go("mod", "edit", "-json", json.loads(download)["GoMod"]))


def write_module(kubernetes: Any) -> str:
    """A go.mod that requires Kubernetes, whose own go.mod is ``kubernetes``, and metrics-server.

    ``go install`` refuses Kubernetes, because that replaces modules by folders of its repository. Each of those is
    published as a module of its own, with a 0 in place of the 1 in its version. metrics-server is built with the same.
    """
    staging = [replaced["Old"]["Path"] for replaced in kubernetes["Replace"] if "Version" not in replaced["New"]]
    lines = [f"\t{path} => {path} v0{VERSION.removeprefix('1')}" for path in staging]
    versions = {"k8s.io/kubernetes": VERSION, "sigs.k8s.io/metrics-server": METRICS_SERVER_VERSION}
    required = [f"require {path} v{version}" for path, version in versions.items()]
    return "\n".join(["module cluster", f"go {kubernetes['Go']}", *required, "replace (", *lines, ")", ""])


def _imports() -> str:
    """A Go file that imports every program, so that the module has them as dependencies."""
    imports = "\n".join(f'\t_ "{_package(name)}"' for name in NAMES)
    return f"//go:build tools\n\npackage cluster\n\nimport (\n{imports}\n)\n"


def _package(name: str) -> str:
    return f"{'sigs.k8s.io/metrics-server' if name == METRICS_SERVER else 'k8s.io/kubernetes'}/cmd/{name}"


def _build(name: str, source: Path) -> None:
    """Build one program. Its name appears in the cache when it is complete."""
    stamp = "k8s.io/component-base/version"
    major, minor, _ = VERSION.split(".")
    flags = f"-s -w -X {stamp}.gitVersion=v{VERSION} -X {stamp}.gitMajor={major} -X {stamp}.gitMinor={minor}"
    partial = CACHE / f"{name}.partial"
    _go("build", "-mod=mod", "-ldflags", flags, "-o", str(partial), _package(name), cwd=source)
    partial.rename(CACHE / name)


def _go(*arguments: str, cwd: Path | None = None) -> str:
    command: Sequence[str] = ("go", *arguments)
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, "CGO_ENABLED": "0"}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise MissingError(f"go {arguments[0]} failed: {last}\n  check the network and `go env GOPROXY`")
    return done.stdout
