"""Search for the frame of a model of another project: the one in which it is most accurate on labelled clouds."""

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
"""Fewest test clouds of each class if the model's outputs have no names: with fewer, a wrong order of classes can fit
by chance."""
LEAST_ACCURACY = 0.5
"""Least accuracy at which an order of the classes is proposed."""
SCALES = (1.0, 0.5, 2.0)
"""Scales that are tried."""


@dataclass(frozen=True, eq=False)
class Trial:
    """Accuracy of a model on the clouds in one frame."""

    frame: Frame
    accuracy: Rate
    order: tuple[int, ...] | None = None
    """For each output of a model without class names, the index of the dataset's class that fits its predictions best;
    ``accuracy`` is that with these classes. None if the outputs have names."""


@dataclass(frozen=True, eq=False)
class FrameSearch:
    """Accuracies of a model on labelled clouds in all frames that were tried, first the one that was given."""

    trials: tuple[Trial, ...]
    classes: tuple[str, ...]
    """Names of the dataset's classes."""

    @property
    def best(self) -> Trial:
        """The trial with the highest accuracy; of several, the first."""
        return max(self.trials, key=lambda trial: trial.accuracy.hits)

    @property
    def proposal(self) -> str:
        """Command-line options of the best frame, if it is clearly better than the given one, and of the order of
        classes that fits in the frame; empty if there is nothing to change.
        """
        given, best = self.trials[0], self.best
        better = best.accuracy.interval[0] > given.accuracy.value
        chosen, words = (best, [best.frame.words()]) if better else (given, [])
        if chosen.order is not None and chosen.accuracy.value >= LEAST_ACCURACY:
            words.append(shlex.join(["--classes", ",".join(self.classes[index] for index in chosen.order)]))
        return " ".join(words)


def search_frame(
    model: nn.Module,
    given: Frame,
    dataset: Dataset,
    points: int,
    names: Sequence[str] | None,
    cancel: Cancel | None = None,
) -> Iterator[Event]:
    """Measure a model on test clouds in frames that differ in the axis that is up, the normalisation and the scale.

    Clouds of a dataset with a known up axis are put upright first, so that the best frame is that for upright clouds;
    those of another dataset are tried as they are.

    Parameters
    ----------
    model
        A ``Classifier`` in its own frame: it is called with clouds to which a frame has been applied.
    given
        The frame that is tried first, which the user has chosen.
    points
        Number of points of each cloud.
    names
        Classes of the model in the order of its outputs. None if they are unknown: then there must be as many outputs
        as the dataset has classes, and the accuracy in each frame is that with the order of classes that fits best.

    Yields
    ------
    Progress after each frame, then Done with the ``FrameSearch``; None if it was cancelled before the last.

    Raises
    ------
    DatasetError
        If a class of the dataset is not among ``names``, the numbers of outputs and classes differ where there are no
        names, there are no test clouds, or they have fewer points.
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
    frames = [given, *(frame for frame in _frames() if frame != given)]
    trials = []
    for number, frame in enumerate(frames, 1):
        logits = predict(framed(model, frame), clouds).logits
        if names is None and logits.shape[1] != len(classes):
            raise DatasetError(
                f"The model has {logits.shape[1]} outputs, and {dataset.card.name} {len(classes)} classes: name the "
                "model's --classes."
            )
        trials.append(_trial(frame, logits.argmax(1), labels, None if names is not None else len(classes)))
        yield Progress(number, len(frames), "frames tried")
        if cancel and cancel.requested and number < len(frames):
            yield Done(None, complete=False)
            return
    yield Done(FrameSearch(tuple(trials), tuple(classes)))


def _frames() -> Iterator[Frame]:
    for normalisation, scale, up in product(("sphere", "cube"), SCALES, sorted(AXES, key=lambda axis: axis != "z")):
        yield Frame(up=up, normalisation=normalisation, scale=scale)  # type: ignore[arg-type]


def _trial(frame: Frame, predicted: NDArray[np.integer], labels: NDArray[np.int64], classes: int | None) -> Trial:
    """The trial of predictions (n,) for labels (n,); ``classes`` is the number of classes if outputs have no names."""
    hits = int((predicted == labels).sum())
    if classes is None:
        return Trial(frame, Rate(hits, len(labels)))
    from scipy.optimize import linear_sum_assignment

    # the order of classes with the highest accuracy (Kuhn 1955); of equally good ones, that of the dataset
    table = np.bincount(predicted * classes + labels, minlength=classes**2).reshape(classes, classes)
    _, order = linear_sum_assignment(table + np.eye(classes) / (2 * classes), maximize=True)
    return Trial(frame, Rate(int(table[np.arange(classes), order].sum()), len(labels)), tuple(order.tolist()))
