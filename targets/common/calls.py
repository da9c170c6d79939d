"""What a front and the process of a function send to each other, one JSON object per line."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class FunctionStart:
    """The first line to the process: which function it is."""

    app: str
    state: str
    replica: str
    boot: str
    store: str
    secret: str
    options: Mapping[str, str]


@dataclass(frozen=True)
class Call:
    """One request, as far as apps read one."""

    method: str
    raw_path: str
    head: Mapping[str, str]
    body: str


@dataclass(frozen=True)
class Answer:
    """The reply to a call, as far as the client receives it."""

    status: int
    headers: Mapping[str, str]
    body: str
