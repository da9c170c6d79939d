"""In memory, with seeded bugs, to calibrate the judge of sessions. For one replica, and one writer per session.

``--option bugs=drop:0.1,stale:0.1`` gives each owner (``X-User``) at most one bug, chosen by a hash of the owner and
``--option bug_seed``. It strikes once, at a write between the third and the eighth. Every write is acknowledged as if
it had succeeded:

- ``drop``       that write is not applied: one write is missing from then on
- ``duplicate``  that write is applied twice
- ``stale``      the next read is answered from before the last write; the reads after it are right
- ``leak``       the next read is answered with another owner's session, as soon as there is one
- ``rollback``   the state returns to two or more writes earlier, but not to the start, and stays there
- ``lose``       the session is lost: its handle is unknown from then on

Reads that a write starts from are always right, or a stale read would become a drop. If a stale reply is the last that
a client sees of its session, it looks like a drop, so calibrate with sessions that end with more than one read.
``GET /truth`` reports which bugs have struck, and what is stored.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from targets.common.session import SessionState, WriterTally
from targets.common.settings import Options, Settings, SettingsError
from targets.state import TTL
from targets.state.memory import Memory

OPTIONS: tuple[str, ...] = ("ttl", "bugs", "bug_seed")
KEEPS_SESSIONS = True

BUGS = ("drop", "duplicate", "stale", "leak", "rollback", "lose")
NO_BUG = "none"
_FIRST, _LAST = 3, 8


@dataclass
class BugPlan:
    """The bug of one owner, and whether it has struck. ``past`` has the earlier states by version."""

    bug: str
    at: int
    depth: int
    armed: bool = False
    struck: bool = False
    births: list[str] = field(default_factory=list)
    past: dict[int, SessionState] = field(default_factory=dict)


@dataclass(frozen=True)
class Bugs:
    """The probability of each bug; the rest up to 1 is the probability of none."""

    rates: Mapping[str, float]
    seed: str = "1"

    def __post_init__(self) -> None:
        unknown = [bug for bug in self.rates if bug not in BUGS]
        if unknown:
            raise SettingsError(f"no bug {unknown[0]!r}: {', '.join(BUGS)}")
        if min(self.rates.values(), default=0) < 0 or sum(self.rates.values()) > 1 + 1e-9:
            raise SettingsError("the rates of the bugs must not be negative, and must add up to 1 at most")

    def plan(self, owner: str) -> BugPlan:
        """The owner's plan: the same for the same seed."""
        at = _FIRST + self._number(owner, "at") % (_LAST - _FIRST + 1)
        depth = 2 + self._number(owner, "depth") % (at - 2)  # from 2 to at - 1: at least one write remains
        return BugPlan(self._bug(owner), at, depth)

    def _bug(self, owner: str) -> str:
        dice = self._number(owner, "bug") / 2**64
        for bug, rate in self.rates.items():
            dice -= rate
            if dice < 0:
                return bug
        return NO_BUG

    def _number(self, owner: str, purpose: str) -> int:
        return int.from_bytes(blake2b(ascii((self.seed, purpose, owner)).encode(), digest_size=8).digest(), "big")


class Faulty:
    """A memory with a planned bug for each owner."""

    def __init__(self, memory: Memory, bugs: Bugs) -> None:
        self._memory, self._bugs = memory, bugs
        self._plans: dict[str, BugPlan] = {}

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Forget everything."""
        await self._memory.close()

    async def read(self, handle: str, *, to_write: bool = False) -> SessionState | None:
        """The session; once, the answer of a stale or leaking store."""
        session = await self._memory.read(handle)
        if session is None or to_write:
            return session
        plan = self._plan(session)
        if not plan.armed or plan.struck:
            return session
        if plan.bug == "stale":
            plan.struck = True
            return plan.past[session.version - 1]
        foreign = next((other for other in self._memory.sessions() if other.owner != session.owner), None)
        if foreign is None:
            return session
        plan.struck = True
        return foreign

    async def create(self, session: SessionState) -> str:
        """Keep it; this is never faulty."""
        self._plan(session).births.append(session.birth)
        return await self._memory.create(session)

    async def write(self, handle: str, session: SessionState) -> str:
        """Replace it; once, do what the plan says."""
        plan, before = self._plan(session), await self._memory.read(handle)
        if before is None or plan.struck or plan.bug == NO_BUG:
            return await self._memory.write(handle, session)
        plan.past[before.version] = before
        if session.version != plan.at:
            return await self._memory.write(handle, session)
        self._strike(plan, handle, before, session)
        return handle

    def pages(self) -> Mapping[str, Callable[[], object]]:
        """The page ``/truth``."""
        return {"/truth": self._truth}

    def _strike(self, plan: BugPlan, handle: str, before: SessionState, session: SessionState) -> None:
        plan.armed, plan.struck = True, plan.bug not in ("stale", "leak")  # these two wait for a read
        match plan.bug:
            case "drop":
                pass
            case "lose":
                self._memory.forget(handle)
            case "duplicate":
                self._memory.put(handle, _apply_twice(before, session))
            case "rollback":
                self._memory.put(handle, plan.past[session.version - plan.depth])
            case _:
                self._memory.put(handle, session)

    def _plan(self, session: SessionState) -> BugPlan:
        if session.owner not in self._plans:
            self._plans[session.owner] = self._bugs.plan(session.owner)
        return self._plans[session.owner]

    def _truth(self) -> object:
        sessions = [
            {"owner": owner, "bug": plan.bug, "struck": plan.struck, "births": plan.births}
            for owner, plan in self._plans.items()
        ]
        dump = {
            session.birth: {
                "owner": session.owner,
                "writers": {name: tally.to_response() for name, tally in session.writers.items()},
            }
            for session in self._memory.sessions()
        }
        return {"sessions": sessions, "dump": dump}


def _apply_twice(before: SessionState, after: SessionState) -> SessionState:
    """The session after applying the write between these two states once more."""
    writer = next(name for name, tally in after.writers.items() if tally != before.writers.get(name, WriterTally()))
    names = {**before.items, **after.items}
    items = {name: 2 * after.items.get(name, 0) - before.items.get(name, 0) for name in names}
    return after.with_write(writer, after.writers[writer].last, {name: n for name, n in items.items() if n > 0})


def _rates(options: Options) -> dict[str, float]:
    parts = [part.partition(":") for part in options.text("bugs", "").split(",") if part]
    try:
        return {bug: float(rate) for bug, _, rate in parts}
    except ValueError as problem:
        raise SettingsError("write bugs as NAME:RATE,NAME:RATE, such as drop:0.1,lose:0.05") from problem


def create_store(settings: Settings) -> Faulty:
    """A faulty memory with the options ``ttl``, ``bugs`` and ``bug_seed``."""
    memory = Memory(settings.options.seconds("ttl", TTL))
    return Faulty(memory, Bugs(_rates(settings.options), settings.options.text("bug_seed", "1")))
