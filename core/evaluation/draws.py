"""A model that draws is judged by fresh draws, and by several.

An attack asks such a model many times and keeps what the model got wrong in one of these draws, so that its own record
of it is of lucky draws. What counts is how the model answers the adversarial cloud when it draws again.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.models import Classifier, Output, eval_view
from core.models.port import drawn, draws_anew
from core.models.predict import Predictions, predict

DRAWS = 10
"""Fresh draws by which a model that draws is judged, if nothing else is said."""


@dataclass(frozen=True, eq=False)
class Draws:
    """Whether a model is right about n clouds, in each of R draws."""

    correct: NDArray[np.bool_]
    """(n, R)"""

    def __getitem__(self, places: NDArray[np.int64]) -> "Draws":
        """Those of some of the clouds, (m,)."""
        return Draws(self.correct[places])

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
        """Standard deviation of the accuracy over the draws; 0 of one draw."""
        return float(self.accuracies.std(ddof=1)) if self.correct.shape[1] > 1 else 0.0

    @property
    def share(self) -> NDArray[np.float64]:
        """(n,), the share of the draws in which the model is right about each cloud."""
        return np.asarray(self.correct.mean(axis=1))


def draw_seeds(seed: int, draws: int) -> list[int]:
    """The seeds of so many draws. They have nothing to do with the sequence that ``reseeded`` begins with this seed."""
    return np.random.SeedSequence(seed).generate_state(draws).tolist()  # type: ignore[no-any-return]


def judge_draws(
    model: Classifier,
    points: NDArray[np.float32],
    labels: NDArray[np.int64],
    draws: int = DRAWS,
    seed: int = 0,
    batch: int = 32,
) -> Draws:
    """Ask a model about clouds (n, N, 3) of known classes (n,), in fresh draws that this seed gives.

    The answer does not depend on the batch. A model that does not draw is asked once, and gives it in every draw.
    """
    return judge(model, points, labels, draws, seed, batch)[1]


def judge(
    model: Classifier,
    points: NDArray[np.float32],
    labels: NDArray[np.int64],
    draws: int,
    seed: int,
    batch: int,
) -> tuple[Predictions, Draws]:
    """``judge_draws``, and the predictions in the first of the draws."""
    seeds = draw_seeds(seed, draws if draws_anew(model) else 1)
    answers = [predict(drawn(model, each), points, batch) for each in seeds]
    correct = np.stack([each.prediction == labels for each in answers], axis=1)
    return answers[0], Draws(np.broadcast_to(correct, (len(labels), draws)))


def averaged(model: Classifier, draws: int) -> Classifier:
    """A model that draws, as its mean over fresh draws: the logarithms of mean probabilities, and mean latents.

    Its gradient is that of expectation over transformation (Athalye et al., Synthesizing robust adversarial examples,
    2018).
    """

    def ask(clouds: Tensor) -> Output:
        with eval_view(model) as once:
            answers = [once(clouds) for _ in range(draws)]
        logs = torch.stack([answer.logits.log_softmax(1) for answer in answers])
        return Output(logs.logsumexp(0) - math.log(draws), torch.stack([answer.latent for answer in answers]).mean(0))

    return ask
