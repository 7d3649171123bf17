"""What an attack maximises: one number for each cloud, larger where the attack is nearer to its goal."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from core.attacks.evaluation import Evaluation, ObjectiveFunction
from core.models import Output
from core.models.discriminator import REAL
from core.models.port import discriminator_of
from core.options import OneOf


@dataclass(frozen=True, eq=False)
class ObjectiveContext:
    """What an objective depends on beside the model's output for the clouds."""

    label: Tensor
    """(B,), the true class, or the wanted one of a targeted attack."""
    targeted: bool
    clean: Evaluation | None
    """The model at the clean clouds; None during the evaluation of the clean clouds themselves."""
    start: int = 0
    """Which of the attack's starts this is, from 0."""
    class_latents: Tensor | None = None
    """(K, D), mean latents of the training clouds of each class; None if the model's file does not contain them."""


class Objective(NamedTuple):
    """An objective and a description of it."""

    description: str
    value: Callable[[Output, ObjectiveContext], Tensor]
    """Output with its graph -> (B,), to be maximised."""


def _cross_entropy(output: Output, context: ObjectiveContext) -> Tensor:
    loss = F.cross_entropy(output.logits, context.label, reduction="none")
    return -loss if context.targeted else loss


def _of(logits: Tensor, classes: Tensor) -> Tensor:
    return logits.gather(1, classes[:, None])[:, 0]


def _largest_other(logits: Tensor, classes: Tensor) -> Tensor:
    """(B,), the largest logit of another class than the given ones (B,)."""
    return logits.masked_fill(F.one_hot(classes, logits.shape[1]).bool(), -torch.inf).amax(1)


def _margin(output: Output, context: ObjectiveContext) -> Tensor:
    difference = _largest_other(output.logits, context.label) - _of(output.logits, context.label)
    return -difference if context.targeted else difference


def _hinge(output: Output, context: ObjectiveContext) -> Tensor:
    return _margin(output, context).clamp_max(0)


def _ratio(difference: Tensor, scale: Tensor) -> Tensor:
    """difference / scale with 0/0 := 0, which logits that are all equal give."""
    return difference / scale.masked_fill(scale == 0, 1)


def _dlr(output: Output, context: ObjectiveContext) -> Tensor:
    if context.targeted:
        true = (output.logits if context.clean is None else context.clean.logits).detach().argmax(1)
        return _dlr_towards(output.logits, true, context.label)
    return _ratio(_margin(output, context), _spread(output.logits, (2,)))


def _spread(logits: Tensor, places: tuple[int, ...]) -> Tensor:
    """(B,), the largest logit minus the mean of those at given places of the descending order, as far as they exist.

    Of two classes the margin is all there is, and the spread 1.
    """
    ordered = logits.sort(1, descending=True).values
    found = [ordered[:, place] for place in places if place < ordered.shape[1]]
    return ordered[:, 0] - torch.stack(found).mean(0) if found else torch.ones_like(ordered[:, 0])


def _dlr_towards(logits: Tensor, true: Tensor, target: Tensor) -> Tensor:
    """Croce and Hein 2020, equation 7: the targeted difference of logits ratio."""
    return _ratio(_of(logits, target) - _of(logits, true), _spread(logits, (2, 3)))


def wrong_class(clean_logits: Tensor, label: Tensor, rank: int) -> Tensor:
    """(B,), the wrong class of a rank, 0 for the most probable one, by the logits (B, K) for the clean clouds."""
    wrong = clean_logits.masked_fill(F.one_hot(label, clean_logits.shape[1]).bool(), -torch.inf)
    return wrong.argsort(dim=1, descending=True, stable=True)[:, rank % (clean_logits.shape[1] - 1)]


def _dlr_targeted(output: Output, context: ObjectiveContext) -> Tensor:
    if context.targeted:
        return _dlr(output, context)
    clean = (output.logits if context.clean is None else context.clean.logits).detach()
    return _dlr_towards(output.logits, context.label, wrong_class(clean, context.label, context.start))


def _latent(output: Output, context: ObjectiveContext) -> Tensor:
    if context.targeted:
        return -_distance_to_class(output.latent, context, context.label)
    clean = (output.latent if context.clean is None else context.clean.latent).detach()
    return torch.linalg.vector_norm(output.latent - clean, dim=1)


def _latent_targeted(output: Output, context: ObjectiveContext) -> Tensor:
    if context.targeted:
        return _latent(output, context)
    clean = (output.logits if context.clean is None else context.clean.logits).detach()
    return -_distance_to_class(output.latent, context, wrong_class(clean, context.label, context.start))


def _distance_to_class(latent: Tensor, context: ObjectiveContext, classes: Tensor) -> Tensor:
    """(B,), distance of latents (B, D) from the mean latents of classes (B,).

    Raises
    ------
    ValueError
        If the mean latents are not known.
    """
    if context.class_latents is None:
        raise ValueError(
            "To move a latent towards that of a class, the mean latents of the classes must be known, and the attacked "
            "model's file does not tell them: choose another objective, or a model trained by this program."
        )
    return torch.linalg.vector_norm(latent - context.class_latents.to(latent)[classes], dim=1)


OBJECTIVES: dict[str, Objective] = {
    "ce": Objective("cross-entropy to the true class, or its negative to the wanted one", _cross_entropy),
    "margin": Objective("largest other logit minus the true one (Carlini and Wagner 2017)", _margin),
    "hinge": Objective("margin as far as 0, where the model is fooled (Carlini and Wagner 2017, kappa 0)", _hinge),
    "dlr": Objective("margin over the spread of the logits, which no scale of them hides (Croce and Hein 2020)", _dlr),
    "dlr-targeted": Objective("DLR towards one wrong class at each start, the most probable first", _dlr_targeted),
    "latent": Objective(
        "distance of the latent from that of the clean cloud (needs a random start), or its negative from the mean "
        "latent of the wanted class (feature matching, Sabour et al. 2016)",
        _latent,
    ),
    "latent-targeted": Objective(
        "negative distance of the latent from the mean latent of a wrong class, at each start the next most probable",
        _latent_targeted,
    ),
}

ObjectiveName = Annotated[str, OneOf(OBJECTIVES)]


def value_of(name: str, context: ObjectiveContext) -> ObjectiveFunction | None:
    """An objective by its name; None for the cross-entropy to the true class, which is maximised by default."""
    return None if name == "ce" and not context.targeted else lambda output, _: OBJECTIVES[name].value(output, context)


def discriminator_term(model: object, latent: Tensor) -> Tensor:
    """(B,), how surely the model's discriminator takes latents (B, D) for those of clean clouds, in nats from 0 down.

    Raises
    ------
    ValueError
        If the model's file has none: files of runs trained with one do.
    """
    discriminator = discriminator_of(model)
    if discriminator is None:
        raise ValueError(
            "The weight of a discriminator was asked for, and the attacked model has none: attack the run folder of a "
            "training in the regime defense or defense-pgd, or set the weight to 0."
        )
    verdict = discriminator(latent)
    return -F.cross_entropy(verdict, torch.full_like(verdict[:, 0], REAL, dtype=torch.long), reduction="none")
