"""One record per request. Times are nanoseconds from T0 unless a name says otherwise.

The load process appends a request as one fixed-width record (``RECORD``); strings are interned, their ids
stand in ``names.jsonl`` beside the spool.
"""

import enum

import numpy as np


class Outcome(enum.IntEnum):
    """What the client knows of a request: done, certainly not done, or neither."""

    OK = 0
    FAILED = 1
    IN_DOUBT = 2


class Anomaly(enum.IntEnum):
    """What one reply showed against the ledger; the gravest has the highest number."""

    NONE = 0
    FORCED_LOGIN = 1  # a live session was sent back to the login
    STALE = 2  # acknowledged writes absent, present again later (a dip, or a birth seen before)
    DUPLICATE = 3  # a write applied more than once
    UNEXPLAINED = 4  # several explanations fit
    ROLLED_BACK = 5  # below what was already seen, or an acknowledged write absent
    LOST = 6  # a new birth, or nothing left, after an acknowledged write
    LEAKED = 7  # another user's session
    WRONG = 8  # a reply whose content is not what was requested


class Method(enum.IntEnum):
    """HTTP methods by number, for the spool; and what happens on a WebSocket."""

    GET = 0
    POST = 1
    PUT = 2
    DELETE = 3
    PATCH = 4
    HEAD = 5
    OPTIONS = 6
    OTHER = 7
    OPEN = 8  # a WebSocket was requested
    SEND = 9  # a message, until its answer where it has one
    RECEIVE = 10  # a message that came unsolicited
    CLOSE = 11  # the WebSocket ended: ok by a closing handshake, in_doubt otherwise


#: One request, packed little-endian without padding. ``name``, ``replica`` and ``boot`` are interned ids (0 is none).
RECORD = np.dtype(
    [
        ("session", "<u4"),
        ("writer", "<u4"),  # always equal to session
        ("op", "<u8"),  # the write's id; 0 for a read; of a message that came unsolicited, its sender's
        ("name", "<u2"),
        ("method", "u1"),
        ("outcome", "u1"),
        ("anomaly", "u1"),
        ("attempts", "u1"),
        ("reconnected", "u1"),
        ("phase", "u1"),  # 0 load, 1 the final sweep, 2 what a WebSocket brought unsolicited, 3 a dropped arrival
        ("status", "<u2"),  # 0 where no reply came
        ("replica", "<u2"),
        ("boot", "<u2"),
        ("t_intended", "<i8"),
        ("t_sent", "<i8"),
        ("t_first", "<i8"),  # -1 where no byte came
        ("t_end", "<i8"),
        ("bytes_sent", "<u4"),
        ("bytes_received", "<u4"),
    ]
)


#: The names of its fields, in their order.
RECORD_FIELDS = tuple(RECORD.names or ())

#: The same record for ``struct``: the hot loop packs with it.
RECORD_FORMAT = "<IIQHBBBBBBHHHqqqqII"

#: The values of ``phase``. A dropped arrival of an open load was never sent: ``t_end`` is when it was given up.
LOAD, SWEEP, UNSOLICITED, DROPPED = 0, 1, 2, 3

#: The ``session`` of a dropped arrival.
NO_SESSION = 2**32 - 1

#: The time of what never happened, such as the first byte of a reply that did not come.
NO_TIME = -1
