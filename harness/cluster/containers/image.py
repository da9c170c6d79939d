"""The image of all parts, made from ``targets/Dockerfile``. What it holds comes from wheels, not from the network.

``make image`` makes it beforehand (``python -m harness.cluster.containers``); with ``--locust`` that of ``compose/`` instead.
"""

import contextlib
import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker.errors

from harness.cluster.containers.engine import Engine
from harness.common.bundled import targets_home
from harness.common.errors import EnvironmentLacksError, HarnessError


@dataclass(frozen=True)
class Recipe:
    """An image to make: its name, its Dockerfile with the requirements beside it, the folders that it takes along."""

    name: str
    dockerfile: str
    folders: tuple[str, ...]

    @property
    def requirements(self) -> Path:
        """The file of them."""
        return Path(self.dockerfile).with_name("requirements.txt")

    def files(self) -> Iterator[Path]:
        """All that it takes along, counted from the top of the project."""
        for folder in self.folders:
            for path in sorted((targets_home() / folder).rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts:
                    yield path.relative_to(targets_home())

    def pinned(self) -> list[str]:
        """Its requirements, in the versions that this environment has."""
        pinned = []
        for line in (targets_home() / self.requirements).read_text().splitlines():
            if name := re.match(r"[A-Za-z][\w.-]*", line):
                try:
                    pinned.append(f"{name[0]}=={importlib.metadata.version(name[0])}")
                except importlib.metadata.PackageNotFoundError:
                    pinned.append(line)
        return pinned


PARTS = Recipe("session-harness", "targets/Dockerfile", ("targets",))
LOCUST = Recipe("session-harness-locust", "compose/locust.Dockerfile", ("compose", "harness", "targets", "scenarios"))
BASE_VARIABLE = "HARNESS_BASE_IMAGE"
OWN_BASE = "harness-base"  # what tools/base-image makes where there is no registry
PUBLIC_BASE = "python:3.11-slim"
#: What a wheel may be built for, from the newest: a base older than the last of them is refused by pip.
_PLATFORMS = tuple(f"manylinux_2_{minor}" for minor in (36, 34, 31, 28, 27, 24, 17, 12, 5))


def image(engine: Engine, recipe: Recipe = PARTS) -> str:
    """The image's name; made if it is not there. Takes half a minute then, and asks PyPI for its wheels.

    Raises:
        EnvironmentLacksError: no base image, or no wheels for it.
        HarnessError: it does not build.
    """
    base = base_image(engine)
    name = f"{recipe.name}:{_digest(base, recipe)}"
    with contextlib.suppress(docker.errors.ImageNotFound):
        engine.client.images.get(name)
        return name
    with _context(engine, base, recipe) as directory:
        _build(engine, directory, base, recipe, name)
    return name


def base_image(engine: Engine) -> Any:
    """What the image is built on: the one that ``HARNESS_BASE_IMAGE`` names, else ``harness-base``, else Python's own.

    Raises:
        EnvironmentLacksError: it is not there, and cannot be had.
    """
    asked = os.environ.get(BASE_VARIABLE)
    for name in [asked] if asked else [OWN_BASE, PUBLIC_BASE]:
        with contextlib.suppress(docker.errors.ImageNotFound):
            return engine.client.images.get(name)
    wanted = asked or PUBLIC_BASE
    try:
        return engine.client.images.pull(*wanted.partition(":")[::2])
    except (docker.errors.DockerException, OSError) as problem:
        raise EnvironmentLacksError(
            f"there is no base image {wanted}, and it cannot be pulled",
            f"tools/base-image makes one without a registry, or {BASE_VARIABLE} names one that is there",
        ) from problem


def _digest(base: Any, recipe: Recipe) -> str:
    """What the image depends on, in twelve digits: the base, the files, and the wheels' versions."""
    digest = hashlib.sha256(str(base.id).encode())
    for path in recipe.files():
        digest.update(f"{path}\0".encode() + (targets_home() / path).read_bytes())
    digest.update("\n".join(recipe.pinned()).encode())
    return digest.hexdigest()[:12]


@contextlib.contextmanager
def _context(engine: Engine, base: Any, recipe: Recipe) -> Iterator[Path]:
    """The directory that is sent to the engine."""
    with tempfile.TemporaryDirectory(prefix="harness-image-") as name:
        directory = Path(name)
        for path in recipe.files():
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(targets_home() / path, directory / path)
        (directory / recipe.requirements).write_text("\n".join(recipe.pinned()))
        _download([*recipe.pinned(), "pip"], directory / "wheels", _python_of(engine, base))
        yield directory


def _python_of(engine: Engine, base: Any) -> tuple[str, str]:
    """The version and the machine of a base's Python."""
    ask = "import sys, platform; print(*sys.version_info[:2], sep='.'); print(platform.machine())"
    try:
        said = engine.client.containers.run(base.id, ["python3", "-c", ask], remove=True)
        version, machine = said.decode().split()
    except (docker.errors.DockerException, ValueError) as problem:
        raise EnvironmentLacksError(
            f"the base image {base.tags or base.id} has no python3: {problem}", f"{BASE_VARIABLE} names another"
        ) from problem
    return version, machine


def _download(wanted: list[str], wheels: Path, python: tuple[str, str]) -> None:
    version, machine = python
    platforms = [f"--platform={name}_{machine}" for name in (*_PLATFORMS, "manylinux2014", "linux")]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--dest", str(wheels)]
    only = ["--only-binary=:all:", f"--python-version={version}", "--implementation=cp", *platforms]
    done = subprocess.run([*command, *only, *wanted], capture_output=True, text=True, check=False)
    if done.returncode:
        last = " | ".join(done.stderr.strip().splitlines()[-2:])
        raise EnvironmentLacksError(
            f"the image's wheels cannot be had: {last}", "they come from PyPI: pip has to reach it, or PIP_INDEX_URL"
        )


def _build(engine: Engine, directory: Path, base: Any, recipe: Recipe, name: str) -> None:
    try:
        engine.client.images.build(
            path=str(directory), dockerfile=recipe.dockerfile, buildargs={"BASE": base.id}, tag=name, rm=True
        )
    except docker.errors.BuildError as problem:
        said = "".join(str(line.get("stream", "")) for line in problem.build_log).strip().splitlines()[-4:]
        raise HarnessError(f"the image {name} does not build: {problem}", " | ".join(said)) from problem
    except docker.errors.APIError as problem:
        raise EnvironmentLacksError(f"the image {name} does not build: {problem}", "docker system df") from problem
    engine.client.images.get(name).tag(recipe.name, "latest")
