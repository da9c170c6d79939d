"""What happened once during an arm: faults, parts, workers; and the effects that the service had on the outside."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

DetailValue = str | int | float | bool | None
Detail = Mapping[str, DetailValue]


class EventKind(enum.StrEnum):
    """Every kind of event that the harness records; the values stand in events.jsonl."""

    FAULT_COMMANDED = "fault_commanded"
    FAULT_EFFECTIVE = "fault_effective"
    FAULT_HEALED = "fault_healed"
    REPLICA_READY = "replica_ready"
    BROUGHT_UP = "brought_up"  # all parts are up; the detail counts their ports and lines of configuration
    MEMBER_STATE = "member_state"  # the balancer changed its opinion of a replica
    WORKER_JOINED = "worker_joined"
    WORKER_LOST = "worker_lost"
    PART_DIED = "part_died"
    BROKEN_OFF = "broken_off"  # the arm ended early for another reason than the death of a part


@dataclass(frozen=True)
class Event:
    """Something that happened once: ``kind`` names it, ``subject`` the part, ``detail`` the evidence.

    A kind is one of ``EventKind``, or a string that a later version recorded.
    """

    t: float  # seconds from T0
    kind: str
    subject: str
    detail: Detail = field(default_factory=dict)


#: The subject of what concerns the load process with the control channel, where it is not on this machine.
LOAD = "load"


class Effect(NamedTuple):
    """A line of the effect journal: what the service did to the world outside, under which operation id and boot."""

    op: int
    what: str = ""
    boot: str = ""


def describe_forced(evidence: Detail) -> str:
    """What SIGKILL cut off because SIGTERM did not end a replica in time, in words; empty if that did not happen."""
    if not evidence.get("forced"):
        return ""
    connections = evidence.get("open_connections")
    cut = "" if connections is None else f" and cut off {connections} open connection{'s' * (connections != 1)}"
    return f": SIGTERM did not end it within {evidence.get('grace_s', 0):g} s, SIGKILL did{cut}"
