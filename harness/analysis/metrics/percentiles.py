"""Exact percentiles of times: values that were observed."""

import numpy as np
import numpy.typing as npt

from harness.results.summary import Percentiles


def compute_percentiles(seconds: npt.NDArray[np.float64], slower: int = 0) -> Percentiles:
    """Percentiles in milliseconds of ``seconds``, shape (n,): the smallest value with that share at or below it.

    So many ``slower`` ones count too, of which it is only known that they are at least as large as the largest.
    """
    if not len(seconds):
        return Percentiles(None, None, None, None, None)
    seconds = np.concatenate([seconds, np.full(slower, seconds.max())])
    # By shares: 99.9 / 100 exceeds 0.999, so that ``percentile`` takes one value too high of a thousand.
    values = np.quantile(seconds * 1e3, [0.5, 0.9, 0.99, 0.999, 1.0], method="inverted_cdf")
    return Percentiles(*(round(float(value), 4) for value in values))
