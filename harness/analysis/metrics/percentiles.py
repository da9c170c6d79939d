"""Exact percentiles of times."""

import numpy as np
import numpy.typing as npt

from harness.results.summary import Percentiles


def compute_percentiles(seconds: npt.NDArray[np.float64]) -> Percentiles:
    """Exact percentiles in milliseconds (the smallest value with at least that share at or below it)."""
    if not len(seconds):
        return Percentiles(None, None, None, None, None)
    found = np.percentile(seconds * 1e3, [50, 90, 99, 99.9, 100], method="inverted_cdf")
    return Percentiles(*(round(float(value), 4) for value in found))
