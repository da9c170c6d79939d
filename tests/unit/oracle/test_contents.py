"""What the judge makes of random histories with one bug, compared with the contents that a simulated service held.

Values do not repeat here, so a reply of a tally or a log shows its content exactly: every figure follows from that.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from benchmarks.histories.accounts import find_accounts
from benchmarks.histories.bugs import BUGS
from benchmarks.histories.feed import Feed
from benchmarks.histories.memory import MEMORIES, Memory, Removal, show
from benchmarks.histories.truth import Truth
from benchmarks.histories.world import CALM, ROUGH, USUAL, Content, History, World
from harness.oracle.reconstruction import Reconstruction
from harness.oracle.replay import SURPLUS
from harness.oracle.verdict import SessionVerdict

HISTORIES = 200


def draw_new() -> Callable[[random.Random], object]:
    """Draws items that were never drawn before, and removals of items that are there."""
    items = [f"item {n}" for n in range(1000)]
    added: list[str] = []

    def draw(rng: random.Random) -> object:
        if added and rng.random() < 0.3:
            return Removal(added.pop(rng.randrange(len(added))))
        added.append(items.pop())
        return added[-1]

    return draw


@dataclass(frozen=True)
class Judged:
    """A history as it was and as it was judged."""

    memory: Memory
    history: History
    verdict: SessionVerdict
    session: Reconstruction

    @property
    def shown(self) -> list[Content]:
        """Every content of the session that a reply showed."""
        return [event.shown.content for event in self.history.events if event.shown and event.shown.owner == "me"]

    @property
    def truth(self) -> Truth:
        """What happened."""
        return Truth(self.history, self.memory)

    @property
    def is_right(self) -> bool:
        """Whether the outcome is what happened, or something else with as few incidents that looks the same."""
        outcome = self.verdict.outcome
        return outcome == self.truth.kind or any(
            Truth(account, self.memory).kind == outcome for account in find_accounts(self.history, self.memory)
        )

    @property
    def final(self) -> Content | None:
        """What the final read showed of the session; it may have shown another one's."""
        last = self.history.events[-1].shown
        return last.content if last is not None and last.owner == "me" else None

    def looks_like(self, content: Content, other: Content) -> bool:
        """Whether two contents look the same to a client. ``SURPLUS`` is any write of a number."""
        values = {SURPLUS: None, **self.history.values}
        return show(self.memory, content, values) == show(self.memory, other, values)

    def expected(self, place: int) -> set[int]:
        """What the reply at this place should have shown: what the one before it did, and all acknowledged since."""
        content: set[int] = set()
        for event in self.history.events[: place + 1]:
            content |= {event.write} if event.what == "ok" and event.write else set()
            if event.shown and event.shown.owner == "me" and event is not self.history.events[place]:
                content = {*event.shown.content}
        return content

    @property
    def came_back(self) -> bool:
        """Whether a reply lacked what was acknowledged or seen before it, and a later one did not."""
        known: set[int] = set()
        lacking: set[int] = set()
        for event in self.history.events:
            known |= {event.write} if event.what == "ok" and event.write else set()
            if event.shown and event.shown.owner == "me":
                if lacking & {*event.shown.content}:
                    return True
                known |= {*event.shown.content}
                lacking |= known - {*event.shown.content}
        return False


def play(name: str, seed: int) -> Judged:
    """A history with one bug, and what was made of it."""
    rng = random.Random(seed)
    memory = MEMORIES[name]
    if name not in ("tally", "counter"):
        memory = replace(memory, draw=draw_new() if name == "set" else lambda rng: f"value {rng.randrange(10**12)}")
    feed = Feed(memory, seed, shows_birth=rng.random() < 0.5)
    world = World(rng, rng.choice([CALM, USUAL, ROUGH]), memory.draw, feed.react, seed % 2 == 0)
    bug = rng.choice(list(BUGS.values()))
    for _ in range(rng.randint(0, 12)):
        world.step()
    bug(world)
    for _ in range(rng.randint(0, 12)):
        world.step()
    world.end()
    return Judged(memory, world.history(), feed.verdict(world), Reconstruction(*feed.recorded(world)))


def check_counts(judged: Judged) -> None:
    """What a client knows whatever the memory shows."""
    events, verdict = judged.history.events, judged.verdict
    assert verdict.acknowledged == sum(event.what == "ok" and event.write > 0 for event in events)
    assert verdict.in_doubt == len(judged.history.doubted - judged.history.rejected)
    assert verdict.leaked == any(event.shown is not None and event.shown.owner != "me" for event in events)
    assert verdict.forced_login == any(event.what == "login" for event in events)


def check_contents(judged: Judged) -> int:
    """What was found in each unexpected reply looks like what the service had sent; how many were not explained."""
    unknown = 0
    for replayed in judged.session.divergences:
        event = judged.history.events[replayed.divergence.t_ns // 1_000_000 - 1]
        assert event.shown is not None
        unknown += replayed.after is None
        assert replayed.after is None or judged.looks_like(replayed.after, event.shown.content)
    if judged.memory.name == "counter" and judged.final is not None:
        too_low = max(0, judged.verdict.acknowledged - len(judged.final))
        assert too_low <= judged.verdict.lost_writes <= too_low + judged.verdict.in_doubt
    elif judged.session.present is not None and judged.final is not None and not judged.history.doubted:
        assert judged.looks_like(tuple(sorted(judged.session.present)), judged.final)
    return unknown


def check_exactly(judged: Judged) -> None:
    """Where a reply shows its content, all figures are known."""
    verdict, truth = judged.verdict, judged.truth
    most = Counter[int]()
    for content in judged.shown:
        most |= Counter(content)
    seen = frozenset(most)
    assert verdict.lost_writes == len(truth.gone)
    assert sum(loss.writes for loss in verdict.losses) == (len(truth.gone) if truth.kind == "lost" else 0)
    assert (verdict.lost, verdict.rolled_back) == (truth.kind == "lost", truth.kind == "rolled_back")
    assert verdict.duplicates == most.total() - len(most)
    assert verdict.recovered == len(seen & (judged.history.doubted - judged.history.rejected))
    refused = {event.write for event in judged.history.events if event.what == "failed"} | {*judged.history.rejected}
    assert verdict.unexplained == len(seen & refused)
    assert verdict.stale == judged.came_back
    for replayed in judged.session.divergences:
        place = replayed.divergence.t_ns // 1_000_000 - 1
        shown = judged.history.events[place].shown
        assert shown is not None and replayed.after == tuple(sorted(shown.content))
        assert replayed.before is not None
        assert {*replayed.before} - judged.history.doubted == judged.expected(place) - judged.history.doubted
    assert judged.final is None or judged.session.present in (None, frozenset(judged.final))


@pytest.mark.parametrize("name", ["tally", "log"])
def test_where_replies_show_their_content_every_figure_is_right(name: str) -> None:
    for seed in range(HISTORIES):
        judged = play(name, seed)
        check_counts(judged)
        assert judged.is_right
        if judged.verdict.outcome == judged.truth.kind:
            check_exactly(judged)


@pytest.mark.parametrize(("name", "most_unknown"), [("counter", 0), ("register", 0), ("set", HISTORIES // 50)])
def test_other_states_are_explained_by_contents_that_look_the_same(name: str, most_unknown: int) -> None:
    unknown = 0
    for seed in range(HISTORIES):
        judged = play(name, seed)
        check_counts(judged)
        assert judged.is_right
        unknown += check_contents(judged)
    assert unknown <= most_unknown
