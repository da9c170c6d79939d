"""``harness init``: writes a scenario for a service, brings that up, and says what it understood of its sessions."""

import copy
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

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
from harness.scenario.services import Command

_WRITES = 3  # that the check makes
_STEPS = 60


@dataclass(frozen=True)
class SessionKind:
    """One way in which a session shows: the recipe for it, and what of that is usually changed."""

    recipe: str
    asks: str
    lines: str


#: By the name that ``--session`` takes.
KINDS = {
    "page": SessionKind(
        "Probe",
        "a page that differs from session to session, or counts its visits",
        """    path = {path}  # the page that shows something of the session""",
    ),
    "counter": SessionKind(
        "SessionCounter",
        "a number that goes up with every request",
        """    write = {path}  # what raises the number
    method = "GET"  # or "POST"
    read = None  # a page that shows it without raising it, if there is one
    # observe = Json("count") or Number(r"visits: (\\d+)"); by default the first whole number of the body""",
    ),
    "cart": SessionKind(
        "Cart",
        "items that are added and listed",
        """    add = {path} + "/add"  # POST {{"item": "..."}}; form = True sends a form
    read = {path}  # what lists them
    # observe = Json("items", missing=()) or Texts(r"<li>(.*?)</li>"); by default the JSON's "items\"""",
    ),
    "login": SessionKind(
        "Login",
        "a login form, then a page that says who is logged in",
        """    login_page = "/login"  # its hidden fields (a CSRF token) are sent along
    home = {path}  # the page that says who is logged in
    fields = ("username", "password")
    # who = Text(r"Signed in as (\\w+)"); by default the name stands somewhere on the page

    def credentials(self, client):
        return client.user, "secret"  # u1, u2, ...: one account a session, or the same for all""",
    ),
}

_TEMPLATE = '''\
"""What becomes of the sessions of a service of ours when one of its processes is killed.

    harness run {file}
"""

from harness import At, Balancing, Command, Design, Kill, Restart, Scenario, Sessions
from harness.recipes import Header, Json, Number, {recipe}, Text, Texts

# Started once a replica. {{port}} and the variable PORT say where to listen; {{replica}} is its name.
# More: env={{"KEY": "value"}}, cwd="directory", ready_within="60s", store="redis" (its address is {{store}}).
SERVICE = Command({command}, ready={ready})


class Visitor({recipe}):
{lines}


SCENARIO = Scenario(
    designs=[
        Design("affinity", SERVICE, Balancing("cookie"), at_risk="victim"),
        Design("spread", SERVICE, Balancing("round_robin")),
    ],
    replicas=3,
    load=Sessions(concurrent=50, duration="10s", warmup="1s"),
    faults=[At("4s", Kill(1)), At("6s", Restart(1))],
    # expect=[keeps("spread")] once you know what to expect: see docs/your-service.md
)
'''


@dataclass(frozen=True)
class InitOptions:
    """What ``harness init`` was told: how the service starts, and how a session shows."""

    command: str
    ready: str = "/"
    session: str = "page"
    path: str = "/"

    def __post_init__(self) -> None:
        if self.session not in KINDS:
            raise UsageError(f"a session does not show as {self.session!r}", f"one of {', '.join(KINDS)}")
        Command(self.command, ready=self.ready)  # checks them

    def scenario(self, file: str) -> str:
        """The text of a scenario file of that name."""
        kind = KINDS[self.session]
        lines = kind.lines.format(path=json.dumps(self.path))
        return _TEMPLATE.format(
            file=file,
            recipe=kind.recipe,
            command=json.dumps(self.command),
            ready=json.dumps(self.ready),
            lines=lines,
        )


def write(wish: InitOptions, file: Path, force: bool) -> None:
    """Write the scenario.

    Raises:
        UsageError: the file is there already, or cannot be written.
    """
    if file.exists() and not force:
        raise UsageError(f"{file} is there already", "choose another name, or --force")
    try:
        file.write_text(wish.scenario(file.name))
    except OSError as problem:
        raise UsageError(f"cannot write {file}: {problem.strerror}", "choose another place") from problem


@dataclass(frozen=True)
class InitFindings:
    """What two replicas, one session and one kill have shown. None: it could not be told."""

    shown: str  # the state as the users read it; empty where no reply shows it
    trouble: str = ""  # why it is not shown
    carriers: tuple[str, ...] = ()  # cookies without which the state is not shown
    replicas_agree: bool | None = None
    survives_restart: bool | None = None

    def sentences(self) -> Iterator[str]:
        """In words."""
        if not self.shown:
            yield f"{self.trouble}: say in the file where it shows, then harness init FILE looks again"
            return
        yield f"the session showed {self.shown}"
        cookies = " and ".join(self.carriers)
        yield f"sessions are carried by the cookie {cookies}" if cookies else "no cookie by itself carries the session"
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
    """Bring the first design up with two replicas, play one session, and look at it from all sides.

    Raises:
        UsageError: the file has no user that yields requests.
        EnvironmentLacksError: the service does not start.
    """
    kinds = [kind for kind in user_classes(loaded.users) if hasattr(kind, "session")]
    if not kinds:
        raise UsageError(f"{loaded.path} has no SessionUser", "harness init writes one")
    session = ManualSession(_made(kinds[0]))
    design = replace(loaded.scenario.designs[0], replicas=2)
    run = new_run_id()
    async with start_supervisor(run) as supervisor:
        backend = ProcessBackend(supervisor, nonce=run, secret=secrets.token_hex(16))
        async with backend.topology(design, logs, Clock()) as topology:
            return await _examined(session, topology)


def _made(kind: Any) -> Any:
    from locust.env import Environment  # noqa: PLC0415 - its scenario has imported Locust already

    return kind(Environment())


async def _examined(session: ManualSession, topology: Topology) -> InitFindings:
    first, second = topology.replicas
    here, there = first.member.address_from_host, second.member.address_from_host
    writes = await session.play(*here, _WRITES, _STEPS)
    state = await session.look(*here)
    if not writes:
        return InitFindings("", "no session came about")
    if not _value(state):
        return InitFindings("", "what was written showed nowhere")
    if type(session.user).model is counter and isinstance(count := _value(state), int) and count > writes:
        return InitFindings("", f"{writes} requests made the number {count}, which is no count of them")
    cookies = dict(session.cookies)

    async def same(where: tuple[str, int], without: str = "") -> bool:
        """Whether the state shows there too; a look that went wrong is not remembered by the user."""
        session.cookies, before = dict(cookies), _memory(session.user)
        found = await session.look(*where, without) == state
        if not found:
            vars(session.user).update(before)
        return found

    carriers = [name for name in cookies if not await same(here, name)]
    agree = await same(there)
    assert isinstance(first, Killable)  # noqa: S101 - a command's replicas are
    await first.kill()
    await first.restart()
    return InitFindings(f"{_value(state)!r}"[:80], "", tuple(carriers), agree, await same(here))


def _memory(user: object) -> dict[str, Any]:
    """What a user remembers of its sessions."""
    return {name: copy.deepcopy(value) for name, value in vars(user).items() if name != "environment"}


def _value(state: object) -> object:
    return state.state if isinstance(state, Observed) else state
