"""Five definitions of "prediction confidence".

Fig. 5 of the first paper does not say which it shows; the range of its values fits "correct" best.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.evaluation.accuracy import LabelledPredictions

BINS = 15
"""Bins of ``reliability``."""


@dataclass(frozen=True)
class Definition:
    """One definition of confidence."""

    title: str
    help: str
    values: Callable[[LabelledPredictions], NDArray[np.floating]]
    """One number for each of n predictions, or for those of them that the definition is about."""


def _margin(predictions: LabelledPredictions) -> NDArray[np.floating]:
    rows = np.arange(len(predictions.label))
    others = predictions.logits.copy()
    others[rows, predictions.label] = -np.inf
    return np.asarray(predictions.logits[rows, predictions.label] - others.max(axis=1))


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
"""The four definitions that give each prediction a number; the fifth is ``reliability``."""


@dataclass(frozen=True, eq=False)
class Reliability:
    """Accuracy by confidence (Guo et al. 2017), in bins of equal width; empty bins are left out."""

    confidence: NDArray[np.float64]
    """(bins,), mean confidence in the predicted class."""
    accuracy: NDArray[np.float64]
    """(bins,), share of correct predictions."""
    count: NDArray[np.int64]
    """(bins,), predictions in each bin."""

    @property
    def error(self) -> float:
        """Expected calibration error, 0..1."""
        return float(np.average(np.abs(self.confidence - self.accuracy), weights=self.count))


def reliability(predictions: LabelledPredictions) -> Reliability:
    """Accuracy by confidence of at least one prediction."""
    index = np.minimum((predictions.confidence * BINS).astype(int), BINS - 1)
    count = np.bincount(index, minlength=BINS)
    filled = count > 0
    sums = [np.bincount(index, weights, BINS)[filled] for weights in (predictions.confidence, predictions.correct)]
    return Reliability(sums[0] / count[filled], sums[1] / count[filled], count[filled])
