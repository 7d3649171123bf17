"""A defence and the model behind it, as one model: clouds (B, N, 3) -> ``Output``.

There are two gradients. "straight" is that of autograd: exact for smoothing, and at the points that a removal keeps;
zero at removed points, and everywhere for quantisation, which is piecewise constant. No gradient sees that a move
changes neighbours or the points that are removed. "bpda" (backward pass differentiable approximation; Athalye et al.,
Obfuscated gradients, 2018, section 4.1) replaces piecewise constant steps by the identity: for quantisation it is the
model's gradient at the points of the grid, and points that met in one place each get the mean; for the other defences
it is the straight gradient. A random defence has the gradient of one draw, a new one at each call; the attack averages
over draws (expectation over transformation, section 4.2).
"""

from copy import copy
from typing import Literal, Self

import torch
from torch import Tensor, nn

from core.defenses.base import Defense
from core.defenses.points import fixed_order, mean_where_met, taken
from core.models import Classifier, Output, eval_view
from core.models.port import class_latents_of, discriminator_of, drawn, draws_anew, reseeded

Gradient = Literal["straight", "bpda"]


class Defended(nn.Module):
    """A classifier behind an input defence.

    The output for a cloud depends neither on its batch nor on the order of its points.

    A random defence draws anew at every call, from its own generator. ``reseeded`` and ``drawn`` return copies for
    measurements that can be repeated; they share the model's weights.
    """

    def __init__(self, model: nn.Module, defense: Defense, gradient: Gradient = "bpda", seed: int = 0) -> None:
        super().__init__()
        self.model, self.defense, self.gradient = model, defense.for_model(model), gradient
        self._source = torch.Generator().manual_seed(seed)
        self._fixed_seed: int | None = None

    @property
    def deterministic(self) -> bool:
        """Whether the same clouds always give the same output."""
        return not draws_anew(self.model) and (self._fixed_seed is not None or not self.defense.random)

    @property
    def discriminator(self) -> nn.Module | None:
        """That of the model behind the defence."""
        return discriminator_of(self.model)

    @property
    def class_latents(self) -> Tensor | None:
        """Those of the model behind the defence, of clouds that were not defended."""
        return class_latents_of(self.model)

    def reseeded(self, seed: int) -> Self:
        """A copy with a new sequence of draws, from this seed."""
        other = self._with_model(reseeded(self.model, seed))
        other._source = torch.Generator().manual_seed(seed)
        return other

    def drawn(self, seed: int) -> Self:
        """A deterministic copy, which uses the draw of this seed at every call."""
        other = self._with_model(drawn(self.model, seed))
        other._fixed_seed = seed
        return other

    def forward(self, clouds: Tensor) -> Output:
        points = self.purified(clouds)
        if self.training:
            return self.model(points)
        with eval_view(self.model) as classify:
            return classify(points)

    def purified(self, clouds: Tensor) -> Tensor:
        """The defended clouds (B, N, 3), with each point at its index in ``clouds`` (B, N, 3)."""
        order = fixed_order(clouds)
        ordered = taken(clouds, order)
        points = self.defense.apply(ordered, self._next_draw())
        if self.gradient == "bpda" and self.defense.flat:
            through = mean_where_met(ordered, points)  # a maximum has a gradient for only one of these
            points = points.detach() + (through - through.detach())  # value of ``points``, gradient of ``through``
        return taken(points, order.argsort(1))

    def _with_model(self, model: Classifier) -> Self:
        """A copy with another model behind the defence."""
        other = copy(self)
        other._modules = {"model": model}  # type: ignore[dict-item]  # a new table: copy() shares it
        return other

    def _next_draw(self) -> int:
        if self._fixed_seed is not None:
            return self._fixed_seed
        return int(torch.randint(2**31, (1,), generator=self._source)) if self.defense.random else 0
