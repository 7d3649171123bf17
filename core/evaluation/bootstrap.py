"""Bootstrap intervals of accuracies over test clouds and training seeds, and of the difference of two regimes."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

ROUNDS = 4000


@dataclass(frozen=True)
class Estimate:
    """A mean and its 95 % percentile interval."""

    value: float
    low: float
    high: float

    def percent(self) -> str:
        """As a cell of a table, in %."""
        return f"{100 * self.value:.2f} [{100 * self.low:.2f}, {100 * self.high:.2f}]"


def bootstrap(outcomes: ArrayLike) -> Estimate:
    """Mean of ``outcomes`` (seeds, n): 1 for a right verdict, 0 for a wrong one; or the difference of two such tables.

    Clouds are drawn anew, the same for all seeds; with several seeds these are drawn anew as well, so the interval
    covers another test set and another training. Of a single seed it covers another test set only, and of two or three
    seeds it is too narrow where trainings differ much: at worst it is the range of the seeds, which holds the truth in
    half and in three quarters of all cases.

    Raises
    ------
    ValueError
        If there is no outcome.
    """
    table = np.asarray(outcomes, dtype=np.float64)
    if table.ndim != 2 or not table.size:
        raise ValueError(f"A bootstrap needs outcomes of the shape (seeds, clouds), and these have {table.shape}.")
    weights, drawn = _draws(*table.shape)
    means = np.take_along_axis(weights @ table.T / table.shape[1], drawn, axis=1).mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Estimate(float(table.mean()), float(low), float(high))


@lru_cache(maxsize=1)  # a report asks for some dozens of intervals over the same clouds
def _draws(seeds: int, clouds: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """How often each cloud is drawn (ROUNDS, clouds), and which seeds are (ROUNDS, seeds): the same at every call."""
    source = np.random.default_rng(0)
    weights = source.multinomial(clouds, np.full(clouds, 1 / clouds), size=ROUNDS)
    return weights.astype(np.float64), source.integers(seeds, size=(ROUNDS, seeds))
