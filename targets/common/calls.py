"""The messages between a service and the process of a function: one JSON object per line."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class FunctionStart:
    """The first line to the process: what it is to run."""

    app: str
    state: str
    replica: str
    boot: str
    store: str
    secret: str
    options: Mapping[str, str]


@dataclass(frozen=True)
class Call:
    """One request: the parts of it that apps read."""

    method: str
    raw_path: str
    head: Mapping[str, str]
    body: str


@dataclass(frozen=True)
class Answer:
    """The reply to a call: the parts of it that the client receives."""

    status: int
    headers: Mapping[str, str]
    body: str
