"""Which state the faults took away, which sessions were at risk of it, and which losses it explains."""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.observations.events import EventKind
from harness.observations.faults import FaultRecord
from harness.observations.identity import Change, IdentityChange
from harness.observations.load_requests import LoadRequests, Mask
from harness.oracle.verdict import Loss, SessionVerdict
from harness.results.arm_files import ArmObservations

#: The faults that concern the state of every session: those of a store, and the replacement of all replicas.
FAULTS_OF_ALL = ("kill_store", "kill_primary", "evict", "rolling_restart")
#: Of a store's reply that showed the state after the store had died: it was on its way, in seconds.
_ON_ITS_WAY = 0.25
#: The faults that take state away, and the cause of a loss to each.
CAUSES = {
    **dict.fromkeys(("kill", "lose_volume"), "killed"),
    "terminate": "stopped",
    "retire": "stopped",
    **dict.fromkeys(("rolling_restart", "resize", "drain_node", "shell"), "stopped"),
    **dict.fromkeys(("pause", "partition", "stall", "unacknowledged", "cut", "lose_node"), "away"),
    **dict.fromkeys(("kill_store", "kill_primary"), "store_died"),
    "evict": "evicted",
}


@dataclass(frozen=True)
class StateRemoval:
    """A replica that held state and was taken away, by its boot id; or, without one, the place of all sessions.

    It went between ``commanded`` and ``effective`` (seconds from T0): what is seen from ``commanded`` on may be caused
    by it. ``reborn`` is the boot id that came back in its place. A paused replica counts too: its clients may be sent
    to another one meanwhile.
    """

    replica: str
    boot: str
    commanded: float
    reborn: str | None
    kind: str
    effective: float
    healed: float | None = None

    @property
    def cause(self) -> str:
        """The name of the cause of a loss to it."""
        return CAUSES[self.kind]

    @property
    def of_all(self) -> bool:
        """Whether it held the state of every session."""
        return self.kind in FAULTS_OF_ALL

    def explains(self, loss: Loss) -> bool:
        """Whether it caused a loss: it was seen after this had begun, and nothing shows that the state outlived it."""
        if loss.t_ns < self.commanded * 1e9:
            return False
        if not self.of_all and loss.boot_before != self.boot:
            return False
        return self._outlived_at is None or loss.known_ns <= self._outlived_at * 1e9

    @property
    def _outlived_at(self) -> float | None:
        """A state that is shown later than this (seconds from T0) was not taken away; None if that never shows.

        A replica that was out of reach, a store that had to evict, or a restart of all replicas may take it away until
        all is well again. The boot of a replica that died shows nothing later, but for replies on their way.
        """
        if self.cause in ("away", "evicted") or self.kind == "rolling_restart":
            return self.healed
        return self.effective + _ON_ITS_WAY if self.of_all else None

    def is_over(self, loss: Loss) -> bool:
        """Whether a replica was within reach again when a loss was first seen."""
        return self.cause == "away" and self.healed is not None and loss.t_ns > self.healed * 1e9


def find_state_removals(faults: Sequence[FaultRecord]) -> tuple[StateRemoval, ...]:
    """Every fault or undo that took state away, by its evidence, in the order of the faults; one for each boot."""
    found = (removal for fault in faults if fault.kind in CAUSES for removal in _find_removals_of(fault))
    return tuple(found)


def _find_removals_of(fault: FaultRecord) -> Iterator[StateRemoval]:
    boots = str(fault.evidence.get("boots", fault.evidence.get("boot", ""))).split(",")
    if fault.effective is not None and (any(boots) or fault.kind in FAULTS_OF_ALL):
        reborn = fault.evidence.get("healed_boot")
        for boot in boots:
            yield StateRemoval(
                replica=fault.target,
                boot=boot,
                commanded=fault.commanded,
                reborn=None if reborn is None else str(reborn),
                kind=fault.kind,
                effective=fault.effective,
                healed=fault.healed,
            )
    if fault.healed is not None and (ended := str(fault.evidence.get("healed_boots", ""))):
        took = fault.evidence.get("healed_settled_s")  # without it, they may have ended at any time since the fault
        begun = fault.commanded if took is None else max(fault.commanded, fault.healed - float(took))
        for boot in ended.split(","):
            yield StateRemoval(fault.target, boot, begun, None, fault.kind, fault.healed, fault.healed)


def find_known_at_risk(
    observed: ArmObservations, load: LoadRequests, removals: Sequence[StateRemoval]
) -> frozenset[int] | None:
    """The sessions at risk; None if a removal concerns one replica and no reply names a replica that is known.

    The replies of a service that runs already may name none, or have only ids of its own.
    """
    ready = (event for event in observed.events if event.kind == EventKind.REPLICA_READY)
    boots = {*(str(event.detail.get("boot")) for event in ready), *(removal.boot for removal in removals)}
    are_named = not boots.isdisjoint(load.frame["boot"].dropna().unique())
    if len(load) and not are_named and not all(removal.of_all for removal in removals):
        return None
    return find_sessions_at_risk(load, removals)


def find_sessions_at_risk(load: LoadRequests, removals: Sequence[StateRemoval]) -> frozenset[int]:
    """The sessions with an acknowledged write whose last acknowledged reply before a removal is of the victim's boot.

    A reply of the victim that arrives after its death (it was on its way) counts as before. What concerns all of
    them puts all sessions with an acknowledged write at risk.
    """
    answered = load.frame.loc[load.ok, ["session", "op", "boot", "t_end"]]
    ended, boots = answered["t_end"].to_numpy() / 1e9, answered["boot"].astype(object).to_numpy()
    at_risk: set[int] = set()
    for removal in removals:
        before = answered[_select_before(removal, ended, boots)]
        last = before.sort_values("t_end", kind="stable").groupby("session", sort=False)["boot"].last()
        wrote = set(before.loc[before["op"].to_numpy() != 0, "session"].unique().tolist())
        held = last.index if removal.of_all else last.index[last == removal.boot]
        at_risk |= {int(session) for session in held if session in wrote}
    return frozenset(at_risk)


def _select_before(removal: StateRemoval, ended: npt.NDArray[np.float64], boots: npt.NDArray[np.object_]) -> Mask:
    """The replies that show where a session was when the state was removed; all arrays have the shape (replies,)."""
    if removal.of_all:
        return np.asarray(ended <= removal.effective)
    from_victim: Mask = np.asarray(boots == removal.boot, dtype=bool)
    if removal.cause == "away":  # it answers again afterwards
        from_victim &= ended <= removal.effective
    return np.asarray((ended <= removal.commanded) | from_victim)


def find_cause(
    loss: Loss,
    removals: Sequence[StateRemoval],
    identity: Sequence[IdentityChange] = (),
    boots: Set[str] = frozenset(),
) -> str:
    """Why a state vanished. ``identity`` is what became of the session's ids; ``boots`` had served the lost state.

    ``cookie_expired``, ``cookie_refused``, ``cookie_withheld``, ``cookie_deleted`` or ``cookie_dropped``: the reply to
    the first request without that cookie showed it.
    ``killed`` or ``stopped`` with its replica, or that was ``away``; ``store_died`` with all, or the store ``evicted``
    it; ``returned_empty``: an empty replica came back and took the session over; ``moved``: the balancer sent the
    session to another replica that lives, and the state had been served by one alone; ``unattributed`` if none of these
    explains it. What took the state away for good comes before a replica that had been within reach again.
    """
    missing = [change for change in identity if change.change is Change.MISSED]
    missed = {change.t_ns: f"cookie_{change.why.partition(':')[0]}" for change in missing}
    if loss.t_ns in missed:
        return missed[loss.t_ns]
    causes = [removal for removal in removals if removal.explains(loss)]
    for removal in sorted(causes, key=lambda removal: removal.is_over(loss)):
        return removal.cause
    came_back = (removal for removal in removals if removal.reborn is not None and removal.effective * 1e9 < loss.t_ns)
    if any(loss.boot_after == removal.reborn for removal in came_back):
        return "returned_empty"
    if loss.boot_before != loss.boot_after and loss.boot_after not in boots and len(boots) < 2:
        return "moved"
    return next(iter(missed.values()), "unattributed")  # of very many losses of one session, a ledger keeps the last


def list_causes(verdict: SessionVerdict, removals: Sequence[StateRemoval]) -> list[str]:
    """The cause of each loss of one writer's session."""
    return [find_cause(loss, removals, verdict.identity, verdict.find_boots(loss)) for loss in verdict.losses]


def find_causes(verdicts: Sequence[SessionVerdict], removals: Sequence[StateRemoval]) -> set[str]:
    """The causes of all losses of one session, whose writers these verdicts are of."""
    return {cause for verdict in verdicts for cause in list_causes(verdict, removals)}
