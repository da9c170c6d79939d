"""What else might have been measured: resampled capacities, a law chosen for each sample, and what that leaves certain.

An interval that takes the chosen law for granted is too narrow, because with other noise another law would have been
chosen (Efron, 2014, "Estimation and accuracy after model selection"). Here each draw chooses its own law.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

DRAWS = 2000
_SEED = 1
#: The columns of ``N / X(N) = c0 + c1 (N-1) + c2 N(N-1)`` that may be above 0, by law, in its simplest form first.
_SHAPES: Mapping[str, tuple[tuple[int, ...], ...]] = {
    "linear": ((0,),),
    "amdahl": ((0,), (0, 1)),
    "usl": ((0,), (0, 1), (0, 2), (0, 1, 2)),
}


def aicc(squares: Floats | float, n: int, parameters: int) -> Floats:
    """Akaike's criterion of a least-squares fit to ``n`` points, corrected for few of them.

    The variance of the noise is estimated too, so it counts as a parameter (Burnham and Anderson, 2002, section 2.2).

    Raises:
        ValueError: there are too few points for so many parameters.
    """
    k = parameters + 1
    if n <= k + 1:
        raise ValueError(f"{n} points are too few for {parameters} parameters and the noise")
    criterion: Floats = n * np.log(np.asarray(squares) / n) + 2 * k + 2 * k * (k + 1) / (n - k - 1)
    return criterion


@dataclass(frozen=True)
class Draws:
    """The parameters of the law that each draw chose, each of shape (draws,); 0 where that law lacks one."""

    g: Floats
    a: Floats
    b: Floats

    def interval(self, values: Floats, confidence: float) -> tuple[float, float]:
        """The quantiles that leave the rest of the draws in equal parts on both sides; the ends may be infinite."""
        tail = (1 - confidence) / 2
        low, high = np.quantile(values, [tail, 1 - tail], method="closest_observation")
        return float(low), float(high)

    @property
    def peaks(self) -> Floats:
        """N*, the size beyond which throughput falls: ``sqrt((1 - a) / b)``, infinite without coherency."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.b > 0, np.sqrt(np.clip(1 - self.a, 0, None) / self.b), np.inf)


def draw_again(n: Floats, fitted: Floats, squares: float, freedom: int, laws: Mapping[str, int]) -> Draws:
    """Draw capacities around ``fitted``, which left ``squares`` of log errors with ``freedom``, and fit each draw.

    ``laws`` has the number of free parameters of each law that may be chosen. The noise is known from few points, so
    each draw has a size of noise that might have left those squares.
    """
    chance = np.random.default_rng(_SEED)
    noise = np.sqrt(squares / chance.chisquare(freedom, DRAWS))
    capacities = fitted * np.exp(noise[:, None] * chance.standard_normal((DRAWS, len(n))))
    return _choose(n, capacities, laws)


def _choose(n: Floats, capacities: Floats, laws: Mapping[str, int]) -> Draws:
    """Fit every law to each draw, and take the one of the least AICc. ``capacities`` has the shape (draws, sizes)."""
    best = np.full(len(capacities), np.inf)
    chosen = np.zeros((len(capacities), 3))
    for law, parameters in laws.items():
        squares, coefficients = _fit_nonnegative(n, capacities, _SHAPES[law])
        criterion = aicc(np.maximum(squares, 1e-18), len(n), parameters)
        better = criterion < best
        best, chosen = np.where(better, criterion, best), np.where(better[:, None], coefficients, chosen)
    c0, c1, c2 = chosen.T
    return Draws(1 / c0, c1 / c0, c2 / c0)


def _fit_nonnegative(n: Floats, capacities: Floats, shapes: tuple[tuple[int, ...], ...]) -> tuple[Floats, Floats]:
    """Least squares of relative errors with no coefficient below 0: the best of the ``shapes`` that has none.

    Returns the squares of shape (draws,) and the coefficients of shape (draws, 3).
    """
    columns = np.stack([np.ones_like(n), n - 1, n * (n - 1)])
    least = np.full(len(capacities), np.inf)
    best = np.zeros((len(capacities), 3))
    for shape in shapes:
        used = list(shape)
        terms = (capacities / n)[:, :, None] * columns[used].T / columns[used].max(axis=1)
        solved = np.linalg.solve(terms.swapaxes(1, 2) @ terms, terms.sum(axis=1)[:, :, None])[:, :, 0]
        squares = ((np.einsum("dsc,dc->ds", terms, solved) - 1) ** 2).sum(axis=1)
        squares = np.where((solved >= 0).all(axis=1), squares, np.inf)
        coefficients = np.zeros_like(best)
        coefficients[:, used] = solved / columns[used].max(axis=1)
        better = squares < least
        least, best = np.where(better, squares, least), np.where(better[:, None], coefficients, best)
    return least, best
