"""How ``harness init`` finds out what a service does with its sessions: with writes, reads, and one kill."""

import copy
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from harness.cluster.backends.process import ProcessBackend
from harness.cluster.capabilities import Killable
from harness.cluster.supervisor import start_supervisor
from harness.cluster.topology import Topology
from harness.common.clock import Clock
from harness.common.errors import UsageError
from harness.load.sessions.manual import ManualSession
from harness.oracle.models import counter
from harness.oracle.observed import Observed
from harness.results.run import new_run_id
from harness.scenario.loading import Loaded, user_classes

_WRITES = 3
_MAX_STEPS = 60


@dataclass(frozen=True)
class InitFindings:
    """What two replicas, one session and one kill have shown. None means unknown."""

    shown: str  # the state as the users read it; empty if no reply shows it
    trouble: str = ""  # why no reply shows it
    carriers: tuple[str, ...] = ()  # the cookies that a reply needs in order to show it
    replicas_agree: bool | None = None
    survives_restart: bool | None = None

    def sentences(self) -> Iterator[str]:
        """The findings in words."""
        if not self.shown:
            yield f"{self.trouble}: say in the file where it shows, then run harness init FILE again"
            return
        yield f"the session showed {self.shown}"
        cookies = " and ".join(self.carriers)
        yield f"sessions are carried by the cookie {cookies}" if cookies else "no single cookie carries the session"
        yield (
            "replicas agree: any of them knows the session"
            if self.replicas_agree
            else ("replicas differ: a session lives on one of them, so it needs affinity")
        )
        yield (
            "state survives a restart"
            if self.survives_restart
            else ("state does not survive a restart: the sessions of a process that dies are lost")
        )


async def examine(loaded: Loaded, logs: Path) -> InitFindings:
    """Bring up the first design with two replicas, run one session, and read it back in several ways.

    Raises:
        UsageError: the file has no user that yields requests.
        EnvironmentLacksError: the service does not start.
    """
    users = [kind for kind in user_classes(loaded.users) if hasattr(kind, "session")]
    if not users:
        raise UsageError(f"{loaded.path} has no SessionUser", "harness init writes one")
    from locust.env import Environment  # noqa: PLC0415 - the scenario has imported Locust already

    session = ManualSession(users[0](Environment()))
    design = replace(loaded.scenario.designs[0], replicas=2)
    run = new_run_id()
    async with start_supervisor(run) as supervisor:
        backend = ProcessBackend(supervisor, nonce=run, secret=secrets.token_hex(16))
        async with backend.topology(design, logs, Clock()) as topology:
            return await _examine(session, topology)


async def _examine(session: ManualSession, topology: Topology) -> InitFindings:
    first, second = topology.replicas
    here, there = first.member.address_from_host, second.member.address_from_host
    writes = await session.play(*here, _WRITES, _MAX_STEPS)
    state = await session.look(*here)
    if not writes:
        return InitFindings("", "no write succeeded")
    if not _value(state):
        return InitFindings("", "no reply showed what was written")
    if type(session.user).model is counter and isinstance(count := _value(state), int) and count > writes:
        return InitFindings("", f"{writes} requests made the number {count}, so it does not count them")
    cookies = dict(session.cookies)

    async def shows_state(replica: tuple[str, int], without: str = "") -> bool:
        """Whether the replica shows the state. The user forgets a read that does not."""
        session.cookies = dict(cookies)
        before = {name: copy.deepcopy(value) for name, value in vars(session.user).items() if name != "environment"}
        same = await session.look(*replica, without) == state
        if not same:
            vars(session.user).update(before)
        return same

    carriers = [name for name in cookies if not await shows_state(here, name)]
    agree = await shows_state(there)
    assert isinstance(first, Killable)  # noqa: S101 - a command's replicas are
    await first.kill()
    await first.restart()
    return InitFindings(f"{_value(state)!r}"[:80], "", tuple(carriers), agree, await shows_state(here))


def _value(state: object) -> object:
    return state.state if isinstance(state, Observed) else state
