"""Predictions of a model with randomness, such as a random defence, in several fresh draws of its random numbers.

An attack evaluates such a model in many draws and keeps the cloud that fooled the model in one of them, so the accuracy
in the draws of the attack is too low. What counts is the accuracy on the adversarial clouds in draws that the attack
has not used. A deterministic model gives the same prediction in every draw.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.events import Cancel, Done, Event, Progress, result
from core.images import modality_of
from core.models import Classifier
from core.models.port import drawn, draws_anew
from core.models.predict import Predictions, predict

DRAWS = 10
"""Default number of fresh draws."""


@dataclass(frozen=True, eq=False)
class Draws:
    """Whether a model's predictions for n clouds are correct in each of R draws."""

    correct: NDArray[np.bool_]
    """(n, R)"""

    def __getitem__(self, indices: NDArray[np.int64]) -> "Draws":
        """The draws for the clouds at ``indices`` (m,)."""
        return Draws(self.correct[indices])

    @property
    def accuracies(self) -> NDArray[np.float64]:
        """(R,), the accuracy in each draw, 0..1."""
        return np.asarray(self.correct.mean(axis=0))

    @property
    def mean(self) -> float:
        """The mean accuracy."""
        return float(self.correct.mean())

    @property
    def spread(self) -> float:
        """Standard deviation of the accuracy over the draws; 0 if there is one draw."""
        return float(self.accuracies.std(ddof=1)) if self.correct.shape[1] > 1 else 0.0

    @property
    def share_correct(self) -> NDArray[np.float64]:
        """(n,), the share of the draws in which the prediction for each cloud is correct."""
        return np.asarray(self.correct.mean(axis=1))


def draw_seeds(seed: int, draws: int) -> list[int]:
    """Seeds for ``draws`` draws, independent of the random numbers of a model after ``reseeded`` with ``seed``."""
    return np.random.SeedSequence(seed).generate_state(draws).tolist()  # type: ignore[no-any-return]


def predictions_in_draws(
    model: Classifier,
    points: NDArray[np.float32],
    labels: NDArray[np.int64],
    draws: int = DRAWS,
    seed: int = 0,
    batch: int = 32,
    cancel: Cancel | None = None,
) -> Iterator[Event]:
    """Predict clouds (n, N, 3) of known classes (n,) in fresh draws; a deterministic model predicts them once.

    Parameters
    ----------
    seed : of the draws.
    batch : clouds in one forward pass; the predictions do not depend on it.

    Yields
    ------
    Progress after each batch, then Done with a pair: the ``Predictions`` in the first draw, and the ``Draws``. If it
    was cancelled, both are those of the first batches.
    """
    fixed_draws = [drawn(model, draw_seed) for draw_seed in draw_seeds(seed, draws if draws_anew(model) else 1)]
    first_draw: list[Predictions] = []
    correct: list[NDArray[np.bool_]] = []
    done = 0
    for start in range(0, len(points), batch):
        part = slice(start, start + batch)
        predictions = [predict(classifier, points[part], batch) for classifier in fixed_draws]
        first_draw.append(predictions[0])
        correct.append(np.stack([draw.prediction == labels[part] for draw in predictions], axis=1))
        done = min(start + batch, len(points))
        yield Progress(done, len(points), f"{modality_of(points)} predicted")
        if cancel and cancel.requested:
            break
    logits, latent = (np.concatenate([getattr(part, name) for part in first_draw]) for name in ("logits", "latent"))
    yield Done((Predictions(logits, latent), Draws(np.concatenate(correct))), complete=done == len(points))


def judge_draws(
    model: Classifier,
    points: NDArray[np.float32],
    labels: NDArray[np.int64],
    draws: int = DRAWS,
    seed: int = 0,
    batch: int = 32,
) -> Draws:
    """The ``Draws`` of ``predictions_in_draws``; those of a deterministic model are ``draws`` times the same."""
    correct = result(predictions_in_draws(model, points, labels, draws, seed, batch))[1].correct
    return Draws(np.broadcast_to(correct, (len(labels), draws)))
