"""Clean and adversarial accuracy of a model on a split, with an answer for every cloud (first paper, Table I)."""

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
        1024, "Points of each cloud: the first so many, the same for every model.", unit="points", low=1, high=100_000
    )
    without_copies: bool = option(False, "Leave out test clouds that are copies of training clouds.", advanced=True)
    stop_on_success: bool = option(
        False,
        "End with each cloud once the model is fooled: the same accuracy sooner; confidences and losses are of then.",
        advanced=True,
    )
    seed: int = option(0, "Source of an attack's random starts.", low=0, high=2**31 - 1, advanced=True)
    batch_size: int = option(32, "Clouds in one pass.", unit="clouds", low=1, high=4096, advanced=True)
    fresh_draws: int = option(
        DRAWS,
        "Fresh draws that judge a model with a random defence; others are asked once.",
        low=1,
        high=1000,
        advanced=True,
    )


@dataclass(frozen=True)
class Rate:
    """``hits`` of ``n`` clouds; of a model that draws, their mean over the draws."""

    hits: float
    n: int

    @property
    def value(self) -> float:
        """Share in 0..1; NaN of no cloud."""
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
    """How a model that draws is judged, of whose first draw the predictions are; None of any other."""

    def of(self, places: NDArray[np.int64]) -> Self:
        """The answers to some of the clouds, (m,)."""
        parts = {part.name: getattr(self, part.name) for part in fields(self)}
        return replace(self, **{name: value[places] for name, value in parts.items() if value is not None})

    @property
    def correct(self) -> NDArray[np.bool_]:
        """(n,)"""
        return np.equal(self.prediction, self.label)

    @property
    def in_draws(self) -> NDArray[np.bool_]:
        """(n, R), whether the model is right in each of R draws; (n, 1) of one that does not draw."""
        return self.correct[:, None] if self.draws is None else self.draws.correct

    @property
    def share(self) -> NDArray[np.float64]:
        """(n,), the share of the draws in which the model is right: 0 or 1 of one that does not draw."""
        return np.asarray(self.in_draws.mean(axis=1))

    @property
    def accuracy(self) -> Rate:
        """Of a model that draws, the mean over its draws."""
        return Rate(int(self.correct.sum()) if self.draws is None else float(self.share.sum()), len(self.label))

    @property
    def rank(self) -> NDArray[np.int64]:
        """(n,), place of the true class among the classes by probability: 1 where the verdict is right."""
        own = np.take_along_axis(self.logits, self.label[:, None], axis=1)
        tie = np.arange(self.logits.shape[1]) < self.label[:, None]  # as argmax decides
        return np.asarray(1 + ((self.logits > own) | ((self.logits == own) & tie)).sum(axis=1))

    def top(self, most: int) -> list[Rate]:
        """Accuracy where the true class need only be among the k most probable, for k = 1 to ``most`` (Fig. 4)."""
        rank = self.rank
        return [Rate(int((rank <= k).sum()), len(rank)) for k in range(1, most + 1)]

    def confusion(self) -> NDArray[np.int64]:
        """(K, K), clouds of each true class (row) by predicted class (column)."""
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
    """A model's answers to n adversarial clouds, and how far each is from the clean one."""

    linf: NDArray[np.float64]
    """(n,), realised L-infinity distance in unit-sphere radii."""
    rmse: NDArray[np.float64]
    """(n,), realised root mean square over the 3N coordinates, in unit-sphere radii."""


@dataclass(frozen=True, eq=False)
class AccuracyReport:
    """What was measured; every number can be computed again from the answers it holds."""

    row: NDArray[np.int64]
    """(n,), places of the clouds in their split."""
    clean: LabelledPredictions
    adversarial: AdversarialPredictions | None = None
    """None if no attack was asked for."""
    copies_left_out: int = 0
    """Clouds of the split that were not measured because they are copies of training clouds."""

    def of(self, places: NDArray[np.int64]) -> "AccuracyReport":
        """The report of some of the clouds, (m,)."""
        return replace(
            self,
            row=self.row[places],
            clean=self.clean.of(places),
            adversarial=self.adversarial.of(places) if self.adversarial else None,
        )

    @property
    def sides(self) -> tuple[LabelledPredictions, AdversarialPredictions]:
        """Predictions for the clean and for the adversarial clouds, of a report that has both."""
        assert self.adversarial is not None
        return self.clean, self.adversarial

    def top(self, most: int = 5) -> NDArray[np.float64]:
        """(2, k), top-k accuracies on the clean and on the adversarial clouds, for k to ``most`` or all classes."""
        most = min(most, self.clean.logits.shape[1])
        return np.array([[rate.value for rate in side.top(most)] for side in self.sides])

    def summary(self) -> dict[str, Any]:
        """Accuracies with 95 % intervals and realised distances, for a record or a table."""
        values = {"n": len(self.row), "copies_left_out": self.copies_left_out, **_described("clean", self.clean)}
        if (moved := self.adversarial) is not None:
            values |= _described("adversarial", moved) | {
                "linf_mean": float(moved.linf.mean()),
                "linf_max": float(moved.linf.max()),
                "rmse_mean": float(moved.rmse.mean()),
            }
        return values

    @property
    def records(self) -> dict[str, NDArray[Any]]:
        """One line per cloud, as the columns of a table; losses in nats, confidences in 0..1."""
        columns = {"row": self.row, "label": self.clean.label, **_columns("clean", self.clean)}
        if (moved := self.adversarial) is not None:
            columns |= _columns("adversarial", moved) | {"linf": moved.linf, "rmse": moved.rmse}
        return columns


def chosen_clouds(split: Split, options: EvaluationOptions) -> NDArray[np.int64]:
    """Rows of the split that are measured.

    Raises
    ------
    ValueError
        If the split holds no cloud, or clouds of fewer points than are asked for, or copies alone where these are to be
        left out.
    """
    stored = split.points.shape[1]
    if options.points > stored or not len(split):
        raise ValueError(f"{options.points} points were asked for, and the split has {len(split)} clouds of {stored}.")
    rows = np.arange(len(split))
    if options.without_copies:
        rows = np.delete(rows, split.copies)
        if not len(rows):
            raise ValueError(
                f"Nothing is left to measure: all {len(split)} clouds of the split are copies of training clouds."
            )
    return rows[choose_rows(split.labels[rows], options.clouds or len(rows))]


def _described(kind: str, verdicts: LabelledPredictions) -> dict[str, Any]:
    return {
        f"{kind}_accuracy": verdicts.accuracy.value,
        f"{kind}_interval": verdicts.accuracy.interval,
        f"{kind}_confidence": float(verdicts.confidence.mean()),
        f"{kind}_loss": float(verdicts.loss.mean()),
        **(
            {f"{kind}_spread": draws.spread, f"{kind}_draws": draws.accuracies.tolist()}
            if (draws := verdicts.draws)
            else {}
        ),
    }


def _columns(kind: str, verdicts: LabelledPredictions) -> dict[str, NDArray[Any]]:
    return {
        f"{kind}_prediction": verdicts.prediction,
        f"{kind}_confidence": verdicts.confidence,
        f"{kind}_true_confidence": verdicts.true_confidence,
        f"{kind}_loss": verdicts.loss,
        **({f"{kind}_share_of_draws": verdicts.draws.share} if verdicts.draws else {}),
    }
