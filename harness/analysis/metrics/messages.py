"""The fold of what happened on WebSockets: from the records of an arm to its ``Messages``. Pure."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from harness.analysis.metrics.percentiles import compute_percentiles
from harness.observations.events import Event
from harness.oracle.delivery import judge_deliveries, total
from harness.oracle.verdict import SessionVerdict
from harness.results.summary import MessageFigures

_TALK = ("OPEN", "SEND", "RECEIVE", "CLOSE")
Times = npt.NDArray[np.float64]


def compute_message_figures(
    requests: pd.DataFrame, judgements: Sequence[SessionVerdict], events: Sequence[Event], start: float, end: float
) -> MessageFigures | None:
    """The figures of an arm; None where no WebSocket was asked for. ``start`` and ``end`` are the measured time."""
    method = requests["method"].astype(object).to_numpy()
    talk = requests[np.isin(method, _TALK)]
    opened = talk[np.asarray(talk["method"] == "OPEN")]
    if opened.empty:
        return None
    stands = opened[opened["status"].to_numpy() == 101]
    ended = talk[np.asarray(talk["method"] == "CLOSE") & (talk["status"].to_numpy() != 0)]
    rejoined, silent = _absences(talk)
    found = judge_deliveries(talk, {one.session: one.room for one in judgements if one.room})
    before, worst = _storm(opened["t_sent"].to_numpy() / 1e9, events, start, end)
    return MessageFigures(
        acknowledged=int((np.asarray(talk["method"] == "SEND") & np.asarray(talk["outcome"] == "ok")).sum()),
        received=int(np.asarray(talk["method"] == "RECEIVE").sum()),
        due=total(found, "due"),
        lost=total(found, "lost"),
        missed=total(found, "missed"),
        repeated=total(found, "repeated"),
        disordered=total(found, "disordered"),
        connections=len(stands),
        refused=len(opened) - len(stands),
        ended=len(ended),
        reconnects=int((stands["reconnected"].to_numpy() != 0).sum()),
        rejoin_ms=compute_percentiles(rejoined),
        silence_ms=compute_percentiles(silent),
        delivery_ms=compute_percentiles(_delays(talk, start, end)),
        opened_per_s_before=before,
        opened_per_s_worst=worst,
    )


def _absences(talk: pd.DataFrame) -> tuple[Times, Times]:
    """Of every connection that the other side ended and that was replaced: seconds until then, and without a message.

    Silence lasts from the last message before the end to the first one after the replacement.
    """
    rejoined: list[float] = []
    silent: list[float] = []
    columns = ["session", "method", "status", "t_end"]
    for _, rows in talk[columns].sort_values("t_end", kind="stable").groupby("session"):
        heard: int | None = None
        ended: int | None = None
        quiet: int | None = None  # since when, for a session that has rejoined and heard nothing yet
        for method, status, t_end in zip(rows["method"], rows["status"], rows["t_end"], strict=True):
            if method == "RECEIVE":
                if quiet is not None and ended is None:
                    silent.append((t_end - quiet) / 1e9)
                    quiet = None
                heard = t_end
            elif method == "CLOSE" and status != 0:
                ended = t_end
                quiet = heard if quiet is None else quiet
            elif method == "OPEN" and status == 101 and ended is not None:
                rejoined.append((t_end - ended) / 1e9)
                ended = None
    return np.array(rejoined), np.array(silent)


def _delays(talk: pd.DataFrame, start: float, end: float) -> Times:
    """Seconds from sending to hearing, of messages sent in the measured time and after the hearer had first joined."""
    stands = talk[np.asarray(talk["method"] == "OPEN") & (talk["status"].to_numpy() == 101)]
    joined = stands.groupby("session")["t_end"].min() / 1e9
    written = talk["op"].to_numpy() != 0
    sent = talk[np.asarray(talk["method"] == "SEND") & written].set_index("op")["t_sent"] / 1e9
    heard = talk[np.asarray(talk["method"] == "RECEIVE") & written]
    begun = heard["op"].map(sent).to_numpy(dtype=np.float64)
    since = heard["session"].map(joined).to_numpy(dtype=np.float64)
    inside = (begun >= np.maximum(start, since)) & (begun < end)
    found: Times = (heard["t_end"].to_numpy() / 1e9 - begun)[inside]
    return found


def _storm(opened: Times, events: Sequence[Event], start: float, end: float) -> tuple[float | None, float | None]:
    """Upgrades asked for a second: the mean before the first fault, and the most in any second after it."""
    commanded = min((event.t for event in events if event.kind == "fault_commanded"), default=None)
    if commanded is None or commanded <= start:
        return None, None
    before = float(((opened >= start) & (opened < commanded)).sum()) / (commanded - start)
    after = np.sort(opened[(opened >= commanded) & (opened < end)])
    worst = max((np.searchsorted(after, begin + 1.0) - nth for nth, begin in enumerate(after)), default=0)
    return round(before, 3), float(worst)
