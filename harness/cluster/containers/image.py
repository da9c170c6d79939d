"""The image of all parts, built from ``targets/Dockerfile``. Its packages come from downloaded wheels.

``make image`` builds it beforehand (``python -m harness.cluster.containers``; ``--locust`` takes ``compose/``).
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
    """An image to build: its name, its Dockerfile with the requirements beside it, and the folders that it contains."""

    name: str
    dockerfile: str
    folders: tuple[str, ...]

    @property
    def requirements(self) -> Path:
        """The file with its requirements."""
        return Path(self.dockerfile).with_name("requirements.txt")

    def files(self) -> Iterator[Path]:
        """Yield the files that it contains, relative to the root of the project."""
        for folder in self.folders:
            for path in sorted((targets_home() / folder).rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts:
                    yield path.relative_to(targets_home())

    def pin_requirements(self) -> list[str]:
        """Return its requirements, pinned to the versions of this environment."""
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
OWN_BASE = "harness-base"  # made by tools/base-image when there is no registry
PUBLIC_BASE = "python:3.11-slim"
#: The platforms of acceptable wheels, newest first; pip refuses a base that is older than the last one.
_PLATFORMS = tuple(f"manylinux_2_{minor}" for minor in (36, 34, 31, 28, 27, 24, 17, 12, 5))


def image(engine: Engine, recipe: Recipe = PARTS) -> str:
    """Return the name of the image, and build it if it does not exist: that takes half a minute, and wheels from PyPI.

    The tag ``latest``, by which pods ask for it, then names it too, also if another one was built since.

    Raises:
        EnvironmentLacksError: there is no base image, or no wheel for it.
        HarnessError: it does not build.
    """
    base = base_image(engine)
    name = f"{recipe.name}:{_digest(base, recipe)}"
    try:
        built = engine.client.images.get(name)
    except docker.errors.ImageNotFound:
        with _build_context(engine, base, recipe) as directory:
            _build(engine, directory, base, recipe, name)
        built = engine.client.images.get(name)
    built.tag(recipe.name, "latest")
    return name


def base_image(engine: Engine) -> Any:
    """Return the base image: that of ``HARNESS_BASE_IMAGE``, else ``harness-base``, else the official Python image.

    Raises:
        EnvironmentLacksError: it does not exist, and cannot be pulled.
    """
    configured = os.environ.get(BASE_VARIABLE)
    for name in [configured] if configured else [OWN_BASE, PUBLIC_BASE]:
        with contextlib.suppress(docker.errors.ImageNotFound):
            return engine.client.images.get(name)
    wanted = configured or PUBLIC_BASE
    try:
        return engine.client.images.pull(*wanted.partition(":")[::2])
    except (docker.errors.DockerException, OSError) as problem:
        raise EnvironmentLacksError(
            f"there is no base image {wanted}, and it cannot be pulled",
            f"tools/base-image makes one without a registry, or set {BASE_VARIABLE} to an existing one",
        ) from problem


def _digest(base: Any, recipe: Recipe) -> str:
    """A digest of twelve digits over all that the image depends on: base, files, and versions of the wheels."""
    digest = hashlib.sha256(str(base.id).encode())
    for path in recipe.files():
        digest.update(f"{path}\0".encode() + (targets_home() / path).read_bytes())
    digest.update("\n".join(recipe.pin_requirements()).encode())
    return digest.hexdigest()[:12]


@contextlib.contextmanager
def _build_context(engine: Engine, base: Any, recipe: Recipe) -> Iterator[Path]:
    """Yield the directory that is sent to the engine."""
    with tempfile.TemporaryDirectory(prefix="harness-image-") as name:
        directory = Path(name)
        for path in recipe.files():
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(targets_home() / path, directory / path)
        (directory / recipe.requirements).write_text("\n".join(recipe.pin_requirements()))
        _download([*recipe.pin_requirements(), "pip"], directory / "wheels", _python_of(engine, base))
        yield directory


def _python_of(engine: Engine, base: Any) -> tuple[str, str]:
    """Return the Python version and the machine type of a base image."""
    script = "import sys, platform; print(*sys.version_info[:2], sep='.'); print(platform.machine())"
    try:
        output = engine.client.containers.run(base.id, ["python3", "-c", script], remove=True)
        version, machine = output.decode().split()
    except (docker.errors.DockerException, ValueError) as problem:
        raise EnvironmentLacksError(
            f"the base image {base.tags or base.id} has no python3: {problem}", f"set {BASE_VARIABLE} to another one"
        ) from problem
    return version, machine


def _download(requirements: list[str], wheels: Path, python: tuple[str, str]) -> None:
    version, machine = python
    platforms = [f"--platform={name}_{machine}" for name in (*_PLATFORMS, "manylinux2014", "linux")]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--dest", str(wheels)]
    restrictions = ["--only-binary=:all:", f"--python-version={version}", "--implementation=cp", *platforms]
    result = subprocess.run([*command, *restrictions, *requirements], capture_output=True, text=True, check=False)
    if result.returncode:
        last_lines = " | ".join(result.stderr.strip().splitlines()[-2:])
        raise EnvironmentLacksError(
            f"the wheels of the image cannot be downloaded: {last_lines}",
            "they come from PyPI: pip has to reach it, or PIP_INDEX_URL",
        )


def _build(engine: Engine, directory: Path, base: Any, recipe: Recipe, name: str) -> None:
    try:
        engine.client.images.build(
            path=str(directory), dockerfile=recipe.dockerfile, buildargs={"BASE": base.id}, tag=name, rm=True
        )
    except docker.errors.BuildError as problem:
        last_lines = "".join(str(line.get("stream", "")) for line in problem.build_log).strip().splitlines()[-4:]
        raise HarnessError(f"the image {name} does not build: {problem}", " | ".join(last_lines)) from problem
    except docker.errors.APIError as problem:
        raise EnvironmentLacksError(f"the image {name} does not build: {problem}", "docker system df") from problem
