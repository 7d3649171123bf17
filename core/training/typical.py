"""Measures what is typical of a model's training data, after its training (see ``core.models.typical``)."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.datasets import Dataset, choose_rows
from core.events import Cancel, Done, Event, Note, Progress
from core.models.checkpoints import load_model, read_card, save_model
from core.models.port import Classifier
from core.models.predict import Predictions, predictions
from core.models.typical import FEWEST, UNLIKE, Typical
from core.training.options import TrainOptions

MOST_CLOUDS = 4096
"""Most training clouds, and most validation clouds, that are measured: more change the percentiles little."""

Rows = NDArray[np.int64]


def training_rows(dataset: Dataset, options: TrainOptions) -> tuple[Rows, Rows]:
    """Indices of the clouds of the train split for training, and of those for validation."""
    training, validation = dataset.validation(options.validation, options.seed)
    if options.clouds is not None:
        training = training[choose_rows(dataset.split("train").labels[training], options.clouds)]
    return training, validation


def measure_typical(
    model: Classifier, dataset: Dataset, options: TrainOptions, cancel: Cancel | None = None
) -> Iterator[Event]:
    """Predict training and validation clouds, without augmentation and with as many points as in the training.

    Yields
    ------
    Progress, then Done with the ``Typical``; None if it was cancelled, or after a Note if there are too few clouds.
    """
    split, (training, validation) = dataset.split("train"), training_rows(dataset, options)
    if len(validation) < FEWEST:
        yield Note(
            f"No cloud will be marked as {UNLIKE}: that takes {FEWEST} validation clouds, "
            f"and there are {len(validation)}."
        )
        yield Done(None)
        return
    if (free := len(training) - len(np.unique(split.labels[training]))) < 2:
        yield Note(f"No cloud will be marked as {UNLIKE}: that takes {2 - free} more to learn from.")
        yield Done(None)
        return
    points = 0 if split.has_images else min(options.points, split.points.shape[1])
    training, validation = (rows[choose_rows(split.labels[rows], MOST_CLOUDS)] for rows in (training, validation))
    predicted: list[Predictions] = []
    for rows, text in ((training, "training"), (validation, "validation")):
        for event in predictions(model, split.samples(rows, points), cancel=cancel):
            match event:
                case Progress(done, total):
                    yield Progress(done, total, f"{text} clouds, for what is typical of them")
                case Done(value, complete):
                    if not complete:
                        yield Done(None, complete=False)
                        return
                    predicted.append(value)
    of_training, of_validation = predicted
    yield Done(Typical.fit(of_training.latent, split.labels[training], of_validation, points))


def add_typical(
    weights: Path, dataset: Dataset, options: TrainOptions, device: str, cancel: Cancel | None = None
) -> Iterator[Event]:
    """Measure what is typical of the training data of a run's weights, in float32, and write it into their file.

    Nothing is done if the file has it already.

    Yields
    ------
    Progress and Notes, then Done; if it was cancelled, not complete, and the file is unchanged.
    """
    if read_card(weights).typical is not None:
        yield Done()
        return
    loaded = load_model(weights, device)
    for event in measure_typical(loaded.module, dataset, options, cancel):
        match event:
            case Done(typical, complete):
                if typical is not None:
                    discriminator = loaded.discriminator
                    save_model(weights, loaded.module, loaded.card, typical=typical, discriminator=discriminator)
                yield Done(complete=complete)
            case _:
                yield event
