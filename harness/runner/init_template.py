"""The scenario that ``harness init`` writes for a service."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from harness.common.errors import UsageError
from harness.runner.examine import InitFindings
from harness.scenario.loading import Loaded, load
from harness.scenario.services import Command, check_path


@dataclass(frozen=True)
class SessionKind:
    """One way in which a service shows its sessions: its recipe, and the lines that users usually change."""

    recipe: str
    asks: str
    lines: str
    affinity: str = 'Balancing("cookie")'  # what keeps such a session on one replica
    ready: str = "/"  # the path that usually answers once the service is up; "" if only its port shows it


#: By the name given to ``--session``.
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
    "token": SessionKind(
        "TokenCounter",
        "a bearer token from a login in JSON, and a number that it counts",
        """    login = "/token"  # POST {{"username": ..., "password": ...}}; its JSON shows the token
    # carries = Bearer("data.token"); by default "access_token"
    write = read = {path}  # POST raises the number, GET shows it
    # observe = Json("count"); by default the first whole number of the body""",
        'Balancing("source")',
    ),
    "mcp": SessionKind(
        "Mcp",
        "an MCP server over streamable HTTP",
        """    path = {path}  # such as /mcp
    # tool, read_tool = "count", "total": a tool that counts its calls in the session, and one that shows the count.
    # Without them it pings: does the server still know the session?
    # headers = {{"Authorization": "Bearer ..."}}""",
        'Balancing("learn_header", key="Mcp-Session-Id")',
        ready="",
    ),
    "socketio": SessionKind(
        "SocketIo",
        "a Socket.IO server",
        """    # path = "/socket.io/"
    event = "say"  # emitted with {{"op": id}}; its acknowledgement is the number of the socket's emissions
    # room = "lobby"  # if the server passes the object on to all other sockets
    read = {path}  # GET {path}?id=SOCKET shows that number""",
        ready="/socket.io/?EIO=4&transport=polling",
    ),
}

#: What happens to sessions that need affinity, and have none.
_BROKEN = '["lost", "stale", "rolled_back", "lost_writes", "forced_login", "unexplained"]'

_TEMPLATE = '''\
"""What happens to the sessions of a service when one of its processes is killed?

    harness run {file}
"""

from harness import {names}
from harness.recipes import Bearer, Header, Json, Number, {recipe}, Text, Texts

# Started once per replica. {{port}} and the variable PORT say where to listen; {{replica}} is its name.
# More: env={{"KEY": "value"}}, cwd="directory", ready_within="60s", store="redis" (its address is {{store}}).
SERVICE = Command({command}, ready={ready})  # ready=None: an open port is enough


class Visitor({recipe}):
{lines}{carries}


SCENARIO = Scenario(
    designs=[
        Design("affinity", SERVICE, {affinity}, at_risk="{at_risk}"),
        Design("spread", SERVICE, Balancing("round_robin")),
    ],
    replicas=3,
    load=Sessions(concurrent=50, duration="10s", warmup="1s"),
    faults=[At("4s", Kill(1)), At("6s", Restart(1))],
    expect=[
{expect}
    ],
)
'''


@dataclass(frozen=True)
class InitOptions:
    """The options of ``harness init``: how the service starts, and how it shows a session."""

    command: str
    ready: str = "/"  # "": an open port is enough
    session: str = "page"
    path: str = "/"

    def __post_init__(self) -> None:
        if self.session not in KINDS:
            raise UsageError(f"there is no kind of session {self.session!r}", f"one of {', '.join(KINDS)}")
        Command(self.command, ready=self.ready or None)  # validates both
        check_path(self.path, "path")

    def scenario(self, file: str, findings: InitFindings | None = None) -> str:
        """The text of the scenario file of that name; ``findings`` decide what it balances by and expects."""
        findings = findings or InitFindings("")
        kind = KINDS[self.session]
        expect, helpers = _expectations(findings)
        names = {"At", "Balancing", "Command", "Design", "Kill", "Restart", "Scenario", "Sessions", *helpers}
        names |= {findings.to_declare.partition("(")[0]} - {""}
        key = f', key="{findings.key}"' if findings.key else ""
        return _TEMPLATE.format(
            file=file,
            names=", ".join(sorted(names, key=lambda name: (name[0].islower(), name))),
            recipe=kind.recipe,
            command=json.dumps(self.command),
            ready=json.dumps(self.ready) if self.ready else None,
            lines=kind.lines.format(path=json.dumps(self.path)),
            carries=f"\n    carries = {findings.to_declare}  # the session's id" if findings.to_declare else "",
            affinity=kind.affinity
            if findings.policy in ("", "round_robin")
            else f'Balancing("{findings.policy}"{key})',
            at_risk="none" if findings.survives_restart else "victim",
            expect=expect,
        )


def _expectations(findings: InitFindings) -> tuple[str, set[str]]:
    """The lines of ``expect=`` that say what was found, and the names that they use."""
    lines = {
        "state does not survive a restart: its sessions are lost with a process": 'loses_only_the_at_risk("affinity")'
    }
    if findings.survives_restart:
        lines = {"state survives a restart": 'keeps("affinity")'}
    if findings.replicas_agree is False:
        lines["a session lives on one replica: without affinity it breaks"] = f'finds("spread", among={_BROKEN})'
    else:
        lines["any replica knows a session"] = 'keeps("spread")'
    text = "\n".join(f"        # {comment}\n        {line}," for comment, line in lines.items())
    return text, {line.partition("(")[0] for line in lines.values()}


def check_answer(name: str, value: str) -> None:
    """Check one of the options by itself.

    Raises:
        UsageError: it is wrong.
    """
    InitOptions(**{"command": "service", name: value})


def usual_ready(answers: Mapping[str, str]) -> str:
    """The path that usually answers, for the kind of session among the answers."""
    kind = KINDS.get(answers.get("session", ""))
    return "/" if kind is None else kind.ready


def load_scenario(options: InitOptions, file: Path, folder: Path) -> Loaded:
    """The scenario that will be written to ``file``; its draft lies in ``folder``."""
    draft = folder / file.name
    draft.write_text(options.scenario(file.name))
    loaded, place = load(draft), file.resolve().parent
    designs = [
        replace(design, target=replace(design.target, cwd=place)) if isinstance(design.target, Command) else design
        for design in loaded.scenario.designs
    ]
    return replace(loaded, scenario=replace(loaded.scenario, designs=designs))


def write_scenario(options: InitOptions, file: Path, findings: InitFindings | None = None) -> None:
    """Write the scenario file.

    Raises:
        UsageError: the file cannot be written.
    """
    try:
        file.write_text(options.scenario(file.name, findings))
    except OSError as problem:
        raise UsageError(f"cannot write {file}: {problem.strerror}", "choose another place") from problem
