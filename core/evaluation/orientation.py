"""How clouds stand in a file, found by trying: the right-angled turn after which a model knows them best."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.clouds import Points
from core.clouds.frames import Axis, Orientation, axis_named, right_angled, rotated
from core.datasets import Dataset, choose_rows
from core.events import Cancel, Done, Event, Progress
from core.models.cards import ModelCard
from core.models.checkpoints import LoadedModel
from core.models.predict import predict
from core.models.typical import margin

SAMPLE = 16
"""Clouds of a folder that are tried: of 16 test clouds each shipped model found the right turn, in 500 of 500 draws."""
SURER = 2.0
"""By how much the likeness of one cloud has to rise for a turn to be worth a hint, in standard deviations over the
validation clouds; of the mean of n clouds, by this over the root of n. At most 5.4 % of the upright test clouds gain
so much by standing another way, and 53 to 83 % of those that lie or stand on their head by being put upright (see
``resources/studies/frames.md``)."""


@dataclass(frozen=True, eq=False)
class Search:
    """What a model makes of clouds in each of the 24 right-angled turns."""

    turns: tuple[Orientation, ...]
    """The first is as they are."""
    scores: NDArray[np.float64]
    """(24,), mean over the clouds of ``Typical.likeness``, or of the class margin alone if not ``calibrated``."""
    margins: NDArray[np.float64]
    """(24,), mean class margins, in logits."""
    calibrated: bool
    """Whether the model's file tells what is typical of its training data."""
    clouds: int
    """How many were tried."""

    @property
    def best(self) -> Orientation:
        return self.turns[int(self.scores.argmax())]

    def hint(self) -> Orientation | None:
        """The best turn, if it puts another axis up than is now and the model, calibrated, is much surer then."""
        if not self.calibrated:
            return None
        upright = np.array([turn.up == self.turns[0].up for turn in self.turns])
        gain = self.scores[~upright].max() - self.scores[upright].max()
        return self.best if gain > SURER / self.clouds**0.5 else None

    def __str__(self) -> str:
        best = int(self.scores.argmax())
        said = f"--up auto chose {self.turns[best].words()}: mean class margin {self.margins[best]:.2f} logits"
        return said + (f", as it is {self.margins[0]:.2f}." if best else ", as it is.")


def expected_up(card: ModelCard) -> Axis:
    """The axis that points up in the clouds a model was trained on.

    Raises
    ------
    ValueError
        If its card does not say.
    """
    if (axis := axis_named(card.up_axis)) is not None:
        return axis
    raise ValueError(
        f"{card.name} does not say which axis points up in its training data, so nothing can be turned for it: train "
        "it with --up, or leave --up and --turn out."
    )


def search_turn(model: LoadedModel, clouds: Sequence[Points], cancel: Cancel | None = None) -> Iterator[Event]:
    """Try the 24 right-angled turns of clouds (N, 3), all of which stand alike, on a model.

    Yields
    ------
    Progress after each cloud, then Done with the ``Search``; None if it was cancelled before the last.

    Raises
    ------
    ValueError
        If the model's card does not say which axis it expects up.
    """
    expected = expected_up(model.card)
    turns = right_angled(expected)
    rotations = [turn.rotation(expected) for turn in turns]
    scores, margins = [], []
    for place, points in enumerate(clouds, 1):
        predictions = predict(model.module, np.stack([rotated(points, rotation) for rotation in rotations]), len(turns))
        margins.append(margin(predictions.logits))
        scores.append(model.typical.likeness(predictions) if model.typical else margins[-1])
        yield Progress(place, len(clouds), "clouds turned in 24 ways")
        if cancel and cancel.requested and place < len(clouds):
            yield Done(None, complete=False)
            return
    yield Done(Search(turns, np.mean(scores, axis=0), np.mean(margins, axis=0), model.typical is not None, len(clouds)))


def sample(dataset: Dataset, points: int) -> list[Points]:
    """A few of a dataset's clouds, of all classes alike, each of at most so many points."""
    split = max(dataset.splits.values(), key=len)
    return [np.array(split.points[row, :points]) for row in choose_rows(split.labels, SAMPLE)]
