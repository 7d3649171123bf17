"""The five meanings of "prediction confidence". The first paper's Fig. 5 names none; "correct" fits its range best."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.evaluation.accuracy import LabelledPredictions

BINS = 15


@dataclass(frozen=True)
class Definition:
    """One meaning of confidence."""

    title: str
    help: str
    values: Callable[[LabelledPredictions], NDArray[np.floating]]
    """Of n verdicts, one number each; of fewer where it is about some of them only."""


def _margin(verdicts: LabelledPredictions) -> NDArray[np.floating]:
    rows = np.arange(len(verdicts.label))
    others = verdicts.logits.copy()
    others[rows, verdicts.label] = -np.inf
    return np.asarray(verdicts.logits[rows, verdicts.label] - others.max(axis=1))


DEFINITIONS: Mapping[str, Definition] = {
    "predicted": Definition(
        "Confidence in the predicted class", "Maximum softmax probability, right or wrong.", lambda v: v.confidence
    ),
    "true": Definition(
        "Confidence in the true class", "Softmax probability of the true class.", lambda v: v.true_confidence
    ),
    "correct": Definition(
        "Confidence of right verdicts",
        "Maximum softmax probability of the clouds that are classified correctly.",
        lambda v: v.confidence[v.correct],
    ),
    "margin": Definition("Logit margin", "Logit of the true class less the highest of the others.", _margin),
}
"""Four that give each verdict a number; the fifth, ``reliability``, is about all of them together."""


@dataclass(frozen=True, eq=False)
class Reliability:
    """How often a confidence is right (Guo et al. 2017), in bins of equal width; empty bins are left out."""

    confidence: NDArray[np.float64]
    """(bins,), mean confidence in the predicted class."""
    accuracy: NDArray[np.float64]
    """(bins,)"""
    count: NDArray[np.int64]
    """(bins,)"""

    @property
    def error(self) -> float:
        """Expected calibration error, 0..1."""
        return float(np.average(np.abs(self.confidence - self.accuracy), weights=self.count))


def reliability(verdicts: LabelledPredictions) -> Reliability:
    """Of n >= 1 verdicts."""
    place = np.minimum((verdicts.confidence * BINS).astype(int), BINS - 1)
    count = np.bincount(place, minlength=BINS)
    held = count > 0
    sums = [np.bincount(place, weights, BINS)[held] for weights in (verdicts.confidence, verdicts.correct)]
    return Reliability(sums[0] / count[held], sums[1] / count[held], count[held])
