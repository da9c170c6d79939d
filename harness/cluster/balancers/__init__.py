"""Real load balancers by name: which there are, what each can do, and how one is brought up."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from harness.cluster.balancers import caddy, envoy, haproxy, nginx, traefik
from harness.cluster.balancers.launch import Setup, Starter
from harness.cluster.balancers.own_config import OwnConfig
from harness.cluster.capabilities import Balancer, Member
from harness.common.errors import EnvironmentLacksError, UsageError
from harness.common.ports import LOOPBACK
from harness.scenario.balancing import CONNECTION, Balancing
from harness.scenario.design import Design
from harness.scenario.kubernetes import Running
from harness.scenario.services import BuiltIn

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
    lasting: frozenset[str]  # policies whose stickiness it can end after a time, ``lasts``
    version: str  # the argument that makes it print its version
    binary: Callable[[], Path]
    start: Callable[[Setup], AbstractAsyncContextManager[Balancer]]


#: In the order in which ``auto`` tries them.
SPECS: Mapping[str, BalancerSpec] = {
    module.NAME: BalancerSpec(
        module.NAME, module.SUPPORTS, module.LACKS, module.LASTING, module.VERSION, module.binary, module.start
    )
    for module in (haproxy, nginx, envoy, traefik, caddy)
}

#: What a key may be, by a word of the policy's name. nginx names a cookie in a variable, and ignores headers with an
#: underscore.
_KEYS = {"cookie": "[A-Za-z0-9_.-]+", "header": "[A-Za-z0-9-]+"}
_NGINX_COOKIE = "[A-Za-z0-9_]+"


def available() -> Mapping[str, Path | str]:
    """Each balancer's binary, or why there is none and the line that installs it."""
    return {name: _locate(spec) for name, spec in SPECS.items()}


def _locate(spec: BalancerSpec) -> Path | str:
    try:
        return spec.binary()
    except EnvironmentLacksError as lack:
        return f"{lack.message}: {lack.hint}"


def start(
    balancing: Balancing,
    members: Sequence[Member],
    supervisor: Starter,
    *,
    scratch: Path,
    logs: Path,
    port: int,
    host: str = LOOPBACK,
) -> AbstractAsyncContextManager[Balancer]:
    """A balancer in front of the members, which clients reach at ``host``, until the scope ends.

    On loopback, ``port`` is held by the caller, bound with SO_REUSEPORT and not listening. ``scratch`` and ``logs``
    exist and are used by this balancer alone.

    Raises:
        UsageError: no such balancer, a policy that it does not support, or a key that no balancer can look up.
        EnvironmentLacksError: it is not installed, or the port is taken.
        HarnessError: it does not start (on entering the scope).
    """
    spec = select(balancing)
    reach = partial(supervisor.reach, spec.name)
    return spec.start(Setup(balancing, tuple(members), supervisor, scratch, logs, port, host, reach))


def require(design: Design) -> None:
    """Check, before anything starts, that the design's balancer can run; a running service brings its own.

    Raises:
        UsageError, EnvironmentLacksError: as ``select``.
    """
    if not isinstance(design.target, Running):
        names = design.balancing.names or not isinstance(design.target, BuiltIn)
        spec = select(replace(design.balancing, names=names))
        if design.balancing.config is not None:
            own, is_haproxy = OwnConfig.read(design.balancing.config), spec.name == haproxy.NAME
            if is_haproxy:
                haproxy.Backend.of(design.balancing)
            own.require_accepted([str(spec.binary()), *(haproxy.CHECK if is_haproxy else nginx.CHECK)])


def select(balancing: Balancing) -> BalancerSpec:
    """The balancer that a design requests; for ``auto``, the first that is installed and supports the policy.

    Raises:
        UsageError: no such balancer, or it does not support the policy.
        EnvironmentLacksError: it is not installed.
    """
    if balancing.name not in ("auto", *SPECS):
        raise UsageError(f"no balancer {balancing.name!r}", f"there are auto, {', '.join(SPECS)}")
    if balancing.config is not None:
        return _select_for(OwnConfig.read(balancing.config), balancing)
    pattern = next((pattern for kind, pattern in _KEYS.items() if kind in balancing.policy), ".*")
    if not re.fullmatch(pattern, balancing.key):
        raise UsageError(
            f"a balancer cannot do {balancing.policy} on the key {balancing.key!r}", f"it matches {pattern}"
        )
    suitable = [name for name, spec in SPECS.items() if balancing.policy in spec.supports]
    if balancing.lasts is not None:
        suitable = [name for name in suitable if balancing.policy in SPECS[name].lasting]
    if "cookie" in balancing.policy and not re.fullmatch(_NGINX_COOKIE, balancing.key):
        suitable = [name for name in suitable if name != nginx.NAME]
    if balancing.names:  # one that balances connections sees no response to write a name into
        suitable = [name for name in suitable if "names" not in SPECS[name].lacks and balancing.policy != CONNECTION]
    wanted = suitable if balancing.name == "auto" else [name for name in suitable if name == balancing.name]
    if not wanted:
        task = f"do {balancing.policy}" + (" with lasts=" * (balancing.lasts is not None))
        task += " and say which copy of your service answered" * balancing.names
        subject = "no balancer can" if balancing.name == "auto" else f"{balancing.name} cannot"
        raise UsageError(f"{subject} {task}", f"{', '.join(suitable) or 'none'} can")
    return _first_installed([SPECS[name] for name in wanted])


def _select_for(own: OwnConfig, balancing: Balancing) -> BalancerSpec:
    """The balancer for which a configuration is written."""
    if balancing.name not in ("auto", own.balancer):
        raise UsageError(f"{own.path} is a configuration of {own.balancer}, not of {balancing.name}", "correct one")
    if balancing.names:
        own.require_names()
    return _first_installed([SPECS[own.balancer]])


def _first_installed(specs: Sequence[BalancerSpec]) -> BalancerSpec:
    places = [_locate(spec) for spec in specs]
    for spec, place in zip(specs, places, strict=True):
        if isinstance(place, Path):
            return spec
    raise EnvironmentLacksError(
        f"no {' or '.join(spec.name for spec in specs)} on this machine", "; ".join(map(str, places))
    )
