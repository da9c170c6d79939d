"""TODO: harness.observations.events."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True)
class Event:
    """Something that happened once: ``kind`` names it, ``subject`` the part, ``detail`` the evidence."""

    t: float  # seconds from T0
    kind: str  # fault_commanded | fault_effective | fault_healed | part_died
    subject: str
    detail: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)


class Effect(NamedTuple):
    """A line of the effect journal: what the service did to the world outside, under which operation id and boot."""

    op: int
    what: str = ""
    boot: str = ""
