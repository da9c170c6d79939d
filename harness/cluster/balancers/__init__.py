"""Real load balancers by name: which there are, what each can do, and how one is brought up."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from harness.cluster.balancers import caddy, envoy, haproxy, nginx, traefik
from harness.cluster.balancers.launch import Setup, Starter
from harness.cluster.capabilities import Balancer, Member
from harness.common.errors import EnvironmentLacksError, UsageError
from harness.scenario.balancing import CONNECTION, Balancing
from harness.scenario.design import Design
from harness.scenario.services import BuiltIn, Url

#: What a balancer may lack: it keeps pinned clients on a draining member (``drain``), reports which members it holds to
#: be up (``states``), names the member that answered (``names``), retries a pinned client's request with another member
#: (``redispatch``), logs whether a request failed before anything was sent (``evidence``), and cuts no connection when
#: members change (``seamless``).
ABILITIES = ("drain", "states", "names", "redispatch", "evidence", "seamless")


@dataclass(frozen=True)
class BalancerSpec:
    """One balancer that a design can ask for by name."""

    name: str
    supports: frozenset[str]
    lacks: frozenset[str]  # of ``ABILITIES``
    version: str  # the word on which it tells that
    binary: Callable[[], Path]
    start: Callable[[Setup], AbstractAsyncContextManager[Balancer]]


#: In the order in which ``auto`` tries them.
SPECS: Mapping[str, BalancerSpec] = {
    module.NAME: BalancerSpec(module.NAME, module.SUPPORTS, module.LACKS, module.VERSION, module.binary, module.start)
    for module in (haproxy, nginx, envoy, traefik, caddy)
}
#: The policies of each balancer.
SUPPORTS: Mapping[str, frozenset[str]] = {name: kind.supports for name, kind in SPECS.items()}

#: What every balancer can look up: nginx names a cookie in a variable, and ignores headers with an underscore.
_HEADER = "[A-Za-z0-9-]+"
_KEYS = {
    "hash_cookie": "[A-Za-z0-9_]+",
    "hash_header": _HEADER,
    "modulo_header": _HEADER,
    "maglev_header": _HEADER,
}


def available() -> Mapping[str, Path | str]:
    """Each balancer's binary, or why there is none and the line that installs it."""
    return {name: _found(kind) for name, kind in SPECS.items()}


def _found(kind: BalancerSpec) -> Path | str:
    try:
        return kind.binary()
    except EnvironmentLacksError as lack:
        return f"{lack.message}: {lack.hint}"


def start(
    balancing: Balancing, members: Sequence[Member], supervisor: Starter, *, scratch: Path, logs: Path, port: int
) -> AbstractAsyncContextManager[Balancer]:
    """A balancer in front of the members, listening on 127.0.0.1, until the scope ends.

    ``port`` is held by the caller, bound with SO_REUSEPORT and not listening. ``scratch`` and ``logs`` exist and are
    this balancer's alone.

    Raises:
        UsageError: no such balancer, a policy that it does not support, or a key that no balancer can look for.
        EnvironmentLacksError: it is not installed, or the port is taken.
        HarnessError: it does not start (on entering the scope).
    """
    letters = _KEYS.get(balancing.policy, ".*")
    if not re.fullmatch(letters, balancing.key):
        raise UsageError(
            f"a balancer cannot do {balancing.policy} on the key {balancing.key!r}", f"it matches {letters}"
        )
    return select(balancing).start(Setup(balancing, tuple(members), supervisor, scratch, logs, port))


def require(design: Design) -> None:
    """See to it, before anything starts, that the design's balancer is there; a running service brings its own.

    Raises:
        UsageError, EnvironmentLacksError: as ``chosen``.
    """
    if not isinstance(design.target, Url):
        names = design.balancing.names or not isinstance(design.target, BuiltIn)
        select(replace(design.balancing, names=names))


def select(balancing: Balancing) -> BalancerSpec:
    """The balancer that a design asks for; of ``auto``, the first that is installed and supports the policy.

    Raises:
        UsageError: no such balancer, or it does not support the policy.
        EnvironmentLacksError: it is not installed.
    """
    able = [name for name, kind in SPECS.items() if _able(kind, balancing)]
    if balancing.name not in ("auto", *SPECS):
        raise UsageError(f"no balancer {balancing.name!r}", f"there are auto, {', '.join(SPECS)}")
    wanted = able if balancing.name == "auto" else [name for name in able if name == balancing.name]
    if not wanted:
        what = f"do {balancing.policy}" + (" and say which copy of a service of yours answered" * balancing.names)
        who = "no balancer can" if balancing.name == "auto" else f"{balancing.name} cannot"
        raise UsageError(f"{who} {what}", f"{', '.join(able) or 'none'} can")
    return _first_installed([SPECS[name] for name in wanted])


def _able(kind: BalancerSpec, balancing: Balancing) -> bool:
    """Whether it does all that is asked for; who balances connections sees no reply to write a name into."""
    names = "names" not in kind.lacks and balancing.policy != CONNECTION
    return balancing.policy in kind.supports and (names or not balancing.names)


def _first_installed(kinds: Sequence[BalancerSpec]) -> BalancerSpec:
    found = [(kind, _found(kind)) for kind in kinds]
    installed = [kind for kind, where in found if isinstance(where, Path)]
    if not installed:
        raise EnvironmentLacksError(
            f"no {' or '.join(kind.name for kind in kinds)} on this machine",
            "; ".join(str(where) for _, where in found),
        )
    return installed[0]
