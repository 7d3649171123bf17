"""What is typical of the data that a model was trained on, measured once its training is over."""

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

MOST = 4096
"""Training clouds that are looked at, and validation clouds too: more change the percentiles little."""

Rows = NDArray[np.int64]


def training_rows(dataset: Dataset, options: TrainOptions) -> tuple[Rows, Rows]:
    """Rows of the train split that are learnt from, and those kept for validation."""
    rows, held = dataset.validation(options.validation, options.seed)
    if options.clouds is not None:
        rows = rows[choose_rows(dataset.split("train").labels[rows], options.clouds)]
    return rows, held


def measure_typical(
    model: Classifier, dataset: Dataset, options: TrainOptions, cancel: Cancel | None = None
) -> Iterator[Event]:
    """Predict the training and the validation clouds, unaugmented and of as many points as were trained with.

    Yields
    ------
    Progress, then Done with the ``Typical``; with None if it was cancelled or, as a Note says, there are too few
    validation clouds.
    """
    train, (learnt, held) = dataset.split("train"), training_rows(dataset, options)
    if len(held) < FEWEST:
        yield Note(
            f"No cloud will be marked as {UNLIKE}: that takes {FEWEST} validation clouds, and there are {len(held)}."
        )
        yield Done(None)
        return
    points = min(options.points, train.points.shape[1])
    learnt, held = (rows[choose_rows(train.labels[rows], MOST)] for rows in (learnt, held))
    found: list[Predictions] = []
    for rows, text in ((learnt, "training"), (held, "validation")):
        for event in predictions(model, train.points[rows, :points], cancel=cancel):
            match event:
                case Progress(done, total):
                    yield Progress(done, total, f"{text} clouds, for what is typical of them")
                case Done(value, complete):
                    if not complete:
                        yield Done(None, complete=False)
                        return
                    found.append(value)
    learnt_from, validation = found
    yield Done(Typical.fit(learnt_from.latent, train.labels[learnt], validation, points))


def add_typical(
    weights: Path, dataset: Dataset, options: TrainOptions, device: str, cancel: Cancel | None = None
) -> Iterator[Event]:
    """Measure what is typical of the training data of a run's weights, in float32, and write it into their file, once.

    Yields
    ------
    Progress and Notes, then Done; not complete if it was cancelled, the file being as it was.
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
