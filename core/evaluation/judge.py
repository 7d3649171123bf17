"""Judge often: what models say of clean clouds, and of adversarial ones that were made once.

A model that draws is judged by fresh draws, not by those that an attack has seen.
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
    sides: list[LabelledPredictions] = []
    for clouds in (split.points[made.row, : options.points], made.clouds):
        asking = labelled(model, clouds, made.label, options, cancel)
        found = yield from forward(asking, before=n * len(sides), weight=n, total=2 * n)
        if not found.complete:
            yield Done(None, complete=False)
            return
        sides.append(found.value)
    clean, adversarial = sides
    moved = made.judged(adversarial.logits, adversarial.latent, adversarial.draws)
    yield Done(AccuracyReport(made.row, clean, moved, left_out(split, options)))


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
        if draws_anew(model):
            yield from _in_fresh_draws(model, split, making, options)
            return
        made = yield from forward(making)
        yield Done(made.value and made.value.report(copies), made.complete)
        return
    rows = chosen_clouds(split, options)
    asking = labelled(model, split.points[rows, : options.points], split.labels[rows], options, cancel)
    found = yield from forward(asking)
    clean: LabelledPredictions = found.value
    yield Done(AccuracyReport(rows[: len(clean.label)], clean, copies_left_out=copies), found.complete)


def _in_fresh_draws(
    model: Classifier, split: Split, making: Iterator[Event], options: EvaluationOptions
) -> Iterator[Event]:
    """Make a set, then judge what was made; all of it even where the making was stopped, which else would be lost."""
    n = len(chosen_clouds(split, options))
    made = yield from forward(making, weight=n, total=2 * n)
    if made.value is None:
        yield Done(None, complete=False)
        return
    judged = yield from forward(judge(model, split, made.value, options), before=n, weight=n, total=2 * n)
    yield Done(judged.value, made.complete)


def labelled(
    model: Classifier,
    clouds: NDArray[np.float32],
    labels: NDArray[np.int64],
    options: EvaluationOptions,
    cancel: Cancel | None = None,
) -> Iterator[Event]:
    """Ask a model about clouds (n, N, 3) of known classes (n,).

    Yields
    ------
    Progress after each batch, then Done with the ``LabelledPredictions`` for the clouds that were reached.
    """
    asking = predictions_in_draws(model, clouds, labels, options.fresh_draws, options.seed, options.batch_size, cancel)
    found = yield from forward(asking)
    answers, draws = found.value
    assert isinstance(draws, Draws)
    known = labels[: len(draws.correct)]
    several = draws if draws_anew(model) else None
    yield Done(LabelledPredictions(answers.logits, answers.latent, known, draws=several), found.complete)


def left_out(split: Split, options: EvaluationOptions) -> int:
    """Clouds of the split that are not measured because they are copies of training clouds."""
    return len(split.copies) if options.without_copies else 0
