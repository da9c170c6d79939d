"""How ``harness init`` finds out what a service does with its sessions: it writes, reads, ends and balances it."""

import copy
import secrets
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sized
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.cluster import balancers
from harness.cluster.backends.process import ProcessBackend
from harness.cluster.capabilities import Killable, Replica, Terminable
from harness.cluster.supervisor import Supervisor, start_supervisor
from harness.cluster.topology import Topology
from harness.common.clock import Clock
from harness.common.errors import HarnessError, UsageError
from harness.common.ports import Reservation
from harness.load.sessions.manual import ManualSession, SeenId
from harness.oracle.models import counter
from harness.oracle.observed import Observed
from harness.results.run import new_run_id
from harness.scenario.balancing import Balancing, Health
from harness.scenario.design import Design
from harness.scenario.loading import Loaded, user_classes
from harness.scenario.services import Command

_WRITES = 3
_MAX_STEPS = 60
_LOOKS = 6  # through a balancer: a session that is on one of two replicas is missed by one of two
_MAX_ABSENT = 3  # replies of 404 or 405 to one request before anything was written


@dataclass(frozen=True)
class InitFindings:
    """What two replicas, a few sessions and two ends have shown. None means unknown."""

    shown: str  # the state as the users read it; empty if no reply shows it
    trouble: str = ""  # why no reply shows it
    carriers: tuple[str, ...] = ()  # the cookies that a reply needs in order to show it
    carries: str = ""  # the id outside of cookies that it needs, as a scenario declares it; empty if none
    to_declare: str = ""  # the same, if the users do not declare it yet
    ids_seen: tuple[str, ...] = ()  # everything in replies that looks like an id, and where it travels
    replicas_agree: bool | None = None
    survives_stop: bool | None = None  # SIGTERM, and a start
    survives_restart: bool | None = None  # SIGKILL, and a start
    policies: Mapping[str, bool] = field(default_factory=dict)  # whether a session holds behind a balancer with it
    policy: str = ""  # the first of them that holds
    key: str = ""  # the cookie or header that it needs

    def sentences(self) -> Iterator[str]:
        """The findings in words."""
        if self.ids_seen:
            yield f"replies gave what may be an id: {', '.join(self.ids_seen)}"
        if not self.shown:
            yield f"{self.trouble}: say in the file where it shows, then run harness init FILE again"
            return
        yield f"the session showed {self.shown}"
        cookies = " and ".join(self.carriers)
        if cookies:
            yield f"sessions are carried by the cookie {cookies}"
        elif self.carries:
            yield f"sessions are carried by {self.carries}"
        else:
            yield "no single cookie carries the session"
        yield (
            "replicas agree: any of them knows the session"
            if self.replicas_agree
            else ("replicas differ: a session lives on one of them, so it needs affinity")
        )
        yield from self._describe_affinity()
        yield from self._describe_ends()

    def _describe_affinity(self) -> Iterator[str]:
        failed = " and ".join(policy for policy, holds in self.policies.items() if not holds)
        if self.policy and not self.replicas_agree:
            key = f', key="{self.key}"' if self.key else ""
            yield f'affinity helps: sessions hold behind Balancing("{self.policy}"{key}), and not with {failed}'
        elif failed and not self.policy:
            yield f"affinity does not help: no session held, neither with {failed.replace(' and ', ' nor with ')}"

    def _describe_ends(self) -> Iterator[str]:
        if self.survives_restart:
            yield "state survives a restart"
        elif self.survives_stop:
            yield "state survives SIGTERM and a start, not SIGKILL: a crash loses the sessions of its process"
        else:
            yield "state does not survive a restart: the sessions of a process that dies are lost"


async def examine(loaded: Loaded, logs: Path) -> InitFindings:
    """Bring up the first design with two replicas, run a few sessions, and read them back in several ways.

    Raises:
        UsageError: the file has no user that yields requests, or the service does not have its path.
        EnvironmentLacksError: the service does not start.
    """
    users = [kind for kind in user_classes(loaded.users) if hasattr(kind, "session")]
    if not users:
        raise UsageError(f"{loaded.path} has no SessionUser", "harness init writes one")
    design = replace(loaded.scenario.designs[0], replicas=2, balancing=Balancing("round_robin"))
    run = new_run_id()
    async with start_supervisor(run) as supervisor:
        backend = ProcessBackend(supervisor, nonce=run, secret=secrets.token_hex(16))
        async with backend.topology(design, logs, Clock()) as topology:
            return await _Examination(users[0], design, topology, supervisor, logs).run()


class _Examination:
    """The sessions of one user class against a topology of two replicas."""

    def __init__(
        self, user_class: type, design: Design, topology: Topology, supervisor: Supervisor, logs: Path
    ) -> None:
        from locust.env import Environment  # noqa: PLC0415 - the scenario has imported Locust already

        self._environment = Environment()
        self._user_class = user_class
        self._target = design.target
        self._topology = topology
        self._supervisor = supervisor
        self._logs = logs
        self._sessions = 0
        self._here, self._there = (replica.member.address_from_host for replica in topology.replicas)

    async def run(self) -> InitFindings:
        session, carried = await self._find_session()
        seen = tuple(f"cookie {name}" for name in session.jar.names())
        seen += tuple(candidate.label for candidate in session.find_ids())
        if trouble := await self._trouble_of(session):
            return InitFindings("", trouble, ids_seen=seen)
        memory = _Memory(session)
        carriers = [name for name in session.jar.names() if not await memory.shows_state(self._here, name)]
        agree = await memory.shows_state(self._there)
        findings = InitFindings(
            f"{_value(memory.state)!r}"[:80],
            carriers=tuple(carriers),
            carries=carried.source if carried else "",
            to_declare=carried.source if carried and not session.declared else "",
            ids_seen=seen,
            replicas_agree=agree,
        )
        findings = await self._try_policies(findings, carried, _size(_value(memory.state)))
        return await self._try_ends(findings, memory)

    async def _find_session(self) -> tuple[ManualSession, SeenId | None]:
        """A session whose state shows, and what carries its id if no cookie does; else the first session."""
        first = await self._play(self._here, None)
        if _value(await first.look(*self._here)) or first.declared:
            return first, next(iter(first.declared), None)
        for candidate in first.find_ids():
            session = await self._play(self._here, candidate)
            if _value(await session.look(*self._here)):
                return session, candidate
        return first, None

    async def _trouble_of(self, session: ManualSession) -> str:
        """Why the session's state is not to be trusted; empty if nothing is wrong."""
        if not session.acknowledged:
            return "no write succeeded"
        value = _value(await session.look(*self._here))
        if not value:
            return "no reply showed what was written"
        if type(session.user).model is counter and isinstance(value, int) and value > session.acknowledged:
            return f"{session.acknowledged} requests made the number {value}, so it does not count them"
        return ""

    async def _play(self, address: tuple[str, int], carried: SeenId | None) -> ManualSession:
        """A new session of a new user, with some writes."""
        self._sessions += 1
        session = ManualSession(self._user_class(self._environment), self._sessions, (carried,) if carried else ())
        absent: Counter[str] = Counter()

        def require_path(request: str, status: int) -> None:
            absent[request] += status in (404, 405) and not session.acknowledged
            if absent[request] >= _MAX_ABSENT:
                raise UsageError(
                    f"{request} answers {status}: the service does not have it",
                    "--path names one that it has" if status == 404 else "set another method in the file",
                )

        await session.play(*address, _WRITES, _MAX_STEPS, require_path)
        return session

    async def _try_policies(self, findings: InitFindings, carried: SeenId | None, size: int) -> InitFindings:
        """Which policy keeps sessions whole: round robin, else those that follow what carries them."""
        candidates = [("round_robin", ""), ("cookie", ""), *(("learn_cookie", name) for name in findings.carriers)]
        if carried:  # such a client rarely keeps a balancer's cookie
            learned = [("learn_header", carried.header)] if carried.header else []
            candidates = [("round_robin", ""), *learned, ("source", "")]
        tried: dict[str, bool] = {}
        for policy, key in candidates:
            balancing = Balancing(policy, key=key) if key else Balancing(policy)
            holds = await self._holds(balancing, carried, size)
            if holds is not None:
                tried[policy] = holds
            if holds:
                return replace(findings, policies=tried, policy=policy, key=key)
        return replace(findings, policies=tried)

    async def _holds(self, balancing: Balancing, carried: SeenId | None, size: int) -> bool | None:
        """Whether a session behind a balancer shows all that it wrote, again and again; None: not tried."""
        ready = self._target.ready if isinstance(self._target, Command) else "/"
        members = [replica.member for replica in self._topology.replicas]
        scratch = Path(tempfile.mkdtemp(prefix="policy-", dir=self._supervisor.scratch))
        balancing = replace(balancing, health=Health(path=ready))
        try:
            with Reservation() as port:
                async with balancers.start(
                    balancing, members, self._supervisor, scratch=scratch, logs=self._logs, port=port.port
                ):
                    address = ("127.0.0.1", port.port)
                    session = await self._play(address, carried)
                    views = [await session.look(*address) for _ in range(_LOOKS)]
        except HarnessError:
            return None
        return all(view == views[0] and _size(_value(view)) == size for view in views)

    async def _try_ends(self, findings: InitFindings, memory: "_Memory") -> InitFindings:
        """Whether the state survives SIGTERM and a start and, if it does, SIGKILL and a start."""
        first: Replica = self._topology.replicas[0]
        assert isinstance(first, Killable) and isinstance(first, Terminable)  # noqa: S101 - a command's replicas are
        await first.terminate()
        await first.restart()
        survives = await memory.shows_state(self._here)
        if survives:
            await first.kill()
            await first.restart()
        return replace(
            findings, survives_stop=survives, survives_restart=survives and await memory.shows_state(self._here)
        )


class _Memory:
    """A session that was written, and what it showed then; each look begins with its cookies and ids as they were."""

    def __init__(self, session: ManualSession) -> None:
        self._session = session
        self._jar = session.jar.copy()
        self._carried = session.carried.copy()
        self.state = session.last_seen

    async def shows_state(self, replica: tuple[str, int], without: str = "") -> bool:
        """Whether the replica shows the state, also without a cookie. The user forgets a read that does not."""
        session, user = self._session, self._session.user
        session.jar = self._jar.copy()
        session.carried.copy_from(self._carried)
        before = {name: copy.deepcopy(value) for name, value in vars(user).items() if name != "environment"}
        same = await session.look(*replica, without) == self.state
        if not same:
            vars(user).update(before)
        return same


def _size(value: object) -> int:
    """How much a state holds: a count itself, the items of a list, one for anything else."""
    if isinstance(value, int):
        return int(value)
    return len(value) if isinstance(value, Sized) and not isinstance(value, str) else int(value is not None)


def _value(state: object) -> object:
    return state.state if isinstance(state, Observed) else state
