"""What is typical of a model's training data, and whether a cloud is unlike it.

After training, the latents of training clouds give a Gaussian for each class, all with one covariance; the distance of
a latent is the Mahalanobis distance to the nearest of their means (Lee et al., A simple unified framework for detecting
out-of-distribution samples and adversarial attacks, 2018, section 2.1). The full covariance of a latent of 1,024
numbers would be as large as half the network, so it is kept by its ``RANK`` principal directions, with one variance
for all others (Tipping and Bishop, Probabilistic principal component analysis, 1999, section 3.2). This marks most of
the clouds in a wrong frame that the full covariance would, and several times as many as a shared diagonal.

What counts as far, or as unsure, is measured on validation clouds: one in a hundred of them is farther than
``Limits.distance``, and one in a hundred has a smaller confidence than ``Limits.confidence``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from core.models.predict import Predictions

UNLIKE = "unlike the training data"
RANK = 128
"""Principal directions of the covariance that are kept."""
FEWEST = 50
"""Fewest validation clouds from which a first percentile is estimated."""

Array = NDArray[np.float64]


class Limits(BaseModel):
    """The part of ``Typical`` that is on a model's card."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True)

    clouds: int = Field(ge=1, description="Validation clouds that were measured.")
    points: int = Field(ge=0, description="Points of each; 0 of images.")
    confidence: float = Field(ge=0, le=1, description="First percentile of the confidences of the validation clouds.")
    distance: float = Field(ge=0, description="99th percentile of their distances, in standard deviations.")
    margin_spread: float = Field(gt=0, description="Standard deviation of their class margins, in logits.")
    distance_spread: float = Field(gt=0, description="Standard deviation of their distances.")


@dataclass(frozen=True, eq=False)
class Typical:
    """What is typical of the training data of a model with latents of D numbers."""

    limits: Limits
    means: Array
    """(C, D), mean latent of each class that has training clouds."""
    basis: Array
    """(R, D), orthonormal principal directions of the latents about the means of their classes."""
    variances: Array
    """(R + 1,), variances in these directions, and that in any other."""

    @classmethod
    def fit(cls, latent: NDArray[np.floating], label: NDArray[np.int64], validation: Predictions, points: int) -> Self:
        """Fit it to latents (n, D) of training clouds with labels (n,), and to predictions for validation clouds.

        At least two more training clouds than classes are needed, and ``FEWEST`` validation clouds.
        """
        classes = np.unique(label)
        data = latent.astype(np.float64)
        means = np.stack([data[label == k].mean(axis=0) for k in classes])
        centred = data - means[np.searchsorted(classes, label)]
        free = len(label) - len(classes)
        variances, directions = np.linalg.eigh(centred.T @ centred / free)
        rank = min(RANK, free // 2, len(variances) - 1)
        smallest = 1e-9 * variances[-1] + np.finfo(np.float32).tiny
        kept = np.maximum(variances[::-1][:rank], smallest)
        rest = max(float(variances[: len(variances) - rank].mean()), smallest)
        # rounded as they are stored, so that the limits hold for the stored values
        stored = (
            means.astype(np.float32).astype(np.float64),
            directions.T[::-1][:rank].astype(np.float16).astype(np.float64),
            np.append(kept, rest).astype(np.float32).astype(np.float64),
        )
        distance = _distance(validation.latent, *stored)
        limits = Limits(
            clouds=len(distance),
            points=points,
            confidence=float(np.percentile(validation.confidence, 1)),
            distance=float(np.percentile(distance, 99)),
            margin_spread=max(float(margin(validation.logits).std()), 1e-6),
            distance_spread=max(float(distance.std()), 1e-6),
        )
        return cls(limits, *stored)

    @classmethod
    def load(cls, limits: Limits, tensors: Mapping[str, Tensor], width: int) -> Self:
        """Restore it from its ``tensors``, for a model with latents of ``width`` numbers.

        Raises
        ------
        ValueError
            If a tensor is missing, has a wrong shape, or holds an invalid value.
        """
        try:
            means, basis, variances = (tensors[name].double().numpy() for name in ("means", "basis", "variances"))
        except (KeyError, TypeError):
            raise ValueError("a tensor is missing") from None
        shapes = means.shape, basis.shape, variances.shape
        if shapes != ((len(means), width), (len(basis), width), (len(basis) + 1,)) or not len(means):
            raise ValueError(f"its tensors have the shapes {shapes}")
        if not all(np.isfinite(part).all() for part in (means, basis, variances)) or (variances <= 0).any():
            raise ValueError("its tensors hold values that are not finite, or variances that are not positive")
        return cls(limits, means, basis, variances)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The tensors that are stored in the file of weights."""
        return {
            "means": torch.from_numpy(self.means).float(),
            "basis": torch.from_numpy(self.basis).half(),
            "variances": torch.from_numpy(self.variances).float(),
        }

    def distance(self, latent: NDArray[np.floating]) -> Array:
        """(n,), Mahalanobis distance of latents (n, D) to the nearest class mean, in standard deviations."""
        return _distance(latent, self.means, self.basis, self.variances)

    def unlike(self, confidence: NDArray[np.floating], latent: NDArray[np.floating]) -> NDArray[np.bool_]:
        """(n,), whether clouds of confidences (n,) and latents (n, D) are unlike the training data: less sure, or
        farther, than 99 in a hundred of the validation clouds."""
        return np.asarray((confidence < self.limits.confidence) | (self.distance(latent) > self.limits.distance))

    def likeness(self, predictions: Predictions) -> Array:
        """(n,), how surely clouds are of one class and near the training data: the class margin less the distance,
        each in its standard deviations over the validation clouds."""
        distance = self.distance(predictions.latent) / self.limits.distance_spread
        return np.asarray(margin(predictions.logits) / self.limits.margin_spread - distance)


def margin(logits: NDArray[np.floating]) -> Array:
    """(n,), by how much the largest of the logits (n, K) exceeds the second: the class margin."""
    two = np.partition(logits.astype(np.float64), -2, axis=1)[:, -2:]
    return np.asarray(two[:, 1] - two[:, 0])


def _distance(latent: NDArray[np.floating], means: Array, basis: Array, variances: Array) -> Array:
    away = latent.astype(np.float64)[:, None] - means
    along = away @ basis.T
    across = np.maximum((away**2).sum(axis=2) - (along**2).sum(axis=2), 0)
    squares = (along**2 / variances[:-1]).sum(axis=2) + across / variances[-1]
    return np.asarray(np.sqrt(squares.min(axis=1)))
