"""What an optimiser is: slots that it keeps for each coordinate, and the way from a gradient to the next iterate."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from core.attacks.samples import axes_of_each

Slots = Mapping[str, Tensor]
"""What is kept from step to step, by name; the first dimension of each is that of the batch."""

Variant = Literal["paper", "code"]


@dataclass(frozen=True, eq=False)
class Iterate:
    """The input of an optimiser: the iterate of an attack on a batch, in units of epsilon."""

    unit_delta: Tensor
    """(B, N, 3)"""
    gradient: Tensor
    """(B, N, 3), of the objective, at the iterate, or at the perturbation that ``look_ahead`` returned."""
    objective: Tensor
    """(B,), at the iterate."""
    slots: Slots
    step: int
    """Steps made from this start, 0 in the first."""
    steps: int
    """Steps that are planned from each start."""
    step_length: Tensor | float
    """Length of a step in units of epsilon, for each cloud (B, 1, 1) or for all."""
    momentum: float
    variant: Variant
    cloud: Tensor
    """(B, N, 3), the cloud that the gradient was taken at."""
    normalise: Callable[[Tensor], Tensor]
    """Gradient -> direction of unit budget."""
    project: Callable[[Tensor], Tensor]
    """Perturbation in units of epsilon -> the closest one inside the budget."""


class Optimiser(ABC):
    """An optimiser without state of its own: what it remembers is in the slots that it gives and is given."""

    description: ClassVar[str]
    """One sentence, with the paper."""
    slot_names: ClassVar[tuple[str, ...]] = ()
    """Names of its slots, which are zero at each start."""
    default_momentum: ClassVar[float | None] = None
    """Share of the former gradients that is kept; None where it has no such share."""
    has_variants: ClassVar[bool] = False
    """Whether it has two variants: as the second paper describes it, and as in the authors' code."""
    looks_ahead: ClassVar[bool] = False
    """Whether, after its first step, it uses gradients at other places than the iterate."""
    has_own_length: ClassVar[bool] = False
    """Whether it chooses the length of its steps itself."""

    def slots(self, like: Tensor) -> dict[str, Tensor]:
        """Slots before the first step, of a batch of perturbations (B, N, 3)."""
        return {name: torch.zeros_like(like) for name in self.slot_names}

    def look_ahead(self, at: Iterate) -> Tensor | None:
        """Perturbation (B, N, 3) at which the gradient is to be computed; None for the iterate itself."""
        return None

    @abstractmethod
    def direction(self, at: Iterate) -> tuple[Tensor, Slots]:
        """The direction (B, N, 3) of ascent, and the slots after this step."""

    def advance(self, at: Iterate) -> tuple[Tensor, Slots]:
        """The next perturbation (B, N, 3), inside the budget, and the slots after this step."""
        direction, slots = self.direction(at)
        return at.project(at.unit_delta + at.step_length * at.normalise(direction)), slots


def unit_mean(gradient: Tensor) -> Tensor:
    """A gradient (B, N, 3) scaled to an L1 norm of 3N, an average of 1 a coordinate; 0 stays 0."""
    size = gradient.abs().mean(dim=axes_of_each(gradient), keepdim=True)
    return gradient / size.masked_fill(size == 0, 1)


def quotient(numerator: Tensor, denominator: Tensor) -> Tensor:
    """numerator / denominator with 0/0 := 0: PointNet has no gradient at all on points that win no channel."""
    return numerator / denominator.masked_fill(denominator == 0, 1)
