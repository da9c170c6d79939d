"""What identified a session, as its client saw it change: a cookie, a header, a token."""

from enum import StrEnum
from typing import NamedTuple

#: As many characters of an id are kept; that is enough to distinguish two, and no secret.
SHOWN = 12
#: Changes kept of one session: the first one, and the latest.
MAX_CHANGES = 24


class Change(StrEnum):
    """What happened to an id."""

    SET = "set"
    REPLACED = "replaced"
    DROPPED = "dropped"
    GONE = "gone"  # a reply said that the service no longer knows it
    DELETED = "deleted"  # a reply ended it
    EXPIRED = "expired"  # its lifetime was over
    REFUSED = "refused"  # a browser ignores it
    WITHHELD = "withheld"  # it is not for the path of a request
    MISSED = "missed"  # the reply to the first request without it showed that the session's state was gone


class IdentityChange(NamedTuple):
    """One change of a session's id. ``why`` names the reply or the rule that did it."""

    t_ns: int
    change: Change
    name: str  # such as "cookie sid" or "header Mcp-Session-Id"
    value: str = ""  # its first characters
    why: str = ""  # such as "reply 200 to POST /mcp" or "Max-Age 3"


class UnreadFinal(NamedTuple):
    """A final read that showed nothing of its session: the status (0: no reply) and how its body begins."""

    status: int
    body: str
