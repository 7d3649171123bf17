"""Clean and adversarial accuracy of a model on a split, from its prediction for every cloud (first paper, Table I)."""

from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from core.attacks import Evaluation
from core.datasets import Split, choose_rows
from core.evaluation.draws import DRAWS, Draws
from core.models.predict import Predictions
from core.options import Options, option

Array = NDArray[np.float32]
CleanCache = dict[int, Evaluation]
"""Cache of clean predictions, with gradients: index of a batch's first cloud -> the model's evaluation of the batch.
For several measurements of one model on the same clouds, points and batches, so that only the first computes them."""


class EvaluationOptions(Options):
    """Which clouds are measured, and how many points of each."""

    clouds: int | None = option(
        None, "Clouds to use, drawn evenly from the classes; empty takes all.", unit="clouds", low=1
    )
    points: int = option(
        1024,
        "Points of each cloud: the first so many, the same for every model; 0 of images.",
        unit="points",
        low=0,
        high=100_000,
    )
    without_copies: bool = option(False, "Leave out test clouds that are copies of training clouds.", advanced=True)
    stop_on_success: bool = option(
        False,
        "End the attack on a cloud once the model is fooled: same accuracy, less time; confidences are of that moment.",
        advanced=True,
    )
    seed: int = option(0, "Source of an attack's random starts.", low=0, high=2**31 - 1, advanced=True)
    batch_size: int = option(32, "Clouds in one pass.", unit="clouds", low=1, high=4096, advanced=True)
    fresh_draws: int = option(
        DRAWS,
        "Fresh draws that judge a model with a random defence; other models predict once.",
        low=1,
        high=1000,
        advanced=True,
    )


@dataclass(frozen=True)
class Rate:
    """``hits`` correct predictions for ``n`` clouds; for a model with a random defence, the mean over its draws."""

    hits: float
    n: int

    @property
    def value(self) -> float:
        """Share in 0..1; NaN if there is no cloud."""
        return self.hits / self.n if self.n else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % confidence interval."""
        if not self.n:
            return 0.0, 1.0
        from scipy.stats import binomtest  # half a second to import, which a window's start should not pay

        low, high = binomtest(round(self.hits), self.n).proportion_ci(0.95, method="wilson")
        return float(low), float(high)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.2%} ({low:.2%} to {high:.2%}, n = {self.n})"


@dataclass(frozen=True, eq=False)
class LabelledPredictions(Predictions):
    """A model's predictions for n clouds of known classes."""

    label: NDArray[np.int64]
    """(n,), the true classes."""
    draws: Draws | None = field(default=None, kw_only=True)
    """Whether each of R draws of a random model is correct; the predictions are those of the first. None if the model
    is deterministic."""

    def subset(self, indices: NDArray[np.int64]) -> Self:
        """The predictions for the clouds at ``indices`` (m,)."""
        parts = {part.name: getattr(self, part.name) for part in fields(self)}
        return replace(self, **{name: value[indices] for name, value in parts.items() if value is not None})

    @property
    def correct(self) -> NDArray[np.bool_]:
        """(n,), whether each prediction is the true class."""
        return np.equal(self.prediction, self.label)

    @property
    def correct_in_draws(self) -> NDArray[np.bool_]:
        """(n, R), whether the prediction of each of R draws is correct; (n, 1) if the model is deterministic."""
        return self.correct[:, None] if self.draws is None else self.draws.correct

    @property
    def share_correct(self) -> NDArray[np.float64]:
        """(n,), the share of the draws with a correct prediction: 0 or 1 if the model is deterministic."""
        return np.asarray(self.correct_in_draws.mean(axis=1))

    @property
    def accuracy(self) -> Rate:
        """Accuracy; of a random model, the mean over its draws."""
        return Rate(int(self.correct.sum()) if self.draws is None else float(self.share_correct.sum()), len(self.label))

    @property
    def rank(self) -> NDArray[np.int64]:
        """(n,), rank of the true class by probability: 1 where the prediction is correct."""
        own = np.take_along_axis(self.logits, self.label[:, None], axis=1)
        tie = np.arange(self.logits.shape[1]) < self.label[:, None]  # of equal logits argmax takes the first
        return np.asarray(1 + ((self.logits > own) | ((self.logits == own) & tie)).sum(axis=1))

    def top_k(self, largest_k: int) -> list[Rate]:
        """Top-k accuracies for k = 1 to ``largest_k``: the true class is among the k most probable (Fig. 4)."""
        rank = self.rank
        return [Rate(int((rank <= k).sum()), len(rank)) for k in range(1, largest_k + 1)]

    def confusion(self) -> NDArray[np.int64]:
        """(K, K), number of clouds of each true class (row) and predicted class (column)."""
        classes = self.logits.shape[1]
        return np.bincount(self.label * classes + self.prediction, minlength=classes**2).reshape(classes, classes)

    @property
    def true_confidence(self) -> Array:
        """(n,), softmax probability of the true class."""
        return np.exp(-self.loss)

    @property
    def loss(self) -> Array:
        """(n,), cross-entropy in nats."""
        return -np.take_along_axis(np.asarray(log_softmax(self.logits, axis=1)), self.label[:, None], 1)[:, 0]


@dataclass(frozen=True, eq=False)
class AdversarialPredictions(LabelledPredictions):
    """A model's predictions for n adversarial clouds, and the distance of each from the clean cloud."""

    linf: NDArray[np.float64]
    """(n,), realised L-infinity distance in unit-sphere radii."""
    rmse: NDArray[np.float64]
    """(n,), realised root mean square over the 3N coordinates, in unit-sphere radii."""


@dataclass(frozen=True, eq=False)
class AccuracyReport:
    """The predictions of a model for clean and adversarial clouds, from which every number is computed."""

    row: NDArray[np.int64]
    """(n,), indices of the clouds in their split."""
    clean: LabelledPredictions
    adversarial: AdversarialPredictions | None = None
    """None if the model was not attacked."""
    copies_left_out: int = 0
    """Clouds of the split that were not measured because they are copies of training clouds."""

    def subset(self, indices: NDArray[np.int64]) -> "AccuracyReport":
        """The report on the clouds at ``indices`` (m,)."""
        return replace(
            self,
            row=self.row[indices],
            clean=self.clean.subset(indices),
            adversarial=self.adversarial.subset(indices) if self.adversarial else None,
        )

    @property
    def sides(self) -> tuple[LabelledPredictions, AdversarialPredictions]:
        """Predictions for the clean and for the adversarial clouds; only for a report that has both."""
        assert self.adversarial is not None
        return self.clean, self.adversarial

    def top_k(self, largest_k: int = 5) -> NDArray[np.float64]:
        """(2, k), top-k accuracies on clean (row 0) and adversarial clouds, for k to ``largest_k`` or all classes."""
        largest_k = min(largest_k, self.clean.logits.shape[1])
        return np.array([[rate.value for rate in side.top_k(largest_k)] for side in self.sides])

    def summary(self) -> dict[str, Any]:
        """Accuracies with 95 % intervals and realised distances, for a record or a table."""
        values = {"n": len(self.row), "copies_left_out": self.copies_left_out, **_summary("clean", self.clean)}
        if (adversarial := self.adversarial) is not None:
            values |= _summary("adversarial", adversarial) | {
                "linf_mean": float(adversarial.linf.mean()),
                "linf_max": float(adversarial.linf.max()),
                "rmse_mean": float(adversarial.rmse.mean()),
            }
        return values

    @property
    def records(self) -> dict[str, NDArray[Any]]:
        """The columns of a table with one line for each cloud; losses in nats, confidences in 0..1."""
        columns = {"row": self.row, "label": self.clean.label, **_columns("clean", self.clean)}
        if (adversarial := self.adversarial) is not None:
            columns |= _columns("adversarial", adversarial) | {"linf": adversarial.linf, "rmse": adversarial.rmse}
        return columns


def chosen_clouds(split: Split, options: EvaluationOptions) -> NDArray[np.int64]:
    """Rows of the split that are measured.

    Raises
    ------
    ValueError
        If the split has no cloud, its clouds have fewer points than ``options.points``, or all are copies of training
        clouds and ``options.without_copies`` is set.
    """
    if split.has_images and not len(split):
        raise ValueError("The split has no images.")
    stored = split.points.shape[1]
    if not split.has_images and (not 0 < options.points <= stored or not len(split)):
        raise ValueError(f"{options.points} points were asked for, and the split has {len(split)} clouds of {stored}.")
    rows = np.arange(len(split))
    if options.without_copies:
        rows = np.delete(rows, split.copies)
        if not len(rows):
            raise ValueError(
                f"Nothing is left to measure: all {len(split)} clouds of the split are copies of training clouds."
            )
    return rows[choose_rows(split.labels[rows], options.clouds or len(rows))]


def _summary(kind: str, predictions: LabelledPredictions) -> dict[str, Any]:
    return {
        f"{kind}_accuracy": predictions.accuracy.value,
        f"{kind}_interval": predictions.accuracy.interval,
        f"{kind}_confidence": float(predictions.confidence.mean()),
        f"{kind}_loss": float(predictions.loss.mean()),
        **(
            {f"{kind}_spread": draws.spread, f"{kind}_draws": draws.accuracies.tolist()}
            if (draws := predictions.draws)
            else {}
        ),
    }


def _columns(kind: str, predictions: LabelledPredictions) -> dict[str, NDArray[Any]]:
    return {
        f"{kind}_prediction": predictions.prediction,
        f"{kind}_confidence": predictions.confidence,
        f"{kind}_true_confidence": predictions.true_confidence,
        f"{kind}_loss": predictions.loss,
        **({f"{kind}_share_of_draws": predictions.draws.share_correct} if predictions.draws else {}),
    }
