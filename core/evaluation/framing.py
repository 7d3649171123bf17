"""In which frame a model of another project knows labelled clouds best, found by trying."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from torch import nn

from core.clouds.frames import AXES, STANDARD_UP, Orientation, axis_named, rotated
from core.datasets import Dataset, DatasetError, choose_rows
from core.datasets.matching import label_map
from core.evaluation.accuracy import Rate
from core.events import Cancel, Done, Event, Progress
from core.models.framed import Frame, framed
from core.models.predict import predict

CLOUDS = 48
"""Test clouds that are tried in each frame."""
PER_CLASS = 5
"""And at least so many of each class where outputs have no names: of fewer, an order of classes fits by chance."""
CONVINCING = 0.5
"""Share of the clouds that has to be right for such an order to be proposed."""
SCALES = (1.0, 0.5, 2.0)


@dataclass(frozen=True, eq=False)
class Trial:
    """A model on the clouds in one frame."""

    frame: Frame
    accuracy: Rate
    order: tuple[int, ...] | None = None
    """The dataset's class of each output that fits the predictions best, if nobody has said what the outputs mean;
    ``accuracy`` is of that order."""


@dataclass(frozen=True, eq=False)
class FrameSearch:
    """A model on labelled clouds in all frames that were tried; the first is the one that was said."""

    trials: tuple[Trial, ...]
    classes: tuple[str, ...]
    """Of the dataset."""

    @property
    def best(self) -> Trial:
        """The most accurate, and of equal ones the first."""
        return max(self.trials, key=lambda trial: trial.accuracy.hits)

    @property
    def proposal(self) -> str:
        """The options that fit best: what to say in place of what was said; empty if nothing is clearly better."""
        said, best = self.trials[0], self.best
        better = best.accuracy.interval[0] > said.accuracy.value
        words = [best.frame.words()] if better else []
        if best.order is not None and best.accuracy.value >= CONVINCING:
            words.append(shlex.join(["--classes", ",".join(self.classes[place] for place in best.order)]))
        return " ".join(words)


def search_frame(
    model: nn.Module,
    said: Frame,
    dataset: Dataset,
    points: int,
    names: Sequence[str] | None,
    cancel: Cancel | None = None,
) -> Iterator[Event]:
    """Try a model on test clouds over the axis that is up, what clouds are scaled to, and the scale.

    Clouds of a dataset that says which axis is up are put upright first, so that what is found holds for all clouds
    that the program shows upright; those of another are tried as they stand.

    Parameters
    ----------
    model
        A ``Classifier`` in its own frame, without what ``said`` turns and scales.
    points
        Of each cloud.
    names
        Its classes in the order of its outputs; None if nobody has said. Then they have to be as many as the dataset's,
        and each frame is judged by the order of classes that suits it.

    Yields
    ------
    Progress after each frame, then Done with the ``FrameSearch``; None if it was cancelled before the last.

    Raises
    ------
    DatasetError
        If the model does not know a class of the dataset, or has another number of outputs where they have no names, or
        the clouds have fewer points.
    """
    split, classes = dataset.split("test"), dataset.card.classes
    if not len(split) or points > split.points.shape[1]:
        raise DatasetError(
            f"The check needs test clouds of {points:,} points, and {dataset.card.name} has {len(split)} of "
            f"{split.points.shape[1]:,}: say --points."
        )
    rows = choose_rows(split.labels, CLOUDS if names is not None else max(CLOUDS, PER_CLASS * len(classes)))
    clouds, labels = np.array(split.points[rows, :points]), split.labels[rows]
    if (up := axis_named(dataset.card.up_axis)) not in (None, STANDARD_UP):
        clouds = rotated(clouds, Orientation(up).rotation(STANDARD_UP))
    if names is not None:
        labels = label_map(classes, names)[labels]
    frames = [said, *(frame for frame in _frames() if frame != said)]
    trials = []
    for place, frame in enumerate(frames, 1):
        logits = predict(framed(model, frame), clouds).logits
        if names is None and logits.shape[1] != len(classes):
            raise DatasetError(
                f"The model has {logits.shape[1]} outputs, and {dataset.card.name} {len(classes)} classes: name the "
                "model's --classes."
            )
        trials.append(_trial(frame, logits.argmax(1), labels, None if names is not None else len(classes)))
        yield Progress(place, len(frames), "frames tried")
        if cancel and cancel.requested and place < len(frames):
            yield Done(None, complete=False)
            return
    yield Done(FrameSearch(tuple(trials), tuple(classes)))


def _frames() -> Iterator[Frame]:
    for normalisation, scale, up in product(("sphere", "cube"), SCALES, sorted(AXES, key=lambda axis: axis != "z")):
        yield Frame(up=up, normalisation=normalisation, scale=scale)  # type: ignore[arg-type]


def _trial(frame: Frame, predicted: NDArray[np.integer], labels: NDArray[np.int64], unnamed: int | None) -> Trial:
    hits = int((predicted == labels).sum())
    if unnamed is None:
        return Trial(frame, Rate(hits, len(labels)))
    from scipy.optimize import linear_sum_assignment

    # a class for each output, so that most clouds are right (Kuhn 1955); among equal orders that of the dataset
    table = np.bincount(predicted * unnamed + labels, minlength=unnamed**2).reshape(unnamed, unnamed)
    _, order = linear_sum_assignment(table + np.eye(unnamed) / (2 * unnamed), maximize=True)
    return Trial(frame, Rate(int(table[np.arange(unnamed), order].sum()), len(labels)), tuple(order.tolist()))
