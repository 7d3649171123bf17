"""Auto-PGD (Croce and Hein 2020, algorithm 1): PGD with momentum that halves its step where it makes no progress."""

import math
from itertools import pairwise

import torch
from torch import Tensor

from core.attacks.optimisers.base import Iterate, Optimiser, Slots
from core.attacks.samples import for_each

FIRST_SHARE = 2.0
"""Of epsilon, the first step."""
KEPT = 0.75
"""Share of the plain step; the rest is of the step before."""
PROGRESS = 0.75
"""Share of the steps between two checkpoints that have to raise the objective."""


class AutoPGD(Optimiser):
    """The step length of each cloud is its own and needs no tuning: 2 epsilon, halved at checkpoints."""

    description = "PGD with momentum whose step is halved where it stalls (APGD; Croce and Hein 2020)."
    slot_names = ("last", "best_unit_delta", "best_gradient")
    has_own_length = True

    def slots(self, like: Tensor) -> dict[str, Tensor]:
        zero = like.new_zeros(len(like))
        return super().slots(like) | {
            "step_length": zero + FIRST_SHARE,
            "best": zero - torch.inf,
            "before": zero - torch.inf,
            "raised": zero,
            "best_at_checkpoint": zero - torch.inf,
            "halved": zero,
        }

    def direction(self, at: Iterate) -> tuple[Tensor, Slots]:
        return at.gradient, at.slots

    def advance(self, at: Iterate) -> tuple[Tensor, Slots]:
        slots = dict(at.slots)
        unit_delta, gradient = at.unit_delta, at.gradient
        slots["raised"] = slots["raised"] + (at.objective > slots["before"]) * (at.step > 0)
        slots["before"] = at.objective
        better = at.objective > slots["best"]
        slots["best"] = torch.where(better, at.objective, slots["best"])
        slots["best_unit_delta"] = torch.where(for_each(better, gradient), unit_delta, slots["best_unit_delta"])
        slots["best_gradient"] = torch.where(for_each(better, gradient), gradient, slots["best_gradient"])
        if at.step == 0:
            slots["best_at_checkpoint"] = slots["best"]
        elif (passed := _steps_since_checkpoint(at.step, at.steps)) is not None:
            stalled = slots["raised"] < PROGRESS * passed
            stuck = (slots["halved"] == 0) & (slots["best_at_checkpoint"] >= slots["best"])
            halve = stalled | stuck
            slots["halved"] = halve.to(slots["halved"])
            slots["step_length"] = torch.where(halve, slots["step_length"] / 2, slots["step_length"])
            slots["best_at_checkpoint"] = slots["best"]
            slots["raised"] = torch.zeros_like(slots["raised"])
            unit_delta = torch.where(for_each(halve, gradient), slots["best_unit_delta"], unit_delta)
            gradient = torch.where(for_each(halve, gradient), slots["best_gradient"], gradient)
        plain = at.project(unit_delta + for_each(slots["step_length"], gradient) * at.normalise(gradient))
        if at.step > 0:
            plain = at.project(unit_delta + KEPT * (plain - unit_delta) + (1 - KEPT) * (unit_delta - slots["last"]))
        slots["last"] = unit_delta
        return plain, slots


def checkpoints(steps: int) -> list[int]:
    """Steps at which progress is judged: after 22 % of all, then at distances that shrink by 3 % down to 6 %."""
    places, distance = [0.0, 0.22], 0.22
    while places[-1] < 1:
        distance = max(distance - 0.03, 0.06)
        places.append(places[-1] + distance)
    found = sorted({math.ceil(round(place * steps, 6)) for place in places})
    return [place for place in found if place <= steps]


def _steps_since_checkpoint(step: int, steps: int) -> int | None:
    """Steps since the checkpoint before, if ``step`` is one."""
    return next((after - before for before, after in pairwise(checkpoints(steps)) if after == step), None)
