"""TODO: harness.analysis.metrics.columns."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from harness.observations.requests import LOAD

_FOLDED = ("session", "op", "name", "status", "outcome", "anomaly", "replica", "boot", "t_intended", "t_sent", "t_end",
           "bytes_sent", "bytes_received")  # fmt: skip


Ints = npt.NDArray[np.int64]


Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Columns:
    """The requests of the load phase as arrays; times in seconds from T0."""

    frame: pd.DataFrame

    @classmethod
    def of(cls, requests: pd.DataFrame) -> "Columns":
        """The load phase alone: the final sweep is no load, nor is what a WebSocket brought unasked."""
        kept = [name for name in _FOLDED if name in requests]  # the others would only be copied
        return cls(requests.loc[requests["phase"].to_numpy() == LOAD, kept])

    def _seconds(self, name: str) -> npt.NDArray[np.float64]:
        return self.frame[name].to_numpy() / 1e9

    @cached_property
    def intended(self) -> npt.NDArray[np.float64]:
        """When each request should have started."""
        return self._seconds("t_intended")

    @cached_property
    def sent(self) -> npt.NDArray[np.float64]:
        """When each was sent."""
        return self._seconds("t_sent")

    @cached_property
    def end(self) -> npt.NDArray[np.float64]:
        """When each ended."""
        return self._seconds("t_end")

    @cached_property
    def ok(self) -> Mask:
        """Those that were answered well."""
        return self.equals("outcome", "ok")

    @cached_property
    def correct(self) -> Mask:
        """Those answered well and free of any anomaly."""
        return self.ok & self.equals("anomaly", "none")

    def equals(self, column: str, value: str) -> Mask:
        """Where a categorical column has this value."""
        return np.asarray(self.frame[column] == value)
