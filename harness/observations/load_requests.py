"""The requests of the load phase as arrays: the one place where the other phases are filtered out."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from harness.observations.requests import DROPPED, LOAD

#: The columns that the metrics read; ``writer`` always equals ``session`` and is not among them.
METRIC_COLUMNS = ("session", "op", "name", "status", "outcome", "anomaly", "replica", "boot", "t_intended", "t_sent",
                  "t_end", "bytes_sent", "bytes_received")  # fmt: skip

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class LoadRequests:
    """A row of ``frame`` per request of the load; every array has the shape (rows,). Times are seconds from T0.

    The arrivals of an open load that were dropped are no requests: they have a frame of their own.
    """

    frame: pd.DataFrame
    dropped: pd.DataFrame

    @classmethod
    def select(cls, requests: pd.DataFrame, columns: Sequence[str] = METRIC_COLUMNS) -> Self:
        """The load phase of a table of all requests, with these columns alone: the others would only be copied.

        Left out are the final sweep, and what a WebSocket brought unasked.
        """
        present = [name for name in columns if name in requests]
        phase = requests["phase"].to_numpy()
        return cls(requests.loc[phase == LOAD, present], requests.loc[phase == DROPPED, ["t_intended", "t_end"]])

    def __len__(self) -> int:
        return len(self.frame)

    def _seconds(self, name: str) -> Floats:
        return self.frame[name].to_numpy() / 1e9

    @cached_property
    def intended(self) -> Floats:
        """When each request should have started."""
        return self._seconds("t_intended")

    @cached_property
    def sent(self) -> Floats:
        """When each was sent."""
        return self._seconds("t_sent")

    @cached_property
    def end(self) -> Floats:
        """When each ended."""
        return self._seconds("t_end")

    @cached_property
    def dropped_intended(self) -> Floats:
        """When each dropped arrival should have started, shape (dropped,)."""
        return self.dropped["t_intended"].to_numpy() / 1e9

    @cached_property
    def dropped_end(self) -> Floats:
        """When each dropped arrival was given up, shape (dropped,)."""
        return self.dropped["t_end"].to_numpy() / 1e9

    @cached_property
    def ok(self) -> Mask:
        """Which were answered well."""
        return self.equals("outcome", "ok")

    @cached_property
    def correct(self) -> Mask:
        """Which were answered well and free of any anomaly."""
        return self.ok & self.equals("anomaly", "none")

    @cached_property
    def no_replica(self) -> Mask:
        """Which failed or are in doubt without a reply from any replica."""
        return np.asarray(~self.ok & self.frame["replica"].isna().to_numpy())

    @cached_property
    def server_error(self) -> Mask:
        """Which were answered with a status from 500 on."""
        return np.asarray(self.frame["status"].to_numpy() >= 500)

    def equals(self, column: str, value: str) -> Mask:
        """Where a categorical column has this value."""
        return np.asarray(self.frame[column] == value)
