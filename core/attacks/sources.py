"""Where an attack's gradient comes from: the model at the iterate, or an average over changed copies of it.

Averages serve transfer (a gradient that holds for neighbours of the cloud holds for other models too) and random
models, whose single gradient is one draw of many (expectation over transformations, EOT; Athalye et al. 2018).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from core.attacks.draws import Generators, generators, normal, uniform
from core.attacks.evaluation import Evaluation, ObjectiveFunction, evaluate
from core.models import Classifier

SourceName = Literal["plain", "expectation", "diverse", "translation", "scale", "neighbours"]

DIVERSE_SHARE = 0.7
"""Probability with which diverse input changes a copy (Xie et al. 2019: 0.5 to 1)."""
DIVERSE_ANGLE = 15.0
"""Largest rotation about each axis, in degrees."""
DIVERSE_SCALE = 0.9
"""Least size of a scaled copy."""
DIVERSE_KEPT = 0.875
"""Least share of the points that a copy keeps."""
SHIFT = 0.05
"""Standard deviation of translated copies, in unit-sphere radii."""
NEIGHBOURHOOD = 1.5
"""Half the width of the box of neighbours, in epsilon (Wang and He 2021)."""


@dataclass(frozen=True, eq=False)
class Draw:
    """One changed copy of a batch."""

    epsilon: float
    generators: Generators
    index: int
    """Of the copy, from 0."""


Change = Callable[[Tensor, Draw], Tensor]
"""Clouds (B, N, 3) -> changed copies of them (B, N, 3), through which gradients pass."""


def _diverse(clouds: Tensor, draw: Draw) -> Tensor:
    """Turned about all axes, scaled, and some points replaced by others; some copies are left as they are.

    The counterpart of resizing and padding images: what a cloud's class does not depend on.
    """
    count = clouds.shape[1]
    angles = (2 * uniform(draw.generators, clouds, 3) - 1) * math.radians(DIVERSE_ANGLE)
    scale = DIVERSE_SCALE + (1 - DIVERSE_SCALE) * uniform(draw.generators, clouds, 1)
    order = uniform(draw.generators, clouds, count).argsort(1)
    kept = (count * (DIVERSE_KEPT + (1 - DIVERSE_KEPT) * uniform(draw.generators, clouds, 1))).long().clamp_min(1)
    places = torch.arange(count, device=clouds.device)[None]
    chosen = order.gather(1, places % kept)  # a dropped point is taken for one that is kept, and so counts no more
    changed = clouds.gather(1, chosen[..., None].expand_as(clouds)) @ _rotation(angles) * scale[..., None]
    return torch.where((uniform(draw.generators, clouds, 1) < DIVERSE_SHARE)[..., None], changed, clouds)


def _rotation(angles: Tensor) -> Tensor:
    """(B, 3, 3), turns about x, y and z by angles (B, 3) in radians, in this order."""
    zero, one = torch.zeros_like(angles[:, 0]), torch.ones_like(angles[:, 0])
    (cx, cy, cz), (sx, sy, sz) = angles.cos().unbind(1), angles.sin().unbind(1)
    rows = (
        (one, zero, zero, zero, cx, -sx, zero, sx, cx),
        (cy, zero, sy, zero, one, zero, -sy, zero, cy),
        (cz, -sz, zero, sz, cz, zero, zero, zero, one),
    )
    x, y, z = (torch.stack(row, 1).view(-1, 3, 3) for row in rows)
    return z @ y @ x


def _translated(clouds: Tensor, draw: Draw) -> Tensor:
    """Shifted as a whole. On images a kernel over the gradient gives this mean; points have no grid for one."""
    return clouds + SHIFT * normal(draw.generators, clouds, 1, 3)


def _scaled(clouds: Tensor, draw: Draw) -> Tensor:
    """Half the size of the copy before. SI halves the values of an image; this halves them, or the size of a cloud."""
    return clouds / 2**draw.index


def _neighbour(clouds: Tensor, draw: Draw) -> Tensor:
    width = NEIGHBOURHOOD * draw.epsilon
    return clouds + width * (2 * uniform(draw.generators, clouds, *clouds.shape[1:]) - 1)


CHANGES: dict[SourceName, tuple[str, Change]] = {
    "expectation": ("mean over draws of a random model (EOT; Athalye et al. 2018)", lambda clouds, _: clouds),
    "diverse": ("mean over turned, scaled and thinned copies (DI; Xie et al. 2019)", _diverse),
    "translation": ("mean over shifted copies (TI; Dong et al. 2019)", _translated),
    "scale": ("mean over copies of half, a quarter ... the size (SI; Lin et al. 2020)", _scaled),
    "neighbours": ("as it is, with what neighbours' gradients differed by in the step before (VMI; 2021)", _neighbour),
}
SOURCES_FOR_CLOUDS: frozenset[SourceName] = frozenset({"diverse", "translation"})
"""Those whose changes are ones of points."""
SOURCES_THAT_DRAW: frozenset[SourceName] = frozenset({"diverse", "translation", "neighbours"})
"""Those whose copies are changed at random."""


@dataclass(frozen=True, eq=False)
class Gradient:
    """What a source gave."""

    value: Tensor
    """(B, N, 3)"""
    evaluation: Evaluation | None
    """The model at the clouds themselves; None if only changed copies were evaluated."""
    variance: Tensor | None
    """(B, N, 3), of "neighbours": their mean gradient less that of the clouds."""
    passes: int
    """Forward passes for each cloud, and as many backward."""


def gradient_from(
    source: SourceName,
    model: Classifier,
    clouds: Tensor,
    label: Tensor,
    objective: ObjectiveFunction | None,
    *,
    draws: int,
    seed: Tensor,
    epsilon: float,
    variance: Tensor | None,
) -> Gradient:
    """The gradient of ``objective`` at ``clouds`` (B, N, 3) by one of the sources.

    Parameters
    ----------
    draws : copies that are averaged.
    seed : Tensor (B,), of the random numbers of each cloud in this step.
    variance : of the step before, for "neighbours"; None in the first.
    """
    if source == "plain":
        evaluation = evaluate(model, clouds, label, gradient=True, objective=objective)
        assert evaluation.gradient is not None
        return Gradient(evaluation.gradient, evaluation, None, 1)
    each = generators(seed)
    mean = torch.zeros_like(clouds)
    for index in range(draws):
        change = partial(_changed, CHANGES[source][1], Draw(epsilon, each, index))
        found = evaluate(model, clouds, label, gradient=True, objective=objective, change=change).gradient
        assert found is not None
        mean += found / draws
    if source == "neighbours":
        plain = gradient_from(
            "plain", model, clouds, label, objective, draws=1, seed=seed, epsilon=epsilon, variance=None
        )
        corrected = plain.value if variance is None else plain.value + variance
        return Gradient(corrected, plain.evaluation, mean - plain.value, draws + 1)
    return Gradient(mean, None, None, draws)


def _changed(change: Change, draw: Draw, clouds: Tensor) -> Tensor:
    return change(clouds, draw)
