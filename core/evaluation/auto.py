"""``auto``: the strongest of several attacks on each cloud, for the robust accuracy to report.

It follows AutoAttack (Croce and Hein 2020): Auto-PGD with two objectives, an attack that searches the nearest decision
boundary (FAB), one without gradients (Square), and clouds transferred from other models. Each stage attacks only the
clouds that are still classified correctly, with the same random numbers as if it were run alone.

For a model with randomness, the strongest attack on a cloud is the one with the smallest share of correct predictions
in fresh draws. A cloud is attacked until that share is 0, and counts as fooled if it is below one half.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.attacks import Attack, preset
from core.attacks.scale import MOST, RADII, EpsilonScale
from core.datasets import Split
from core.evaluation.accuracy import CleanCache, EvaluationOptions, chosen_clouds
from core.evaluation.combined import with_clean_clouds, with_stage_name, with_stronger
from core.evaluation.draws import predictions_in_draws
from core.evaluation.make import AdversarialSet, columns_of, joined, make_set, stored_batch
from core.evaluation.set_folder import Columns, SetFolder
from core.events import Cancel, Done, Event, Progress, forward, result
from core.images import modality_of
from core.models import Classifier
from core.models.checkpoints import LoadedModel, builtin_models, load_model
from core.models.port import draws_anew
from core.models.predict import Predictions, device_of
from core.options import Options, option

AUTO = "auto"
AUTO_DESCRIPTION = (
    "The minimum per cloud over Auto-PGD on two objectives, FAB, Square and clouds of other models (after Croce and "
    "Hein 2020), for many clouds: the number to state."
)
STAGES: Mapping[str, Mapping[str, Any]] = {
    "apgd-ce": {"steps": 100},
    "apgd-t": {"steps": 100},
    "fab": {"steps": 20},
    "square": {"steps": 250},
}
"""The attacks on the model itself, in their order, and the options that differ from their presets.

FAB and Square have fewer steps than in AutoAttack, so that 200 clouds take minutes. Measured on 58 clouds that
``modelnet16-pgd`` classifies correctly (1,024 points, epsilon 0.05), in seconds of one core, and how many of them each
stage fooled: apgd-ce 15 s, 13; apgd-t 126 s, 1; fab 27 s, 0; square 30 s, 0; transfer 7 s, 0. That is 11 minutes of one
core for 200 clouds. With 40 steps apgd-t fooled none of these, nor clouds of other shipped models that only it can
fool. A short Auto-PGD before the first stage saved no time: the clouds that it fools, apgd-ce fools as early."""
RANDOM_STAGES: Mapping[str, Mapping[str, Any]] = {
    "apgd-ce": {"steps": 100, "gradient": "expectation", "draws": 10, "keep": "last"},
    "apgd-dlr": {"steps": 100, "gradient": "expectation", "draws": 10, "keep": "last"},
    "square": {"steps": 250},
}
"""The same for models with randomness, as in AutoAttack's version for them: along the mean gradient of several draws.

An attack takes all its steps and its last iterate is kept, because the first to fool one draw does so by chance. Of
24 shapes (512 points, epsilon 0.05) behind random dropping of points, ``pointnet-simple`` is then right in 19 % of
fresh draws and ``pointnet-pgd`` in 71 %, and with the stages above in 21 and 70 %, in half the time.
"""
BLOCK = 128
"""Clouds that go through all stages together; a cancelled run keeps the finished blocks."""
TRANSFER_PASSES = 30
"""Cost of transferring a cloud from one other model, in forward and backward passes; only for the progress."""


@dataclass(frozen=True)
class Stage:
    """One of the attacks of ``auto``."""

    name: str
    attack: Attack

    @property
    def passes(self) -> int:
        """Forward and backward passes for one cloud, estimated."""
        return (1 + 2 * self.attack.gradients_a_step) * self.attack.total_steps


class _BlockProgress(NamedTuple):
    """How many clouds were finished before a block, how many there are, and how much work one of them is."""

    before: int
    total: int
    passes_per_cloud: int


class AutoAttack(Options):
    """The strongest of several attacks on each cloud, within an L-infinity budget."""

    epsilon: float = option(0.1, "Budget of the perturbation.", unit="r", low=0.0, high=MOST)

    @property
    def epsilon_scale(self) -> EpsilonScale:
        """The unit and range of epsilon."""
        return RADII

    def stages(self, random: bool) -> tuple[Stage, ...]:
        """The attacks on the model itself, in their order; ``random`` tells whether the model has randomness."""
        chosen = RANDOM_STAGES if random else STAGES
        return tuple(Stage(name, preset(name, epsilon=self.epsilon, **settings)) for name, settings in chosen.items())

    @property
    def transfer_attack(self) -> Attack:
        """The attack on the other models, whose clouds are tried on the model."""
        return preset("mi", epsilon=self.epsilon)

    @property
    def caption(self) -> str:
        """Text for a title or caption."""
        return f"auto (Auto-PGD, FAB, Square, transfer) at epsilon {self.epsilon_scale.text(self.epsilon)}"

    def at(self, epsilon: float) -> "AutoAttack":
        """The same attack with another budget."""
        return self.model_copy(update={"epsilon": epsilon})


AnyAttack = Attack | AutoAttack
"""Every attack that can be made on a whole split."""


def other_shipped_models(model: LoadedModel) -> list[Classifier]:
    """The shipped models of the same classes, on the same device, except ``model``: the surrogates of ``auto``."""
    device = device_of(model.module)
    others = [load_model(path, device) for name, path in builtin_models().items() if name != model.name]
    return [other.module for other in others if other.card.classes == model.card.classes]


def adversarial_set(
    model: Classifier,
    split: Split,
    attack: AnyAttack,
    options: EvaluationOptions,
    cancel: Cancel | None = None,
    *,
    surrogates: Sequence[Classifier] = (),
    clean_cache: CleanCache | None = None,
    parts: SetFolder | None = None,
) -> Iterator[Event]:
    """``auto_set`` for an ``AutoAttack``, ``make_set`` for any other attack, which needs no ``surrogates``."""
    if isinstance(attack, AutoAttack):
        return auto_set(model, split, attack, options, cancel, surrogates=surrogates, parts=parts)
    return make_set(model, split, attack, options, cancel, clean_cache=clean_cache, parts=parts)


def auto_set(
    model: Classifier,
    split: Split,
    attack: AutoAttack,
    options: EvaluationOptions,
    cancel: Cancel | None = None,
    *,
    surrogates: Sequence[Classifier] = (),
    parts: SetFolder | None = None,
) -> Iterator[Event]:
    """The adversarial clouds of ``auto``; ``by`` of the set names the stage that fooled the model, empty if none did.

    Parameters
    ----------
    surrogates : other models, whose adversarial clouds are tried on ``model``.
    parts : folder in which each finished block is stored; blocks that it has already are not computed again.

    Yields
    ------
    Progress, then Done with the ``AdversarialSet``. If it was cancelled, that of the finished blocks, and None if there
    is none.
    """
    rows = chosen_clouds(split, options)
    stages = attack.stages(draws_anew(model))
    passes_per_cloud = 1 + sum(stage.passes for stage in stages) + TRANSFER_PASSES * len(surrogates)
    finished: list[Columns] = []
    done = 0
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK]
        columns = stored_batch(parts, start, split, options.points)
        if columns is None:
            progress = _BlockProgress(done, len(rows), passes_per_cloud)
            strongest = yield from _attack_block(model, split, block, attack, options, cancel, surrogates, progress)
            if strongest is None:
                break
            columns = columns_of(strongest)
            if parts is not None:
                parts.write(start, columns)
        finished.append(columns)
        done += len(block)
        yield Progress(done, len(rows), f"{modality_of(split.points)} attacked")
        if cancel and cancel.requested:
            break
    reached = joined(finished) if finished else None
    yield Done(reached, complete=reached is not None and len(reached.row) == len(rows))


def _attack_block(
    model: Classifier,
    split: Split,
    block: NDArray[np.int64],
    attack: AutoAttack,
    options: EvaluationOptions,
    cancel: Cancel | None,
    surrogates: Sequence[Classifier],
    progress: _BlockProgress,
) -> Generator[Event, None, AdversarialSet | None]:
    """The set of one block of clouds; None if it was cancelled."""
    points = split.samples(block, options.points)
    random = draws_anew(model)
    until_fooled = options.model_copy(update={"stop_on_success": not random})
    strongest: AdversarialSet | None = None
    share_correct = np.ones(len(block))  # under the strongest attack so far
    remaining = np.arange(len(block))  # clouds that are still classified correctly in some draw
    stages = [(stage.name, stage.passes, model, stage.attack) for stage in attack.stages(random)]
    for number, surrogate in enumerate(surrogates, 1):
        stages.append((f"mi from model {number}", TRANSFER_PASSES, surrogate, attack.transfer_attack))
    before: float = progress.before
    for name, passes, attacked_model, stage_attack in stages:
        attacked = yield from forward(
            make_set(attacked_model, split, stage_attack, until_fooled, cancel, rows=block[remaining]),
            before=before,
            weight=passes * len(remaining) / progress.passes_per_cloud,
            total=progress.total,
            text=name,
        )
        if not attacked.complete:
            return None
        part: AdversarialSet = attacked.value
        share_of_part = 1.0 - part.success
        if attacked_model is not model or random:
            part, share_of_part = _predicted_again(part, model, options)
        if attacked_model is not model:  # the model itself only predicts the transferred clouds
            part = replace(part, forwards=np.ones_like(part.forwards), backwards=np.zeros_like(part.backwards))
        part = with_stage_name(part, name)
        if strongest is None:
            wrong = _misclassified_clean(part, points, model, options)
            strongest, share_correct = with_clean_clouds(part, points, wrong), np.where(wrong, 0.0, share_of_part)
        else:
            strongest = with_stronger(strongest, remaining, part, share_of_part < share_correct[remaining])
            share_correct[remaining] = np.minimum(share_of_part, share_correct[remaining])
        before += passes * len(block) / progress.passes_per_cloud
        remaining = np.flatnonzero(share_correct > 0)
        if not len(remaining):
            break
    return strongest


def _in_fresh_draws(
    model: Classifier, clouds: NDArray[np.float32], label: NDArray[np.int64], options: EvaluationOptions
) -> tuple[Predictions, NDArray[np.float64]]:
    """A model's predictions (in its first draw), and the shares (n,) of draws in which they are correct.

    The seed differs from that of the final judgement, whose draws must be independent of the choice between attacks.
    """
    predicting = predictions_in_draws(model, clouds, label, options.fresh_draws, options.seed + 1, options.batch_size)
    predictions, draws = result(predicting)
    return predictions, draws.share_correct


def _predicted_again(
    attacked: AdversarialSet, model: Classifier, options: EvaluationOptions
) -> tuple[AdversarialSet, NDArray[np.float64]]:
    """The set with a model's predictions in fresh draws, and the shares (n,) of draws in which they are correct."""
    predictions, share_correct = _in_fresh_draws(model, attacked.clouds, attacked.label, options)
    changed = replace(attacked, logits=predictions.logits, latent=predictions.latent, success=share_correct < 0.5)
    return changed, share_correct


def _misclassified_clean(
    attacked: AdversarialSet, points: NDArray[np.float32], model: Classifier, options: EvaluationOptions
) -> NDArray[np.bool_]:
    """(n,), whether the model misclassifies each of the clean clouds ``points`` (n, N, 3), in every draw."""
    if draws_anew(model):
        return _in_fresh_draws(model, points, attacked.label, options)[1] == 0
    return np.asarray(attacked.clean_logits.argmax(1) != attacked.label)
