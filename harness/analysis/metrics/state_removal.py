"""Which state the faults took away, which sessions were at risk of it, and which losses it explains."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.observations.faults import FaultRecord
from harness.observations.load_requests import LoadRequests, Mask
from harness.oracle.verdict import Loss, SessionVerdict

#: The faults of a store: it holds the state of every session.
STORE_FAULTS = ("kill_store", "kill_primary")
#: The faults that take state away, and the cause of a loss to each.
CAUSES = {
    "kill": "killed",
    "terminate": "stopped",
    "retire": "stopped",
    **dict.fromkeys(("pause", "partition", "stall", "unacknowledged", "cut"), "away"),
    **dict.fromkeys(STORE_FAULTS, "store_died"),
}


@dataclass(frozen=True)
class StateRemoval:
    """A replica that held state and was taken away, by its boot id; or the store of all sessions (no boot).

    It went between ``commanded`` and ``effective`` (seconds from T0): what is seen from ``commanded`` on may be caused
    by it. ``reborn`` is the boot id that came back in its place. A paused replica counts too: its clients may be sent
    to another one meanwhile.
    """

    replica: str
    boot: str
    commanded: float
    reborn: str | None
    kind: str = "kill"
    effective: float = 0.0

    @property
    def cause(self) -> str:
        """The name of the cause of a loss to it."""
        return CAUSES[self.kind]

    @property
    def of_store(self) -> bool:
        """Whether it held the state of every session."""
        return self.kind in STORE_FAULTS

    def explains(self, loss: Loss) -> bool:
        """Whether it caused a loss."""
        return loss.t_ns >= self.commanded * 1e9 if self.of_store else loss.boot_before == self.boot


def find_state_removals(faults: Sequence[FaultRecord]) -> tuple[StateRemoval, ...]:
    """Every fault that took state away, by its evidence, in the order of the faults."""
    removals = []
    for fault in faults:
        known = "boot" in fault.evidence or fault.kind in STORE_FAULTS
        if fault.kind in CAUSES and fault.effective is not None and known:
            reborn = fault.evidence.get("healed_boot")
            removals.append(
                StateRemoval(
                    replica=fault.target,
                    boot=str(fault.evidence.get("boot", "")),
                    commanded=fault.commanded,
                    reborn=None if reborn is None else str(reborn),
                    kind=fault.kind,
                    effective=fault.effective,
                )
            )
    return tuple(removals)


def find_sessions_at_risk(load: LoadRequests, removals: Sequence[StateRemoval]) -> frozenset[int]:
    """The sessions with an acknowledged write whose last acknowledged reply before a removal is of the victim's boot.

    A reply of the victim that arrives after its death (it was on its way) counts as before. The death of a store puts
    all sessions with an acknowledged write at risk.
    """
    answered = load.frame.loc[load.ok, ["session", "op", "boot", "t_end"]]
    ended, boots = answered["t_end"].to_numpy() / 1e9, answered["boot"].astype(object).to_numpy()
    at_risk: set[int] = set()
    for removal in removals:
        before = answered[_select_before(removal, ended, boots)]
        last = before.sort_values("t_end", kind="stable").groupby("session", sort=False)["boot"].last()
        wrote = set(before.loc[before["op"].to_numpy() != 0, "session"].unique().tolist())
        held = last.index if removal.of_store else last.index[last == removal.boot]
        at_risk |= {int(session) for session in held if session in wrote}
    return frozenset(at_risk)


def _select_before(removal: StateRemoval, ended: npt.NDArray[np.float64], boots: npt.NDArray[np.object_]) -> Mask:
    """The replies that show where a session was when the state was removed; all arrays have the shape (replies,)."""
    if removal.of_store:
        return np.asarray(ended <= removal.effective)
    from_victim: Mask = np.asarray(boots == removal.boot, dtype=bool)
    if removal.cause == "away":  # it answers again afterwards
        from_victim &= ended <= removal.effective
    return np.asarray((ended <= removal.commanded) | from_victim)


def find_cause(loss: Loss, removals: Sequence[StateRemoval]) -> str:
    """Why a state vanished.

    ``killed`` or ``stopped`` with its replica, or that was ``away``; ``store_died`` with all; ``returned_empty``: an
    empty replica came back and took the session over; ``moved``: the balancer sent the session to another replica that
    lives; ``unattributed`` if none of these explains it.
    """
    for removal in removals:
        if removal.explains(loss):
            return removal.cause
    if any(loss.boot_after == removal.reborn for removal in removals if removal.reborn is not None):
        return "returned_empty"
    return "moved" if loss.boot_before != loss.boot_after else "unattributed"


def find_causes(verdicts: Sequence[SessionVerdict], removals: Sequence[StateRemoval]) -> set[str]:
    """The causes of all losses of one session, whose writers these verdicts are of."""
    return {find_cause(loss, removals) for verdict in verdicts for loss in verdict.losses}
