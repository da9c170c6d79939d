"""A service that keeps the contents of one session, a network, and a client: what each did, as events.

A content is the sequence of the writes that were applied, by their number from 1. Nothing here knows how a judge works.
The world does what services do, and records it: apply, drop, repeat, apply late, forget, go back, answer from a copy.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import NamedTuple

Content = tuple[int, ...]


class Shown(NamedTuple):
    """What a reply shows of the session."""

    owner: str
    birth: str
    content: Content


class Event(NamedTuple):
    """Something that the client did or saw; ``write`` is 0 for a read."""

    what: str  # sent, ok, failed, in_doubt, login, final, unread
    write: int = 0
    shown: Shown | None = None


class Change(NamedTuple):
    """A content that gave way to another in which something is missing."""

    before: Content
    after: Content


@dataclass(frozen=True)
class History:
    """What the client did and saw, with a content for each reply and the ``changes`` that lie behind them."""

    events: Sequence[Event]
    changes: Sequence[Change]
    values: Mapping[int, object]
    doubted: Set[int]
    rejected: Set[int]
    shows_birth: bool


@dataclass(frozen=True)
class Network:
    """The probability of each fate of a request; all others are acknowledged by a reply that shows the state."""

    refused: float = 0.0  # not applied, and the client knows
    rejected: float = 0.0  # not applied; only the balancer's log knows
    lost: float = 0.0  # never arrives, and the client does not know
    unanswered: float = 0.0  # applied, but the reply is lost
    late: float = 0.0  # arrives some time later, or never
    silent: float = 0.0  # acknowledged without showing the state
    retries: float = 0.0  # of those in doubt


CALM = Network()
USUAL = Network(0.02, 0.01, 0.02, 0.02, 0.03, 0.15, 0.2)
ROUGH = Network(0.03, 0.02, 0.04, 0.04, 0.05, 0.4, 0.2)
_FATES = ("refused", "rejected", "lost", "unanswered", "late", "silent")
_MAX_DOUBTS = 7


@dataclass
class World:
    """One session. ``value_of`` draws the values of its writes, and ``react`` is called with each event."""

    rng: random.Random
    network: Network
    value_of: Callable[[random.Random], object]
    react: Callable[["World", Event], None]
    shows_birth: bool = True
    values: dict[int, object] = field(default_factory=dict)
    store: list[int] = field(default_factory=list)
    birth: str = "b1"
    owner: str = "me"
    versions: list[Content] = field(default_factory=lambda: [()])
    events: list[Event] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    rejected: set[int] = field(default_factory=set)
    times: int = 1  # that each write is applied
    next_times: list[int] = field(default_factory=list)  # the same of the next writes only
    next_is_shown: bool = False  # whether the reply shows the next write although it is not kept
    answers: list[Shown] = field(default_factory=list)  # that the next reads get, instead of the state
    always: Shown | None = None  # what all further replies show
    doubted: set[int] = field(default_factory=set)
    boot: str = "r0"
    _late: list[int] = field(default_factory=list)
    _births: int = 1

    # The client

    def step(self) -> None:
        """One random request."""
        self._deliver_late()
        if self.rng.random() < 0.6:
            self.write()
        else:
            self.read()

    def read(self) -> None:
        """A read that succeeds."""
        self._report(Event("ok", 0, self.answers.pop(0) if self.answers else self.seen()))

    def write(self, fate: str = "") -> int:
        """A write; its number."""
        number = len(self.values) + 1
        self.values[number] = self.value_of(self.rng)
        self._report(Event("sent", number))
        self._settle(number, fate or next(self._fates()))
        while number in self.doubted and number not in self.rejected and self.rng.random() < self.network.retries:
            self._retry(number)
        return number

    def _retry(self, number: int) -> None:
        """Send a write in doubt again; the service knows it by its id, and does not apply it twice."""
        if number in self._late:
            self._late.remove(number)
        if number not in self.store:
            self.apply(number, self._draw_times())
        self.doubted.discard(number)
        self._report(Event("ok", number, self.seen()))

    def _settle(self, number: int, fate: str) -> None:
        match fate:
            case "refused":
                self._report(Event("failed", number))
                return
            case "ok" | "silent":
                times = self._draw_times()
                shown = self.seen()
                self.apply(number, times)
                if times or not self.next_is_shown:
                    shown = self.seen()
                else:
                    shown = shown._replace(content=(*shown.content, number))
                self._report(Event("ok", number, shown if fate == "ok" else None))
                return
            case "unanswered":
                self.apply(number, self._draw_times())
            case "late":
                self._late.append(number)
            case "rejected":
                self.rejected.add(number)
        self.doubted.add(number)
        self._report(Event("in_doubt", number))

    def _fates(self) -> Iterator[str]:
        dice = self.rng.random()
        can_doubt = len(self.doubted) < _MAX_DOUBTS
        for fate in _FATES:
            dice -= getattr(self.network, fate)
            if dice < 0 and (can_doubt or fate in ("refused", "silent")):
                yield fate
        yield "ok"

    def login(self) -> None:
        """Send the client back to the login."""
        self._report(Event("login"))

    def end(self, read: bool = True) -> None:
        """The final read; it is made again if the first one came from a copy that is behind."""
        while read and self.answers:
            self._report(Event("final", 0, self.answers.pop(0)))
        self._report(Event("final", 0, self.seen()) if read else Event("unread"))

    def history(self) -> History:
        """What has happened so far."""
        return History(self.events, self.changes, self.values, self.doubted, self.rejected, self.shows_birth)

    def _report(self, event: Event) -> None:
        self.events.append(event)
        self.react(self, event)

    # The service

    def seen(self) -> Shown:
        """What a reply shows now."""
        return self.always or Shown(self.owner, self.birth, tuple(self.store))

    def apply(self, number: int, times: int = 1) -> None:
        """Apply a write."""
        self.store += [number] * times
        self.versions.append(tuple(self.store))

    def replace(self, content: Content) -> None:
        """Put another content in the place of the present one."""
        self.changes.append(Change(tuple(self.store), content))
        self.store = list(content)
        self.versions.append(content)

    def renew(self) -> None:
        """Give the session another id."""
        self._births += 1
        self.birth = f"b{self._births}"

    def acknowledged(self) -> list[int]:
        """The writes acknowledged so far."""
        return [event.write for event in self.events if event.what == "ok" and event.write]

    def _draw_times(self) -> int:
        return self.next_times.pop(0) if self.next_times else self.times

    def _deliver_late(self) -> None:
        for number in [number for number in self._late if self.rng.random() < 0.15]:
            self._late.remove(number)
            self.apply(number)
