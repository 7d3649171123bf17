"""``auto``: the strongest of several attacks on each cloud, which is the number to state for a model.

In the manner of AutoAttack (Croce and Hein 2020): white-box attacks with two objectives, one that looks for the nearest
boundary, one that asks for no gradient, and clouds transferred from other models. Each attacks what is still classified
correctly after those before it, with the random numbers that it would have alone. No attack clamps a cloud to a box,
for clouds have none.

Of a model that draws, the minimum is that of the share of fresh draws in which it is right, a cloud is attacked on
while there is any such draw, and it is fooled if it is wrong in most of them.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.attacks import Attack, preset
from core.attacks.scale import RADII, EpsilonScale
from core.datasets import Split
from core.evaluation.accuracy import CleanCache, EvaluationOptions, chosen_clouds
from core.evaluation.draws import predictions_in_draws
from core.evaluation.make import AdversarialSet, columns_of, joined, make_set, stored_batch
from core.evaluation.set_folder import SHAPE_DISTANCES, Columns, SetFolder
from core.events import Cancel, Done, Event, Progress, forward, result
from core.models import Classifier
from core.models.checkpoints import LoadedModel, builtin_models, load_model
from core.models.port import draws_anew
from core.models.predict import Predictions, device_of
from core.options import Options, option

AUTO = "auto"
NOT_FOOLED, CLEAN = "", "clean"
STAGES: Mapping[str, Mapping[str, Any]] = {
    "apgd-ce": {"steps": 100},
    "apgd-t": {"steps": 100},
    "fab": {"steps": 20},
    "square": {"steps": 250},
}
"""The attacks on the model itself, in their order, and where they differ from the presets.

FAB and Square have fewer steps than those of AutoAttack, so that 200 clouds take minutes. Measured on 58 clouds that
``modelnet16-pgd`` knows (1,024 points, epsilon 0.05), seconds of one core and clouds taken: apgd-ce 15 s, 13; apgd-t
126 s, 1; fab 27 s, 0; square 30 s, 0; transfer 7 s, 0. That is 11 minutes of one core for 200 clouds. With 40 steps
apgd-t took none, and missed clouds of other shipped models that it fools alone. A short Auto-PGD before all others
saves nothing: what it takes the long one takes as soon."""
BLOCK = 128
"""Clouds that go through all attacks before the next ones, and are kept together when it is stopped."""
TRANSFERRED = 30
"""Passes that a cloud transferred from one other model is worth, in the bar."""


@dataclass(frozen=True)
class Stage:
    """One of the attacks, and about how many passes it takes for a cloud."""

    name: str
    attack: Attack

    @property
    def passes(self) -> int:
        return (1 + 2 * self.attack.gradients_a_step) * self.attack.total_steps


class AutoAttack(Options):
    """The minimum per cloud over several attacks within an L-infinity budget."""

    epsilon: float = option(0.1, "Budget of the perturbation.", unit="r", low=0.0, high=2.0)

    @property
    def epsilon_scale(self) -> EpsilonScale:
        """What epsilon measures."""
        return RADII

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The attacks on the model itself, in their order."""
        return tuple(Stage(name, preset(name, epsilon=self.epsilon, **settings)) for name, settings in STAGES.items())

    @property
    def transferred(self) -> Attack:
        """The attack that is made on other models."""
        return preset("mi", epsilon=self.epsilon)

    @property
    def caption(self) -> str:
        """It as a part of a title or caption."""
        return f"auto ({', '.join(stage.name for stage in self.stages)}, transfer) at epsilon {self.epsilon:.3g} r"

    def at(self, epsilon: float) -> "AutoAttack":
        return self.model_copy(update={"epsilon": epsilon})


AnyAttack = Attack | AutoAttack
"""What clouds can be attacked with by the thousand."""


def shipped_beside(model: LoadedModel) -> list[Classifier]:
    """The shipped models of the same classes, on the same device, whose clouds ``auto`` tries on a model."""
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
    """``make_set``, or ``auto_set``, which alone asks ``surrogates``."""
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
    """The adversarial clouds of ``auto``; ``by`` says which attack fooled the model, or that none did.

    Parameters
    ----------
    surrogates : other models, whose adversarial clouds are tried on ``model``.
    parts : where blocks of clouds are kept as they are made; those that are there are not made again.

    Yields
    ------
    Progress, then Done with the ``AdversarialSet`` of the clouds that were reached; None if none was.
    """
    rows = chosen_clouds(split, options)
    each = 1 + sum(stage.passes for stage in attack.stages) + TRANSFERRED * len(surrogates)
    found: list[Columns] = []
    done = 0
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK]
        stored = stored_batch(parts, start, split, options.points)
        if stored is None:
            made = yield from _block(model, split, block, attack, options, cancel, surrogates, done, len(rows) * each)
            if made is None:
                break
            stored = columns_of(made)
            if parts is not None:
                parts.write(start, stored)
        found.append(stored)
        done += len(block) * each
        yield Progress(done, len(rows) * each, "clouds attacked")
        if cancel and cancel.requested:
            break
    reached = joined(found) if found else None
    yield Done(reached, complete=reached is not None and len(reached.row) == len(rows))


def _block(
    model: Classifier,
    split: Split,
    block: NDArray[np.int64],
    attack: AutoAttack,
    options: EvaluationOptions,
    cancel: Cancel | None,
    surrogates: Sequence[Classifier],
    before: int,
    total: int,
) -> Generator[Event, None, AdversarialSet | None]:
    """The set of one block of clouds; None if it was stopped. ``before`` of ``total`` passes are done before it."""
    points = split.points[block, : options.points]
    until_fooled = options.model_copy(update={"stop_on_success": True})
    standing, made, right = np.arange(len(block)), None, np.ones(len(block))
    tried = [(stage.name, stage.passes, model, stage.attack) for stage in attack.stages]
    for place, other in enumerate(surrogates, 1):
        tried.append((f"mi from model {place}", TRANSFERRED, other, attack.transferred))
    for name, passes, source, stage in tried:
        found = yield from forward(
            make_set(source, split, stage, until_fooled, cancel, rows=block[standing]),
            before=before,
            weight=passes * len(standing),
            total=total,
            text=name,
        )
        if not found.complete:
            return None
        part: AdversarialSet = found.value
        share = 1.0 - part.success
        if source is not model or draws_anew(model):
            part, share = _asked_afresh(part, model, options)
        if source is not model:
            part = replace(part, forwards=np.ones_like(part.forwards), backwards=np.zeros_like(part.backwards))
        part = _named(part, name)
        if made is None:
            wrong = _clean_mistakes(part, points, model, options)
            made, right = _with_clean(part, points, wrong), np.where(wrong, 0.0, share)
        else:
            made = _improved(made, standing, part, share < right[standing])
            right[standing] = np.minimum(share, right[standing])
        before += passes * len(block)
        standing = np.flatnonzero(right > 0)
        if not len(standing):
            break
    return made


def _named(made: AdversarialSet, name: str) -> AdversarialSet:
    """With the name of the attack where it fooled the model, and without traces, whose lengths differ."""
    none = np.empty((len(made.row), 0))
    return replace(made, by=np.where(made.success, name, NOT_FOOLED), loss_trace=none, rmse_trace=none)


def _in_fresh_draws(
    model: Classifier, clouds: NDArray[np.float32], label: NDArray[np.int64], options: EvaluationOptions
) -> tuple[Predictions, NDArray[np.float64]]:
    """A model's predictions (in its first draw), and the shares (n,) of draws in which they are right.

    The draws are others than those by which clouds are judged in the end: the least of several shares is a lucky one.
    """
    asking = predictions_in_draws(model, clouds, label, options.fresh_draws, options.seed + 1, options.batch_size)
    answers, draws = result(asking)
    return answers, draws.share


def _asked_afresh(
    made: AdversarialSet, model: Classifier, options: EvaluationOptions
) -> tuple[AdversarialSet, NDArray[np.float64]]:
    """A set with what a model says of it in fresh draws, and the shares (n,) of these in which it is right."""
    moved, share = _in_fresh_draws(model, made.clouds, made.label, options)
    return replace(made, logits=moved.logits, latent=moved.latent, success=share < 0.5), share


def _clean_mistakes(
    made: AdversarialSet, points: NDArray[np.float32], model: Classifier, options: EvaluationOptions
) -> NDArray[np.bool_]:
    """(n,), of which clean clouds (n, N, 3) the model is wrong, in every draw."""
    if draws_anew(model):
        return _in_fresh_draws(model, points, made.label, options)[1] == 0
    return np.asarray(made.clean_logits.argmax(1) != made.label)


def _with_clean(made: AdversarialSet, points: NDArray[np.float32], wrong: NDArray[np.bool_]) -> AdversarialSet:
    """With the clean cloud itself in place of the adversarial one where the model is ``wrong`` about it already."""
    same = {"logits": made.clean_logits, "latent": made.clean_latent, "clouds": points}
    changed = {name: _rows(wrong, value, getattr(made, name)) for name, value in same.items()}
    distances = ("linf", "per_point_l2", "l2", "rmse", *SHAPE_DISTANCES)
    zero = {name: np.where(wrong, 0, getattr(made, name)) for name in distances}
    by, success = np.where(wrong, CLEAN, made.by), made.success | wrong
    return replace(made, **changed, **zero, by=by, success=success)


def _improved(
    made: AdversarialSet, standing: NDArray[np.int64], part: AdversarialSet, better: NDArray[np.bool_]
) -> AdversarialSet:
    """With the clouds of a later attack, on those still standing, where they are ``better``."""
    mask = np.zeros(len(made.row), dtype=bool)
    mask[standing] = better
    places = np.zeros(len(made.row), dtype=np.int64)
    places[standing] = np.arange(len(standing))
    later = part.of(places)
    names = (field.name for field in fields(made) if field.name not in ("row", "label", "clean_logits", "clean_latent"))
    return replace(made, **{name: _rows(mask, getattr(later, name), getattr(made, name)) for name in names})


def _rows(mask: NDArray[np.bool_], one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    return np.where(mask.reshape(-1, *[1] * (other.ndim - 1)), one, other)
