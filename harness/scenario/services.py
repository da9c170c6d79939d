"""The service of a design, as a value: a built-in one, or your own."""

import ipaddress
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar
from urllib.parse import SplitResult, urlsplit

from harness.common.durations import parse_seconds
from harness.common.errors import UsageError
from harness.scenario.checks import check_types, require
from harness.scenario.parts import check_part

_STATES_ON_DISK = frozenset({"checkpoint", "eventlog", "sqlite"})
_APPS_ON_DISK = frozenset({"saga"})
#: Words that a shell would treat as operators; a command does not run in a shell.
_SHELL_WORDS = frozenset({"&&", "||", "|", ";", "&", ">", ">>", "<", "2>&1"})


@dataclass(frozen=True)
class PlaceholderValues:
    """The values of ``{port}``, ``{replica}`` and ``{store}`` in the words and variables of one copy of a command."""

    port: int
    replica: str
    store: str = ""

    def fill(self, text: str) -> str:
        """The text with its placeholders replaced; other braces stay as they are."""
        for name in ("port", "replica", "store"):
            text = text.replace(f"{{{name}}}", str(getattr(self, name)))
        return text


@dataclass(frozen=True)
class BuiltIn:
    """A service that comes with the harness: an app, and where it keeps the state of its sessions.

    ``service_time`` is how long a replica holds each request, and ``slots`` how many requests it holds at once: an
    emulated load that costs almost no CPU. ``options`` are settings of the app or the state, passed to each replica as
    ``--option key=value``.
    """

    app: str = "cart"
    state: str = "memory"
    service_time: str = "0s"
    slots: int = 1
    options: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_types(self)
        check_part("app", self.app)
        check_part("state", self.state)
        require(
            parse_seconds(self.service_time) >= 0 and self.slots >= 1,
            "service_time must not be negative, and slots must be at least 1",
        )

    @property
    def on_disk(self) -> bool:
        """Whether a replica keeps sessions, or a log of its own, on its volume."""
        return self.state in _STATES_ON_DISK or self.app in _APPS_ON_DISK

    @property
    def capacity(self) -> float | None:
        """The requests per second that one replica can serve; None if no service time is emulated."""
        service_time = parse_seconds(self.service_time)
        return self.slots / service_time if service_time else None

    def describe(self) -> dict[str, str | int | float]:
        """The service as plain values."""
        return {
            "app": self.app,
            "state": self.state,
            "service_time_s": parse_seconds(self.service_time),
            "slots": self.slots,
            **{f"option_{key}": value for key, value in self.options.items()},
        }


@dataclass(frozen=True)
class Command:
    """A program that serves HTTP on 127.0.0.1, started once per replica.

    Each copy gets its own port: ``{port}`` in the command or in ``env``, and the variable ``PORT``. ``{replica}`` is
    its name, ``{store}`` the URL of the server named by ``store`` (such as ``redis``). A relative ``cwd`` starts at
    the scenario's directory. ``ready`` is the path that answers 200 to 399 once the service is up; with ``None`` an
    open port is enough. The program is stopped with SIGTERM, and SIGKILL ``stop_within`` later; at once with SIGKILL if
    it is not ``graceful``.
    """

    command: str | Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold secrets
    cwd: str | Path | None = None
    ready: str | None = "/"
    ready_within: str = "30s"
    graceful: bool = True
    stop_within: str = "6s"
    store: str | None = None

    def __post_init__(self) -> None:
        check_types(self, but=("env",))
        words = self.words()
        if not words:
            raise UsageError("a Command needs a program", 'Command("gunicorn app:app -b 127.0.0.1:{port}")')
        if operators := _SHELL_WORDS.intersection(words):
            raise UsageError(
                f"a command is not run by a shell: {' '.join(sorted(operators))}", """write it as sh -c '...'"""
            )
        if not isinstance(self.env, Mapping) or not all(isinstance(value, str) for value in self.env.values()):
            raise UsageError("the values of env= must be strings", 'env={"WORKERS": "2"}')
        _check_times(self.ready, self.ready_within, self.stop_within)
        if self.store is not None:
            check_part("store", self.store)

    def words(self) -> tuple[str, ...]:
        """The program and its arguments, still with placeholders.

        Raises:
            UsageError: a quote in the command is not closed.
        """
        if not isinstance(self.command, str):
            return tuple(self.command)
        try:
            return tuple(shlex.split(self.command))
        except ValueError as problem:
            raise UsageError(
                f"the command {self.command!r} cannot be read: {problem}", "close every quote"
            ) from problem

    def argv(self, place: PlaceholderValues) -> tuple[str, ...]:
        """The command line of one copy."""
        return tuple(place.fill(word) for word in self.words())

    def environment(self, place: PlaceholderValues) -> dict[str, str]:
        """The variables that one copy gets in addition to those of the harness."""
        return {"PORT": str(place.port), **{name: place.fill(value) for name, value in self.env.items()}}

    def located(self, base: Path) -> "Command":
        """The same command with its directory resolved against ``base``."""
        return replace(self, cwd=(base / (self.cwd or ".")).resolve())

    def describe(self) -> dict[str, str | int | float]:
        """The service as plain values; of ``env`` only the names, and of the command only the program."""
        facts = {"target": "command", "command": name_program(self.words()), "ready": self.ready or "its port is open"}
        names = {"env": ", ".join(self.env), "store": self.store or ""}
        return {**facts, **{name: value for name, value in names.items() if value}}


@dataclass(frozen=True)
class Url:
    """A service that already runs: the harness loads and judges it, but never starts, balances or kills it.

    ``replicas`` are the addresses of its copies. The service and each copy must answer on the path ``ready``.
    """

    url: str
    replicas: Sequence[str] = ()
    ready: str | None = "/"

    def __post_init__(self) -> None:
        check_types(self)
        for address in self.addresses:
            _check_url(address)
        check_path(self.ready)

    @property
    def addresses(self) -> tuple[str, ...]:
        """The address of the service, and those of its replicas."""
        return (self.url, *self.replicas)

    @property
    def foreign_hosts(self) -> tuple[str, ...]:
        """The hosts other than this machine's loopback."""
        hosts = dict.fromkeys(urlsplit(address).hostname or "" for address in self.addresses)
        return tuple(host for host in hosts if not _is_loopback(host))

    def describe(self) -> dict[str, str | int | float]:
        """The service as plain values."""
        facts = {"target": "url", "url": self.url, "ready": self.ready or "its port is open"}
        return {**facts, **({"addresses": ", ".join(self.replicas)} if self.replicas else {})}


@dataclass(frozen=True)
class Image:
    """A service in an image, on the Docker backend: one container per replica.

    ``port`` is where it listens inside. ``{port}``, ``{replica}`` and ``{store}`` are replaced in ``env`` and
    ``command``, as for a ``Command``; without a ``command`` the image's own command runs.
    """

    image: str
    port: int
    command: str | Sequence[str] | None = None
    env: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold secrets
    ready: str | None = "/"
    ready_within: str = "30s"
    graceful: bool = True
    stop_within: str = "6s"
    store: str | None = None

    def __post_init__(self) -> None:
        check_types(self)
        if not self.image or not 0 < self.port < 65536:
            raise UsageError("an Image needs a name and the port inside", 'Image("myapp:1.2", port=8080)')
        _check_times(self.ready, self.ready_within, self.stop_within)
        if self.store is not None:
            check_part("store", self.store)

    def argv(self, place: PlaceholderValues) -> tuple[str, ...] | None:
        """The command of one copy; None for the image's own command."""
        if self.command is None:
            return None
        words = shlex.split(self.command) if isinstance(self.command, str) else self.command
        return tuple(place.fill(word) for word in words)

    def environment(self, place: PlaceholderValues) -> dict[str, str]:
        """The variables that one copy gets in addition to those of the image."""
        return {"PORT": str(place.port), **{name: place.fill(value) for name, value in self.env.items()}}

    def describe(self) -> dict[str, str | int | float]:
        """The service as plain values; of ``env`` only the names."""
        facts: dict[str, str | int | float] = {"target": "image", "image": self.image, "port": self.port}
        facts["ready"] = self.ready or "its port is open"
        names = {"env": ", ".join(self.env), "store": self.store or ""}
        return {**facts, **{name: value for name, value in names.items() if value}}


@dataclass(frozen=True)
class Compose:
    """A service of a Compose file, on the Docker backend: one container per replica, with the services that it needs.

    A relative path of the file starts at the scenario's directory; ``port`` is where the service listens inside. The
    file must not fix that port on this machine or the ``container_name``, since there are several containers.
    """

    file: str | Path
    service: str
    port: int
    env: Mapping[str, str] = field(default_factory=dict, repr=False)  # the variables of the file; may hold secrets
    ready: str | None = "/"
    ready_within: str = "60s"
    graceful: bool = True
    stop_within: str = "6s"
    store: ClassVar[None] = None  # the file defines its own

    def __post_init__(self) -> None:
        check_types(self)
        if not self.service or not 0 < self.port < 65536:
            raise UsageError(
                "a Compose needs a service and its port inside", 'Compose("compose.yaml", service="web", port=8080)'
            )
        _check_times(self.ready, self.ready_within, self.stop_within)

    def located(self, base: Path) -> "Compose":
        """The same service with its file resolved against ``base``."""
        return replace(self, file=(base / self.file).resolve())

    def describe(self) -> dict[str, str | int | float]:
        """The service as plain values; of ``env`` only the names."""
        facts: dict[str, str | int | float] = {"target": "compose", "file": Path(self.file).name}
        facts |= {"service": self.service, "port": self.port, "ready": self.ready or "its port is open"}
        return facts | ({"env": ", ".join(self.env)} if self.env else {})


#: Your own service, started by the harness.
OwnService = Command | Image | Compose
Target = BuiltIn | OwnService | Url


def _check_times(ready: str | None, ready_within: str, stop_within: str) -> None:
    if parse_seconds(ready_within) <= 0:
        raise UsageError("ready_within must be above 0", 'ready_within="30s"')
    if parse_seconds(stop_within) < 0:
        raise UsageError("stop_within must not be negative", 'stop_within="30s"')
    check_path(ready)


def check_path(path: str | None, name: str = "ready") -> None:
    """Check a path to request, which a scenario calls ``name``; None is allowed.

    Raises:
        UsageError: it is not a path.
    """
    if path is not None and not re.fullmatch(r"/[A-Za-z0-9._~/?&=%:@!,;+*-]*", path):
        raise UsageError(f"{name} must be a path that begins with /, or None, not {path!r}", f'{name}="/health"')


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
    except ValueError as problem:
        raise UsageError(f"cannot load {url!r}: {problem}", "http://127.0.0.1:8000") from problem
    if parts.scheme != "http" or not parts.hostname or not _has_port(parts):
        raise UsageError(f"cannot load {url!r}", "sessions speak plain HTTP: http://127.0.0.1:8000")
    if parts.path.strip("/") or parts.query or parts.username:
        raise UsageError(f"{url!r} holds more than an address", "put paths into the users; passwords are not supported")


def _has_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0  # None is 80
    except ValueError:
        return False


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def name_program(words: Sequence[str]) -> str:
    """A command line as a run keeps it: the program, and how many arguments follow, which may hold secrets."""
    return f"{Path(words[0]).name} ({len(words) - 1} arguments)"
