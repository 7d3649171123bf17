"""Search for the orientation of clouds in a file: the right-angled turn that a model knows best."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.clouds import Points
from core.clouds.frames import AS_IT_IS, Axis, Orientation, axis_named, right_angled, rotated
from core.datasets import Dataset, choose_rows
from core.events import Cancel, Done, Event, Progress
from core.models.cards import ModelCard
from core.models.checkpoints import LoadedModel
from core.models.predict import predict
from core.models.typical import margin

SAMPLE = 16
"""Clouds of a folder that are tried: on 16 test clouds each shipped model found the right turn in 500 of 500 draws."""
HINT_GAIN = 2.0
"""Gain in the likeness of one cloud from which a turn is proposed as a hint, in standard deviations over the validation
clouds; for the mean over n clouds it is divided by the root of n. At most 5.4 % of the upright test clouds gain as much
in another orientation, and 43 to 83 % of those that lie or stand on their head gain as much when they are put upright;
with the up axis given, at most 3.3 % gain as much turned about it, and 48 to 68 % of those that were turned do when
they are turned back (see ``resources/studies/frames.md``)."""


@dataclass(frozen=True, eq=False)
class TurnSearch:
    """Scores of a model for clouds in each of the 24 right-angled turns."""

    turns: tuple[Orientation, ...]
    """The first one leaves the clouds as they are."""
    scores: NDArray[np.float64]
    """(24,), mean over the clouds of ``Typical.likeness``, or of the class margin alone if not ``calibrated``."""
    margins: NDArray[np.float64]
    """(24,), mean class margins, in logits."""
    calibrated: bool
    """Whether the model has a ``Typical``, measured on its training data."""
    clouds: int
    """Number of clouds that were tried."""

    @property
    def best(self) -> Orientation:
        """The turn with the highest score."""
        return self.turns[int(self.scores.argmax())]

    def hint(self, given: Orientation = AS_IT_IS) -> Orientation | None:
        """The best turn, if it raises the score by enough; None without calibration.

        Of clouds whose orientation nobody gave it puts another axis up. Of those with a ``given`` axis up, and no turn
        about it, it turns them about that axis.
        """
        if not self.calibrated:
            return None
        if not given.given:
            upright = np.array([turn.up == self.turns[0].up for turn in self.turns])
            gain, best = self.scores[~upright].max() - self.scores[upright].max(), self.best
        else:
            same = [place for place, turn in enumerate(self.turns) if turn.up == given.up]
            now = next(place for place in same if not self.turns[place].turn)
            place = max(same, key=lambda each: self.scores[each])
            gain, best = self.scores[place] - self.scores[now], self.turns[place]
        return best if gain > HINT_GAIN / self.clouds**0.5 else None

    def __str__(self) -> str:
        best = int(self.scores.argmax())
        text = f"--up auto chose {self.turns[best].words()}, {self.criterion}: mean class margin"
        text += f" {self.margins[best]:.2f} logits"
        return text + (f", as it is {self.margins[0]:.2f}." if best else ", as it is.")

    @property
    def criterion(self) -> str:
        """By what the best turn is found, as the end of a sentence."""
        if self.calibrated:
            return "where the predictions are most like those for the training data"
        return "where the class margin is largest"


def expected_up(card: ModelCard) -> Axis:
    """The axis that points up in the clouds a model was trained on.

    Raises
    ------
    ValueError
        If its card has no such axis.
    """
    if (axis := axis_named(card.up_axis)) is not None:
        return axis
    raise ValueError(
        f"{card.name} does not say which axis points up in its training data, so nothing can be turned for it: train "
        "it with --up, or leave --up and --turn out."
    )


def search_turn(model: LoadedModel, clouds: Sequence[Points], cancel: Cancel | None = None) -> Iterator[Event]:
    """Predict clouds (N, 3), all of the same orientation, in each of the 24 right-angled turns.

    Yields
    ------
    Progress after each cloud, then Done with the ``TurnSearch``; None if it was cancelled before the last.

    Raises
    ------
    ValueError
        If the model's card does not say which axis it expects up.
    """
    expected = expected_up(model.card)
    turns = right_angled(expected)
    rotations = [turn.rotation(expected) for turn in turns]
    scores, margins = [], []
    for number, points in enumerate(clouds, 1):
        predictions = predict(model.module, np.stack([rotated(points, rotation) for rotation in rotations]), len(turns))
        margins.append(margin(predictions.logits))
        scores.append(model.typical.likeness(predictions) if model.typical else margins[-1])
        yield Progress(number, len(clouds), "clouds turned in 24 ways")
        if cancel and cancel.requested and number < len(clouds):
            yield Done(None, complete=False)
            return
    yield Done(
        TurnSearch(turns, np.mean(scores, axis=0), np.mean(margins, axis=0), model.typical is not None, len(clouds))
    )


def sample_clouds(dataset: Dataset, points: int) -> list[Points]:
    """``SAMPLE`` clouds of a dataset, drawn evenly from its classes, each of at most ``points`` points."""
    split = max(dataset.splits.values(), key=len)
    return [np.array(split.points[row, :points]) for row in choose_rows(split.labels, SAMPLE)]
