"""A model that draws is judged by fresh draws, and by several.

An attack asks such a model many times and keeps what the model got wrong in one of these draws, so that its own record
of it is of lucky draws. What counts is how the model answers the adversarial cloud when it draws again.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.events import Cancel, Done, Event, Progress, result
from core.models import Classifier
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


def predictions_in_draws(
    model: Classifier,
    points: NDArray[np.float32],
    labels: NDArray[np.int64],
    draws: int = DRAWS,
    seed: int = 0,
    batch: int = 32,
    cancel: Cancel | None = None,
) -> Iterator[Event]:
    """Ask a model about clouds (n, N, 3) of known classes (n,) in fresh draws; one that does not draw is asked once.

    Parameters
    ----------
    seed : gives the draws.
    batch : clouds in one forward pass; the answer does not depend on it.

    Yields
    ------
    Progress after each batch, then Done with the ``Predictions`` in the first draw and the ``Draws``, both of the
    clouds that were reached.
    """
    fixed = [drawn(model, each) for each in draw_seeds(seed, draws if draws_anew(model) else 1)]
    first: list[Predictions] = []
    correct: list[NDArray[np.bool_]] = []
    done = 0
    for start in range(0, len(points), batch):
        part = slice(start, start + batch)
        answers = [predict(each, points[part], batch) for each in fixed]
        first.append(answers[0])
        correct.append(np.stack([each.prediction == labels[part] for each in answers], axis=1))
        done = min(start + batch, len(points))
        yield Progress(done, len(points), "clouds predicted")
        if cancel and cancel.requested:
            break
    answered = Predictions(*(np.concatenate([getattr(each, name) for each in first]) for name in ("logits", "latent")))
    yield Done((answered, Draws(np.concatenate(correct))), complete=done == len(points))


def judge_draws(
    model: Classifier,
    points: NDArray[np.float32],
    labels: NDArray[np.int64],
    draws: int = DRAWS,
    seed: int = 0,
    batch: int = 32,
) -> Draws:
    """Whether a model is right in each of so many fresh draws; one that does not draw answers the same in all."""
    found: Draws = result(predictions_in_draws(model, points, labels, draws, seed, batch))[1]
    return Draws(np.broadcast_to(found.correct, (len(labels), draws)))
