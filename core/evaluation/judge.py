"""Predictions of models for clean clouds, and for adversarial clouds that were made on the same or another model.

A model with randomness is judged in fresh draws, not in those that an attack has used (see ``core.evaluation.draws``).
"""

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
from core.evaluation.draws import Draws, predictions_in_draws
from core.evaluation.make import AdversarialSet
from core.events import Cancel, Done, Event, forward
from core.models import Classifier
from core.models.port import draws_anew


def judge(
    model: Classifier,
    split: Split,
    attacked: AdversarialSet,
    options: EvaluationOptions,
    cancel: Cancel | None = None,
) -> Iterator[Event]:
    """Predict the clean and the adversarial clouds of a set, which may have been made on another model.

    Yields
    ------
    Progress, then Done with the ``AccuracyReport``; None if it was cancelled.
    """
    n = len(attacked.row)
    sides: list[LabelledPredictions] = []
    for clouds in (split.samples(attacked.row, options.points), attacked.clouds):
        predicting = labelled_predictions(model, clouds, attacked.label, options, cancel)
        predicted = yield from forward(predicting, before=n * len(sides), weight=n, total=2 * n)
        if not predicted.complete:
            yield Done(None, complete=False)
            return
        sides.append(predicted.value)
    clean, adversarial = sides
    with_distances = attacked.judged(adversarial.logits, adversarial.latent, adversarial.draws)
    yield Done(AccuracyReport(attacked.row, clean, with_distances, copies_left_out(split, options)))


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
    """Predict the chosen clouds of a split and, if there is an attack, their adversarial versions made on the model.

    Parameters
    ----------
    surrogates : other models, whose adversarial clouds ``auto`` tries on the model.
    clean_cache : evaluations of the model at clean clouds; missing batches are added.

    Yields
    ------
    Progress after each batch, then Done with the ``AccuracyReport``. If it was cancelled, that of the first batches,
    and None if no batch was finished.

    Raises
    ------
    ValueError
        As ``chosen_clouds``.
    """
    options = options or EvaluationOptions()
    copies = copies_left_out(split, options)
    if attack is not None:
        making = adversarial_set(model, split, attack, options, cancel, surrogates=surrogates, clean_cache=clean_cache)
        if draws_anew(model):
            yield from _judge_in_fresh_draws(model, split, making, options)
            return
        attacked = yield from forward(making)
        yield Done(attacked.value and attacked.value.report(copies), attacked.complete)
        return
    rows = chosen_clouds(split, options)
    points = split.samples(rows, options.points)
    predicted = yield from forward(labelled_predictions(model, points, split.labels[rows], options, cancel))
    clean: LabelledPredictions = predicted.value
    yield Done(AccuracyReport(rows[: len(clean.label)], clean, copies_left_out=copies), predicted.complete)


def _judge_in_fresh_draws(
    model: Classifier, split: Split, making: Iterator[Event], options: EvaluationOptions
) -> Iterator[Event]:
    """Make an adversarial set and judge it. If making it was cancelled, the part that was made is still judged."""
    n = len(chosen_clouds(split, options))
    attacked = yield from forward(making, weight=n, total=2 * n)
    if attacked.value is None:
        yield Done(None, complete=False)
        return
    judged = yield from forward(judge(model, split, attacked.value, options), before=n, weight=n, total=2 * n)
    yield Done(judged.value, attacked.complete)


def labelled_predictions(
    model: Classifier,
    clouds: NDArray[np.float32],
    labels: NDArray[np.int64],
    options: EvaluationOptions,
    cancel: Cancel | None = None,
) -> Iterator[Event]:
    """Predict clouds (n, N, 3) of known classes (n,); a random model in ``options.fresh_draws`` draws.

    Yields
    ------
    Progress after each batch, then Done with the ``LabelledPredictions``, of the first batches if it was cancelled.
    """
    predicting = predictions_in_draws(
        model, clouds, labels, options.fresh_draws, options.seed, options.batch_size, cancel
    )
    predicted = yield from forward(predicting)
    first_draw, draws = predicted.value
    assert isinstance(draws, Draws)
    labels = labels[: len(draws.correct)]
    if not draws_anew(model):
        draws = None
    yield Done(LabelledPredictions(first_draw.logits, first_draw.latent, labels, draws=draws), predicted.complete)


def copies_left_out(split: Split, options: EvaluationOptions) -> int:
    """Number of clouds of the split that are not measured because they are copies of training clouds."""
    return len(split.copies) if options.without_copies else 0
