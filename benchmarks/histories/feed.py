"""Passes the events of a world to the judge, through the ledger, as the load process does."""

from hashlib import blake2b

from benchmarks.histories.memory import Memory, Removal, show
from benchmarks.histories.world import Content, Event, Shown, World
from harness.observations.requests import Outcome
from harness.oracle.history import SessionHistory
from harness.oracle.judge import judge
from harness.oracle.ledger import Ledger
from harness.oracle.models import ModelFactory, Removed, counter, items, log, register, tally
from harness.oracle.observed import Observed, Tally
from harness.oracle.verdict import SessionVerdict

_MODELS: dict[str, ModelFactory] = {
    "tally": tally,
    "counter": counter,
    "register": register,
    "set": items,
    "log": log,
}
_OUTCOMES = {"ok": Outcome.OK, "failed": Outcome.FAILED, "in_doubt": Outcome.IN_DOUBT}


class Feed:
    """The ledger of one world's client. A service of another kind than the built-in ones may not show a birth."""

    def __init__(self, memory: Memory, seed: int, *, shows_birth: bool) -> None:
        self._memory = memory
        self._shows_birth = shows_birth
        self._ledger = Ledger(seed, 1, 1, "me", _MODELS[memory.name])
        self._ids: dict[int, int] = {}  # of the writes, by number
        self._t = 0

    def react(self, world: World, event: Event) -> None:
        """Pass one event to the ledger."""
        self._t += 1_000_000
        match event.what:
            case "sent":
                value = world.values[event.write]
                self._ids[event.write] = self._ledger.write(
                    Removed(value.item) if isinstance(value, Removal) else value
                )
            case "login":
                self._ledger.record_forced_login(self._t, world.boot)
            case "final":
                self._ledger.record_final_read(Outcome.OK, self._observe(event.shown, world), world.boot, self._t)
            case "unread":
                self._ledger.record_final_read(Outcome.IN_DOUBT, None, "", self._t)
            case _:
                op = self._ids.get(event.write, 0)
                seen = self._observe(event.shown, world)
                self._ledger.settle(op, _OUTCOMES[event.what], seen, world.boot, self._t)

    def verdict(self, world: World) -> SessionVerdict:
        """What the judge says."""
        return judge(*self.recorded(world))

    def recorded(self, world: World) -> tuple[SessionHistory, frozenset[int]]:
        """What the judge gets: what the ledger keeps, and the ids of the writes that never reached the service."""
        return self._ledger.history(), frozenset(self._ids[write] for write in world.rejected)

    def _observe(self, shown: Shown | None, world: World) -> Tally | Observed | None:
        if shown is None:
            return None
        if self._memory.name == "tally":
            return self._tally(shown)
        birth = shown.birth if self._shows_birth else None
        state = None if shown.owner != "me" else show(self._memory, shown.content, world.values)
        return Observed(birth, shown.owner if self._shows_birth or state is None else None, state)

    def _tally(self, shown: Shown) -> Tally:
        ids = [self._ids[write] for write in shown.content if write in self._ids]
        return Tally(shown.birth, shown.owner, len(shown.content), ids[-1] if ids else 0, self._digest(shown.content))

    def _digest(self, content: Content) -> int:
        """As docs/wire.md describes it."""
        tokens = (blake2b(b"%016x" % self._ids.get(write, write), digest_size=8).digest() for write in content)
        return sum(int.from_bytes(token, "big") for token in tokens) % 2**64
