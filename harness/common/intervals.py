"""Exact intervals of a share: Clopper and Pearson, Biometrika 26 (1934)."""


def exact_interval(hits: int, total: int, confidence: float = 0.99) -> tuple[float, float]:
    """The Clopper-Pearson interval of ``hits`` out of ``total``, as two shares. ``total`` is at least 1.

    Its ends are quantiles of beta distributions, the inverse of the regularised incomplete beta function.
    """
    from scipy.special import betaincinv  # noqa: PLC0415 - slow to import, and most commands never need it

    tail = (1 - confidence) / 2
    low = float(betaincinv(hits, total - hits + 1, tail)) if hits else 0.0
    high = float(betaincinv(hits + 1, total - hits, 1 - tail)) if hits < total else 1.0
    return low, high


def upper_bound_of_none(total: int, confidence: float = 0.95) -> float:
    """The one-sided exact upper bound of a share of which 0 out of ``total`` were seen: ``1 - (1 - c) ** (1 / n)``."""
    return float(1 - (1 - confidence) ** (1 / total))
