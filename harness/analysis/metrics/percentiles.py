"""Exact percentiles of times: values that were observed."""

import numpy as np
import numpy.typing as npt

from harness.results.summary import Percentiles


def compute_percentiles(seconds: npt.NDArray[np.float64]) -> Percentiles:
    """Percentiles in milliseconds of ``seconds``, shape (n,): the smallest value with that share at or below it."""
    if not len(seconds):
        return Percentiles(None, None, None, None, None)
    values = np.percentile(seconds * 1e3, [50, 90, 99, 99.9, 100], method="inverted_cdf")
    return Percentiles(*(round(float(value), 4) for value in values))
