"""Boundaries between classes, each taken for the plane that it is at a point: the steps of DeepFool and FAB."""

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor

from core.attacks.constraint import NORMS
from core.attacks.minimal.base import MinimalAttack
from core.attacks.objective import wrong_class
from core.attacks.optimisers.base import quotient
from core.attacks.samples import axes_of_each, for_each, length_of_each
from core.attacks.state import State
from core.models import Output
from core.options import option


class BoundaryAttack(MinimalAttack):
    """Steps to where the linearised difference of two logits is 0."""

    norm: Literal["linf", "l2"] = option("linf", "What makes an adversarial cloud near.")
    overshoot: float = option(0.02, "How far each step goes beyond the boundary, as a share of it.", low=0.0, high=1.0)

    @property
    def description(self) -> str:
        return f"{type(self).__name__} ({self.norm})"

    def size(self, delta: Tensor) -> Tensor:
        return NORMS[self.norm](delta)

    def differences(self, output: Output, state: State, ranks: Iterable[int]) -> Tensor:
        """(B, C), positive where the model is fooled: the logit of a wrong class less that of the true one.

        The wrong classes are those of the ``ranks``, 0 for the most probable at the clean cloud. Of a targeted attack
        there is one, the wanted class less the largest other.
        """
        if self.goal == "targeted":
            return self.margin(output, state)[:, None]
        clean = (output if state.at_clean is None else state.at_clean).logits.detach()
        columns = [wrong_class(clean, state.label, rank) for rank in ranks]
        return output.logits.gather(1, torch.stack(columns, 1)) - output.logits.gather(1, state.label[:, None])

    def steepness(self, gradient: Tensor) -> Tensor:
        """(B,), by how much a difference with gradient (B, N, 3) rises at most over a way of length 1."""
        if self.norm == "linf":
            return gradient.abs().sum(axes_of_each(gradient))
        return length_of_each(gradient).flatten()

    def steepest(self, gradient: Tensor) -> Tensor:
        """(B, N, 3), the smallest move over which a difference with this gradient rises by 1; 0 where there is none."""
        if self.norm == "linf":
            return quotient(gradient.sign(), for_each(self.steepness(gradient), gradient))
        return quotient(gradient, gradient.square().sum(axes_of_each(gradient), keepdim=True))
