"""Judge often: what models say of clean clouds, and of adversarial ones that were made once."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from core.datasets import Split
from core.evaluation.accuracy import (
    AccuracyReport,
    CleanCache,
    EvaluationOptions,
    LabelledPredictions,
    chosen_clouds,
)
from core.evaluation.auto import AnyAttack, adversarial_set
from core.evaluation.make import AdversarialSet
from core.events import Cancel, Done, Event, forward
from core.models import Classifier
from core.models.predict import Predictions, predictions


def judge(
    model: Classifier,
    split: Split,
    made: AdversarialSet,
    options: EvaluationOptions,
    cancel: Cancel | None = None,
) -> Iterator[Event]:
    """Ask a model about the clean and the adversarial clouds of a set that was made on any model.

    Yields
    ------
    Progress, then Done with the ``AccuracyReport``; None if it was stopped.
    """
    n = len(made.row)
    sides: list[Predictions] = []
    for clouds in (split.points[made.row, : options.points], made.clouds):
        found = yield from forward(
            predictions(model, clouds, options.batch_size, cancel), before=n * len(sides), weight=n, total=2 * n
        )
        if not found.complete:
            yield Done(None, complete=False)
            return
        sides.append(found.value)
    clean, adversarial = sides
    yield Done(
        AccuracyReport(
            made.row,
            LabelledPredictions(clean.logits, clean.latent, made.label),
            made.judged(adversarial.logits, adversarial.latent),
            left_out(split, options),
        )
    )


def evaluate_accuracy(
    model: Classifier,
    split: Split,
    attack: AnyAttack | None = None,
    options: EvaluationOptions | None = None,
    cancel: Cancel | None = None,
    *,
    surrogates: Sequence[Classifier] = (),
    clean_cache: CleanCache | None = None,
) -> Iterator[Event]:
    """Ask the model about clean clouds and, with an attack on it, about their adversarial versions.

    Parameters
    ----------
    surrogates : other models, whose adversarial clouds ``auto`` tries on the model.
    clean_cache : evaluations of the model at clean clouds; missing batches are added.

    Yields
    ------
    Progress after each batch, then Done with the ``AccuracyReport`` of the clouds that were reached; None if none was.

    Raises
    ------
    ValueError
        If the split holds no cloud, or clouds of fewer points than are asked for.
    """
    options = options or EvaluationOptions()
    copies = left_out(split, options)
    if attack is not None:
        making = adversarial_set(model, split, attack, options, cancel, surrogates=surrogates, clean_cache=clean_cache)
        found = yield from forward(making)
        yield Done(found.value and found.value.report(copies), found.complete)
        return
    rows = chosen_clouds(split, options)
    found = yield from forward(predictions(model, _first(split, rows, options), options.batch_size, cancel))
    answers: Predictions = found.value
    rows = rows[: len(answers.logits)]
    clean = LabelledPredictions(answers.logits, answers.latent, split.labels[rows])
    yield Done(AccuracyReport(rows, clean, copies_left_out=copies), found.complete)


def _first(split: Split, rows: NDArray[np.int64], options: EvaluationOptions) -> NDArray[np.float32]:
    return np.asarray(split.points[rows, : options.points])


def left_out(split: Split, options: EvaluationOptions) -> int:
    """Clouds of the split that are not measured because they are copies of training clouds."""
    return len(split.copies) if options.without_copies else 0
