"""A defence and the model behind it, as one model: clouds (B, N, 3) -> ``Output``.

Its gradient. "straight" is what autograd gives: exact for smoothing, and at the points that a removal keeps; zero at
those it removes, and everywhere for quantisation, whose steps have no slope. No gradient tells of the moves that change
who is a neighbour or who is removed. "bpda" (backward pass differentiable approximation; Athalye et al., Obfuscated
gradients, 2018, section 4.1) puts the identity in the place of what has no slope: for quantisation it is the model's
gradient at the points of the grid, of which those that met in one place each get the mean; for the others it is the
straight one. For a random defence it is the gradient of one draw, another at each call: their mean is left to who
attacks (expectation over transformation, section 4.2).
"""

from copy import copy
from typing import Literal, Self

import torch
from torch import Tensor, nn

from core.defenses.base import Defense
from core.defenses.points import fixed_order, mean_where_met, taken
from core.models import Classifier, Output, eval_view
from core.models.port import drawn, draws_anew, reseeded

Gradient = Literal["straight", "bpda"]


class Defended(nn.Module):
    """A classifier that is asked about what a defence makes of its clouds.

    A cloud gives the same alone and in a batch, and however its points are listed.

    A defence that draws does so anew at every call, from a generator of its own. ``reseeded`` and ``drawn`` are for
    measurements that can be repeated, and share the model's weights.
    """

    def __init__(self, model: nn.Module, defense: Defense, gradient: Gradient = "bpda", seed: int = 0) -> None:
        super().__init__()
        self.model, self.defense, self.gradient = model, defense, gradient
        self._source = torch.Generator().manual_seed(seed)
        self._fixed_seed: int | None = None

    @property
    def deterministic(self) -> bool:
        """Whether the same clouds always give the same answer."""
        return not draws_anew(self.model) and (self._fixed_seed is not None or not self.defense.random)

    def reseeded(self, seed: int) -> Self:
        """The same with a sequence of draws of its own."""
        other = self._with_model(reseeded(self.model, seed))
        other._source = torch.Generator().manual_seed(seed)
        return other

    def drawn(self, seed: int) -> Self:
        """The same with one draw, always that of this seed: a deterministic model."""
        other = self._with_model(drawn(self.model, seed))
        other._fixed_seed = seed
        return other

    def forward(self, clouds: Tensor) -> Output:
        points = self.purified(clouds)
        if self.training:
            return self.model(points)
        with eval_view(self.model) as ask:
            return ask(points)

    def purified(self, clouds: Tensor) -> Tensor:
        """(B, N, 3), what the model is asked about; each point where it was in the list of clouds (B, N, 3)."""
        order = fixed_order(clouds)
        ordered = taken(clouds, order)
        points = self.defense.apply(ordered, self._next_draw())
        if self.gradient == "bpda" and self.defense.flat:
            through = mean_where_met(ordered, points)  # a maximum gives its gradient to one of those that meet
            points = points.detach() + (through - through.detach())  # the value of the one, the gradient of the other
        return taken(points, order.argsort(1))

    def _with_model(self, model: Classifier) -> Self:
        """A copy that stands before another model."""
        other = copy(self)
        other._modules = {"model": model}  # type: ignore[dict-item]  # of which a copy would share the table
        return other

    def _next_draw(self) -> int:
        if self._fixed_seed is not None:
            return self._fixed_seed
        return int(torch.randint(2**31, (1,), generator=self._source)) if self.defense.random else 0
