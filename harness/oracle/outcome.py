"""The possible outcomes of a session: a word for files and a phrase for people for each, and their order of gravity."""

import enum
from collections.abc import Iterable


class SessionOutcome(enum.StrEnum):
    """What happened to a session, its writes or its messages, from the least grave to the gravest.

    The value is the word in files, the ``phrase`` is for people. An ``Anomaly`` is what a single reply shows; an
    outcome is what the replies of a whole session amount to. Compare by ``gravity``: ``<`` compares the words.
    """

    KEPT = "kept"
    UNKNOWN = "unknown"
    DISORDERED = "disordered"  # messages received after a later one of the same sender
    REPEATED_MESSAGES = "repeated_messages"
    LOST_MESSAGES = "lost_messages"
    FORCED_LOGIN = "forced_login"  # a live session was sent back to the login
    STALE = "stale"  # acknowledged writes were absent in some reply and present again later
    DUPLICATED = "duplicated"  # a write was applied more than once
    UNEXPLAINED = "unexplained"  # no explanation of the state, or more than one, fits
    LOST_WRITES = "lost_writes"  # the session continues, but single acknowledged writes are gone
    ROLLED_BACK = "rolled_back"  # the session continues, but a stretch of writes or a seen write is gone
    LOST = "lost"  # the whole state vanished and did not return
    WRONG = "wrong"  # the content of a reply was not what was requested
    LEAKED = "leaked"  # a reply showed another owner's session

    @property
    def gravity(self) -> int:
        """Its place in the order of gravity; 0 is the least grave."""
        return _GRAVITY[self]

    @property
    def participle(self) -> str:
        """What happened, in contexts that make clear to what: ``rolled back``."""
        return _PHRASES[self][1]

    @property
    def phrase(self) -> str:
        """What happened to what: ``sessions rolled back``."""
        return " ".join(_PHRASES[self])

    @classmethod
    def _missing_(cls, value: object) -> "SessionOutcome | None":
        """Accept the words in the files of older runs."""
        return _OLD_WORDS.get(str(value))


_GRAVITY = {outcome: place for place, outcome in enumerate(SessionOutcome)}

_PHRASES = {
    SessionOutcome.KEPT: ("sessions", "kept"),
    SessionOutcome.UNKNOWN: ("sessions", "unknown"),
    SessionOutcome.DISORDERED: ("messages", "disordered"),
    SessionOutcome.REPEATED_MESSAGES: ("messages", "repeated"),
    SessionOutcome.LOST_MESSAGES: ("messages", "lost"),
    SessionOutcome.FORCED_LOGIN: ("sessions", "forced to log in"),
    SessionOutcome.STALE: ("sessions", "read stale"),
    SessionOutcome.DUPLICATED: ("writes", "duplicated"),
    SessionOutcome.UNEXPLAINED: ("writes", "unexplained"),
    SessionOutcome.LOST_WRITES: ("acknowledged writes", "lost"),
    SessionOutcome.ROLLED_BACK: ("sessions", "rolled back"),
    SessionOutcome.LOST: ("sessions", "lost"),
    SessionOutcome.WRONG: ("sessions", "shown a wrong reply"),
    SessionOutcome.LEAKED: ("sessions", "leaked"),
}

_OLD_WORDS = {
    "none": SessionOutcome.KEPT,
    "lost_write": SessionOutcome.LOST_WRITES,
    "duplicate": SessionOutcome.DUPLICATED,
    "missing": SessionOutcome.UNKNOWN,
}


def gravest(outcomes: Iterable[SessionOutcome]) -> SessionOutcome:
    """The gravest of the outcomes; ``kept`` if there are none."""
    return max(outcomes, key=lambda outcome: outcome.gravity, default=SessionOutcome.KEPT)
