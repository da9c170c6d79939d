"""The judge's verdict on a session."""

from dataclasses import dataclass

from harness.observations.identity import IdentityChange, UnreadFinal
from harness.oracle.outcome import SessionOutcome


@dataclass(frozen=True)
class Loss:
    """A state with acknowledged writes that vanished and did not return."""

    t_ns: int  # of the first reply that showed another state
    birth_before: str
    birth_after: str
    boot_before: str  # of the last acknowledged reply under the lost birth
    boot_after: str
    writes: int  # acknowledged writes lost with it
    known_ns: int = -1  # when a reply last showed it as it should be; -1 if none did


@dataclass(frozen=True)
class SessionVerdict:
    """What is known at the end of one writer's session. Several flags may hold; ``outcome`` is the gravest of them."""

    session: int
    writer: int = 0
    owner: str = ""
    lost: bool = False
    #: The session continues from an earlier state: several writes, or one that was in doubt, were seen and are gone.
    rolled_back: bool = False
    stale: bool = False
    leaked: bool = False
    duplicated: bool = False
    forced_login: bool = False
    unknown: bool = False
    outcome: SessionOutcome = SessionOutcome.KEPT
    is_idle: bool = False  # none of its writes was acknowledged, and its service is one that keeps something
    acknowledged: int = 0
    lost_writes: int = 0  # acknowledged, but absent at the final read; including those of lost sessions
    duplicates: int = 0  # surplus applications
    in_doubt: int = 0  # writes left in doubt by their replies, including those that appeared later
    recovered: int = 0  # the writes in doubt that appeared
    unexplained: int = 0  # writes
    losses: tuple[Loss, ...] = ()
    earlier_losses: int = 0  # changes of the state before ``losses``; the ledger kept only their number
    acked_boots: tuple[tuple[int, str], ...] = ()  # the latest changes of boot between acknowledged replies
    why: tuple[str, ...] = ()
    room: str = ""  # the messages of all sessions in it were due to this one
    identity: tuple[IdentityChange, ...] = ()  # the latest changes of what identifies the session
    unread: UnreadFinal | None = None  # the last final read, if none showed anything of the session

    def find_boots(self, loss: Loss) -> frozenset[str]:
        """The boots that acknowledged a write while the lost state was still shown, as far as they are known."""
        began = max((other.t_ns for other in self.losses if other.t_ns < loss.t_ns), default=0)
        return frozenset(boot for t_ns, boot in self.acked_boots if began <= t_ns <= loss.known_ns)
