"""``auto``: the strongest of several attacks on each cloud, which is the number to state for a model.

In the manner of AutoAttack (Croce and Hein 2020): white-box attacks with two objectives, one that looks for the nearest
boundary, one that asks for no gradient, and clouds transferred from other models. Each attacks what is still classified
correctly after those before it. No attack clamps a cloud to a box, for clouds have none.
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.attacks import Attack, preset
from core.datasets import Split
from core.evaluation.accuracy import CleanCache, EvaluationOptions, chosen_clouds
from core.evaluation.make import AdversarialSet, columns_of, joined, make_set
from core.evaluation.set_folder import Columns, SetFolder
from core.events import Cancel, Done, Event, Progress, forward
from core.models import Classifier
from core.models.predict import Predictions, predict
from core.options import Options, option

AUTO = "auto"
NOT_FOOLED, CLEAN = "", "clean"
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
        return 3 * self.attack.total_steps


class AutoAttack(Options):
    """The minimum per cloud over several attacks within an L-infinity budget."""

    epsilon: float = option(0.1, "Budget of the perturbation.", unit="r", low=0.0, high=2.0)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The attacks on the model itself, in their order."""
        return tuple(
            Stage(name, preset(name, epsilon=self.epsilon, **settings))
            for name, settings in (("apgd-ce", {"steps": 100}), ("apgd-t", {"steps": 40}))
        )

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
        stored = parts.read(start) if parts is not None else None
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
    points, labels = split.points[block, : options.points], split.labels[block]
    chosen = options.model_copy(update={"clouds": None, "without_copies": False, "stop_on_success": True})
    standing, made = np.arange(len(block)), None
    tried = [(stage.name, stage.passes, model, stage.attack) for stage in attack.stages]
    for place, other in enumerate(surrogates, 1):
        tried.append((f"mi from model {place}", TRANSFERRED, other, attack.transferred))
    for name, passes, source, stage in tried:
        sub = Split(points[standing], labels[standing], [split.names[row] for row in block[standing]])
        found = yield from forward(
            make_set(source, sub, stage, chosen, cancel),
            before=before,
            weight=passes * len(standing),
            total=total,
            text=name,
        )
        if not found.complete:
            return None
        part: AdversarialSet = found.value
        if source is not model:
            part = _seen_by_another(part, *(predict(model, clouds) for clouds in (sub.points, part.clouds)))
        part = _named(part, name)
        made = replace(_clean_mistakes(part, points), row=block) if made is None else _improved(made, standing, part)
        before += passes * len(block)
        standing = np.flatnonzero(~made.success)
        if not len(standing):
            break
    return made


def _named(made: AdversarialSet, name: str) -> AdversarialSet:
    """With the name of the attack where it fooled the model, and without traces, whose lengths differ."""
    none = np.empty((len(made.row), 0))
    return replace(made, by=np.where(made.success, name, NOT_FOOLED), loss_trace=none, rmse_trace=none)


def _seen_by_another(made: AdversarialSet, clean: Predictions, moved: Predictions) -> AdversarialSet:
    """A set made on another model, with what the attacked one says of it."""
    return replace(
        made,
        clean_logits=clean.logits,
        clean_latent=clean.latent,
        logits=moved.logits,
        latent=moved.latent,
        success=moved.prediction != made.label,
        forwards=np.ones_like(made.forwards),
        backwards=np.zeros_like(made.backwards),
    )


def _clean_mistakes(made: AdversarialSet, points: NDArray[np.float32]) -> AdversarialSet:
    """With the clean cloud itself in place of the adversarial one where the model is wrong about it already."""
    wrong = made.clean_logits.argmax(1) != made.label
    same = {"logits": made.clean_logits, "latent": made.clean_latent, "clouds": points}
    changed = {name: _rows(wrong, value, getattr(made, name)) for name, value in same.items()}
    zero = {name: np.where(wrong, 0, getattr(made, name)) for name in ("linf", "per_point_l2", "l2", "rmse")}
    by, success = np.where(wrong, CLEAN, made.by), made.success | wrong
    return replace(made, **changed, **zero, by=by, success=success)


def _improved(made: AdversarialSet, standing: NDArray[np.int64], part: AdversarialSet) -> AdversarialSet:
    """With the clouds of a later attack, on those still standing, where it fooled the model."""
    fooled = np.zeros(len(made.row), dtype=bool)
    fooled[standing[part.success]] = True
    places = np.zeros(len(made.row), dtype=np.int64)
    places[standing] = np.arange(len(standing))
    later = part.of(places)
    names = (field.name for field in fields(made) if field.name not in ("row", "label", "clean_logits", "clean_latent"))
    return replace(made, **{name: _rows(fooled, getattr(later, name), getattr(made, name)) for name in names})


def _rows(mask: NDArray[np.bool_], one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    return np.where(mask.reshape(-1, *[1] * (other.ndim - 1)), one, other)
