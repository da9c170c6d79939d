"""TODO: harness.analysis.metrics.state_removal."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from harness.analysis.metrics.columns import Columns, Mask
from harness.observations.events import Event
from harness.oracle.verdict import Loss, SessionVerdict

#: The faults of a store: it holds the state of every session.
OF_ALL = ("kill_store", "kill_primary")


#: The faults that take state away, and the cause of a loss to each.
CAUSES = {
    "kill": "killed",
    "terminate": "stopped",
    "retire": "stopped",
    **dict.fromkeys(("pause", "partition", "stall", "unacknowledged", "cut"), "away"),
    **dict.fromkeys(OF_ALL, "store_died"),
}


@dataclass(frozen=True)
class StateRemoval:
    """Something that held state and was taken away: a replica by its boot id, or the store of all (no boot).

    It went between ``commanded`` and ``effective`` (seconds), when there was evidence of it: what is seen from
    ``commanded`` on may be its doing. ``reborn`` is the boot id that came back in its place. A paused replica is taken
    away too, from those whose clients go elsewhere meanwhile.
    """

    replica: str
    boot: str
    commanded: float
    reborn: str | None
    kind: str = "kill"
    effective: float = 0.0

    @property
    def cause(self) -> str:
        """What a loss to it is called."""
        return CAUSES[self.kind]

    @property
    def of_all(self) -> bool:
        """Whether it held the state of every session."""
        return self.kind in OF_ALL

    def took(self, loss: Loss) -> bool:
        """Whether a loss is its doing."""
        return loss.t_ns >= self.commanded * 1e9 if self.of_all else loss.boot_before == self.boot


def _first(events: Sequence[Event], kind: str, like: Event) -> Event | None:
    found = (
        e
        for e in events
        if e.kind == kind and e.subject == like.subject and e.detail.get("kind") == like.detail.get("kind")
    )
    return next(found, None)


def find_state_removals(events: Sequence[Event]) -> tuple[StateRemoval, ...]:
    """What was taken away with state in it, from the faults' evidence."""
    found = []
    for index, event in enumerate(events):
        kind = str(event.detail.get("kind"))
        if event.kind == "fault_commanded" and kind in CAUSES:
            effective = _first(events[index:], "fault_effective", event)
            healed = _first(events[index:], "fault_healed", event)
            if effective is not None and ("boot" in effective.detail or kind in OF_ALL):
                boot, reborn = effective.detail.get("boot", ""), healed.detail.get("boot") if healed else None
                new = None if reborn is None else str(reborn)
                found.append(StateRemoval(event.subject, str(boot), event.t, new, kind, effective.t))
    return tuple(found)


def find_sessions_at_risk(requests: pd.DataFrame, taken: Sequence[StateRemoval]) -> frozenset[int]:
    """The sessions with an acknowledged write whose last acknowledged reply before a death is of the victim's boot.

    A reply of the victim that arrives after its death (it was on its way) counts as before. The death of a store puts
    all at risk.
    """
    columns = Columns.of(requests)
    answered = columns.frame.loc[columns.ok, ["session", "op", "boot", "t_end"]]
    ended, boots = answered["t_end"].to_numpy() / 1e9, answered["boot"].astype(object).to_numpy()
    found: set[int] = set()
    for death in taken:
        before = answered[_before(death, ended, boots)]
        last = before.sort_values("t_end", kind="stable").groupby("session", sort=False)["boot"].last()
        wrote = set(before.loc[before["op"].to_numpy() != 0, "session"].unique().tolist())
        held = last.index if death.of_all else last.index[last == death.boot]
        found |= {int(session) for session in held if session in wrote}
    return frozenset(found)


def _before(death: StateRemoval, ended: npt.NDArray[np.float64], boots: npt.NDArray[np.object_]) -> Mask:
    """The replies that tell where a session stood when it happened."""
    if death.of_all:
        return np.asarray(ended <= death.effective)
    own: Mask = np.asarray(boots == death.boot, dtype=bool)
    if death.cause == "away":  # it answers again afterwards
        own &= ended <= death.effective
    return np.asarray((ended <= death.commanded) | own)


def find_cause(loss: Loss, taken: Sequence[StateRemoval]) -> str:
    """Why a state vanished: ``killed`` or ``stopped`` with its replica, or that ``away``; ``store_died`` with all;
    ``returned_empty``, an empty replica came back and took its session over from where it lived; ``moved``, the
    balancer sent its session to another replica that lives; ``unattributed`` where none of these explains it.
    """
    for death in taken:
        if death.took(loss):
            return death.cause
    if any(loss.boot_after == death.reborn for death in taken if death.reborn is not None):
        return "returned_empty"
    return "moved" if loss.boot_before != loss.boot_after else "unattributed"


def _causes(judgements: Sequence[SessionVerdict], taken: Sequence[StateRemoval]) -> set[str]:
    return {find_cause(loss, taken) for one in judgements for loss in one.losses}
