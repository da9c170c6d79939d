"""What happened on WebSockets: from the records of an arm to its figures of messages. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from harness.analysis.metrics.percentiles import compute_percentiles
from harness.observations.faults import FaultRecord
from harness.observations.load_requests import Floats
from harness.oracle.delivery import judge_deliveries, total
from harness.oracle.verdict import SessionVerdict
from harness.results.summary import MessageFigures

_WEBSOCKET_METHODS = ("OPEN", "SEND", "RECEIVE", "CLOSE")
_OPENED = (101, 200)  # a WebSocket, an event stream


def compute_message_figures(
    requests: pd.DataFrame, verdicts: Sequence[SessionVerdict], faults: Sequence[FaultRecord], start: float, end: float
) -> MessageFigures | None:
    """The figures of an arm; None if no WebSocket was requested. ``start`` and ``end`` are the measured time."""
    rows = requests[np.isin(requests["method"].astype(object).to_numpy(), _WEBSOCKET_METHODS)]
    opened = _select(rows, "OPEN")
    if opened.empty:
        return None
    sent, closed = _select(rows, "SEND"), _select(rows, "CLOSE")
    established = opened[np.isin(opened["status"].to_numpy(), _OPENED)]
    rejoined, silent = _time_absences(rows)
    delivered = judge_deliveries(rows, {verdict.session: verdict.room for verdict in verdicts if verdict.room})
    before, worst = _measure_reconnect_storm(opened["t_sent"].to_numpy() / 1e9, faults, start, end)
    return MessageFigures(
        acknowledged=int((sent["outcome"] == "ok").sum()),
        received=len(_select(rows, "RECEIVE")),
        due=total(delivered, "due"),
        lost=total(delivered, "lost"),
        missed=total(delivered, "missed"),
        repeated=total(delivered, "repeated"),
        disordered=total(delivered, "disordered"),
        connections=len(established),
        refused=len(opened) - len(established),
        ended=int((closed["status"].to_numpy() != 0).sum()),
        reconnects=int((established["reconnected"].to_numpy() != 0).sum()),
        rejoin_ms=compute_percentiles(rejoined),
        silence_ms=compute_percentiles(silent),
        delivery_ms=compute_percentiles(_time_deliveries(rows, start, end)),
        opened_per_s_before=before,
        opened_per_s_worst=worst,
    )


def _select(rows: pd.DataFrame, method: str) -> pd.DataFrame:
    return rows[np.asarray(rows["method"] == method)]


@dataclass
class _ConnectionHistory:
    """The connections of one session, one record after another; times in ns, results in seconds.

    Silence lasts from the last message before an end by the other side to the first one after the replacement.
    """

    rejoined: list[float] = field(default_factory=list)
    silent: list[float] = field(default_factory=list)
    _last_message: int | None = None
    _ended: int | None = None
    _silent_since: int | None = None  # of a session that lost its connection and has received nothing since

    def add(self, method: str, status: int, t_end: int) -> None:
        """Take in the next record."""
        if method == "RECEIVE":
            self._receive(t_end)
        elif method == "CLOSE" and status != 0:
            self._ended = t_end
            if self._silent_since is None:
                self._silent_since = self._last_message
        elif method == "OPEN" and status in _OPENED and self._ended is not None:
            self.rejoined.append((t_end - self._ended) / 1e9)
            self._ended = None

    def _receive(self, t_end: int) -> None:
        if self._silent_since is not None and self._ended is None:
            self.silent.append((t_end - self._silent_since) / 1e9)
            self._silent_since = None
        self._last_message = t_end


def _time_absences(rows: pd.DataFrame) -> tuple[Floats, Floats]:
    """Seconds without a connection, and without a message, of the connections that the other side ended.

    Each array has one element per absence that came to an end; the two may differ in length.
    """
    rejoined: list[float] = []
    silent: list[float] = []
    columns = ["session", "method", "status", "t_end"]
    for _, records in rows[columns].sort_values("t_end", kind="stable").groupby("session"):
        history = _ConnectionHistory(rejoined, silent)
        for method, status, t_end in zip(records["method"], records["status"], records["t_end"], strict=True):
            history.add(method, status, t_end)
    return np.array(rejoined), np.array(silent)


def _time_deliveries(rows: pd.DataFrame, start: float, end: float) -> Floats:
    """Seconds from sending to receiving, of messages sent in the measured time and after the receiver first joined."""
    opened = _select(rows, "OPEN")
    joined = opened[np.isin(opened["status"].to_numpy(), _OPENED)].groupby("session")["t_end"].min() / 1e9
    writes = rows[rows["op"].to_numpy() != 0]
    sent_at = _select(writes, "SEND").set_index("op")["t_sent"] / 1e9
    received = _select(writes, "RECEIVE")
    sent = received["op"].map(sent_at).to_numpy(dtype=np.float64)
    since = received["session"].map(joined).to_numpy(dtype=np.float64)
    inside = (sent >= np.maximum(start, since)) & (sent < end)
    delays: Floats = (received["t_end"].to_numpy() / 1e9 - sent)[inside]
    return delays


def _measure_reconnect_storm(
    opened: Floats, faults: Sequence[FaultRecord], start: float, end: float
) -> tuple[float | None, float | None]:
    """Upgrades requested per second: the mean before the first fault, and the most in any second after it."""
    commanded = min((fault.commanded for fault in faults), default=None)
    if commanded is None or commanded <= start:
        return None, None
    before = float(((opened >= start) & (opened < commanded)).sum()) / (commanded - start)
    after = np.sort(opened[(opened >= commanded) & (opened < end)])
    worst = max((np.searchsorted(after, begin + 1.0) - index for index, begin in enumerate(after)), default=0)
    return round(before, 3), float(worst)
