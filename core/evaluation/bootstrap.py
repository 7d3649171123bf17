"""Bootstrap intervals of accuracies over test clouds and training seeds, and of the difference of two regimes."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

ROUNDS = 4000
"""Resamplings for one interval."""


@dataclass(frozen=True)
class Estimate:
    """A mean and its 95 % percentile interval."""

    value: float
    low: float
    high: float

    def text(self, digits: int) -> str:
        """As a cell of a table, with so many decimals; empty where the value is NaN."""
        if self.value != self.value:
            return ""
        return f"{self.value:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"

    def percent(self) -> str:
        """As a cell of a table, in %."""
        return Estimate(100 * self.value, 100 * self.low, 100 * self.high).text(2)


def bootstrap(outcomes: ArrayLike) -> Estimate:
    """Mean of ``outcomes`` (seeds, n): 1 for a correct prediction, 0 for a wrong one; or differences of such values.

    Each round resamples the clouds, the same for all seeds, and the seeds. With several seeds the interval describes
    the variation over test sets and trainings; with one seed, over test sets only. With two or three seeds it is too
    narrow where trainings differ much: at worst it is the range of the seeds, which contains the true value in one half
    (two seeds) or three quarters (three seeds) of all cases.

    Raises
    ------
    ValueError
        If ``outcomes`` is empty, or is not a table.
    """
    table = np.asarray(outcomes, dtype=np.float64)
    if table.ndim != 2 or not table.size:
        raise ValueError(f"A bootstrap needs outcomes of the shape (seeds, clouds), and these have {table.shape}.")
    cloud_counts, drawn_seeds = resamples(*table.shape)
    means = np.take_along_axis(cloud_counts @ table.T / table.shape[1], drawn_seeds, axis=1).mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Estimate(float(table.mean()), float(low), float(high))


@lru_cache(maxsize=1)  # a report has some dozens of intervals over the same clouds
def resamples(seeds: int, clouds: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """How often each cloud is drawn (ROUNDS, clouds), and the drawn seeds (ROUNDS, seeds); the same at every call."""
    generator = np.random.default_rng(0)
    cloud_counts = generator.multinomial(clouds, np.full(clouds, 1 / clouds), size=ROUNDS)
    return cloud_counts.astype(np.float64), generator.integers(seeds, size=(ROUNDS, seeds))
