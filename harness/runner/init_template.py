"""The scenario that ``harness init`` writes for a service."""

import json
from dataclasses import dataclass
from pathlib import Path

from harness.common.errors import UsageError
from harness.scenario.services import Command


@dataclass(frozen=True)
class SessionKind:
    """One way in which a service shows its sessions: its recipe, and the lines that users usually change."""

    recipe: str
    asks: str
    lines: str


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
}

_TEMPLATE = '''\
"""What happens to the sessions of a service when one of its processes is killed?

    harness run {file}
"""

from harness import At, Balancing, Command, Design, Kill, Restart, Scenario, Sessions
from harness.recipes import Header, Json, Number, {recipe}, Text, Texts

# Started once per replica. {{port}} and the variable PORT say where to listen; {{replica}} is its name.
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
    """The options of ``harness init``: how the service starts, and how it shows a session."""

    command: str
    ready: str = "/"
    session: str = "page"
    path: str = "/"

    def __post_init__(self) -> None:
        if self.session not in KINDS:
            raise UsageError(f"there is no kind of session {self.session!r}", f"one of {', '.join(KINDS)}")
        Command(self.command, ready=self.ready)  # validates both

    def scenario(self, file: str) -> str:
        """The text of the scenario file of that name."""
        kind = KINDS[self.session]
        lines = kind.lines.format(path=json.dumps(self.path))
        return _TEMPLATE.format(
            file=file,
            recipe=kind.recipe,
            command=json.dumps(self.command),
            ready=json.dumps(self.ready),
            lines=lines,
        )


def write_scenario(options: InitOptions, file: Path, force: bool) -> None:
    """Write the scenario file.

    Raises:
        UsageError: the file already exists, or cannot be written.
    """
    if file.exists() and not force:
        raise UsageError(f"{file} already exists", "choose another name, or --force")
    try:
        file.write_text(options.scenario(file.name))
    except OSError as problem:
        raise UsageError(f"cannot write {file}: {problem.strerror}", "choose another place") from problem
