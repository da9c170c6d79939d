"""The settings of one service, checked when they are read. A problem becomes a message of one line."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")


class SettingsError(Exception):
    """A wrong setting: the message says what is wrong and what to write instead. The class has the exit code."""

    code: ClassVar[int] = 2


class AddressError(SettingsError):
    """An address that cannot be listened on."""

    code = 4


def seconds(text: str) -> float:
    """The seconds in ``20ms``, ``1m30s`` or ``0.5``.

    Raises:
        SettingsError: the text is not a duration.
    """
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise SettingsError(f"{text!r} is not a duration: write it like 20ms, 1.5s or 1m30s")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


@dataclass(frozen=True)
class Options:
    """The ``--option KEY=VALUE`` of an app and a state."""

    values: Mapping[str, str] = field(default_factory=dict)

    def text(self, key: str, default: str, allowed: tuple[str, ...] = ()) -> str:
        """The value, or ``default``. It has to be one of ``allowed``, if there are any.

        Raises:
            SettingsError: it is not.
        """
        value = self.values.get(key, default)
        if allowed and value not in allowed:
            raise SettingsError(f"--option {key}={value} is not known: {' or '.join(allowed)}")
        return value

    def flag(self, key: str) -> bool:
        """Whether the value is ``yes``; ``no`` is the default."""
        return self.text(key, "no", ("yes", "no")) == "yes"

    def whole(self, key: str, default: int) -> int:
        """A whole number, 0 or above.

        Raises:
            SettingsError: the value is not one.
        """
        value = self.values.get(key, str(default))
        if not (value.isascii() and value.isdigit() and len(value) <= 9):
            raise SettingsError(f"--option {key}={value} is not a whole number")
        return int(value)

    def seconds(self, key: str, default: float) -> float:
        """A duration above 0, in seconds.

        Raises:
            SettingsError: it is not a duration, or 0.
        """
        length = seconds(self.values[key]) if key in self.values else default
        if length <= 0:
            raise SettingsError(f"--option {key} must be above 0")
        return length


@dataclass(frozen=True)
class Settings:
    """What an app or a store for its state may want to know of the service it is part of.

    ``volume`` is a directory of this replica alone, which outlives its process; None where it has none. ``peers`` are
    the addresses (``host:port``) of all replicas that were known at the start, this one among them, by name. ``state``
    is the name of the store.
    """

    replica: str
    boot: str
    store: str = ""
    secret: str = ""
    options: Options = Options()
    volume: Path | None = None
    peers: Mapping[str, str] = field(default_factory=dict)
    state: str = ""

    def volume_for(self, what: str) -> Path:
        """The volume, for an app or a state that needs one.

        Raises:
            SettingsError: there is none.
        """
        if self.volume is None:
            raise SettingsError(f"{what} needs --volume DIR, a directory that outlives the service")
        return self.volume

    def __post_init__(self) -> None:
        for name, address in self.peers.items():
            host, _, port = address.rpartition(":")
            if not (name and host and port.isascii() and port.isdigit()):
                raise SettingsError(f"--peers {name}={address} is not an address: write it like r0=127.0.0.1:8081")
        if self.volume is not None and not self.volume.is_dir():
            raise SettingsError(f"--volume {self.volume} is not a directory: create it first")
