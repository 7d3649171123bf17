"""A model evaluated on clouds: logits, loss, and the gradient of the loss with respect to the points."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from core.models import Classifier, eval_view, require_finite

_HASH = (0x9E3779B97F4A7C15 - 2**64, 0x632BE59BD9B4E019, 0x2545F4914F6CDD1D)
"""Odd 64-bit multipliers of a hash of points; two different points collide about once in 2^64 pairs."""

Loss = Callable[[Tensor, Tensor], Tensor]
"""Logits (B, K) and latents (B, D) -> the loss (B,) that an attack maximises."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A model evaluated on a batch of clouds."""

    logits: Tensor
    """(B, K)"""
    latent: Tensor
    """(B, D)"""
    loss: Tensor
    """(B,), cross-entropy to the label in nats, or the loss that was asked for."""
    gradient: Tensor | None = None
    """(B, N, 3), d loss_i / d cloud_i of each sample on its own (sum reduction), or None where it was not asked.

    Points that lie on one another share theirs, see ``average_over_duplicates``.
    """

    @property
    def prediction(self) -> Tensor:
        """(B,), the predicted class."""
        return self.logits.argmax(1)

    def of(self, rows: Tensor) -> "Evaluation":
        """The evaluation of some of the clouds: an index (M,) or a mask (B,)."""
        slope = None if self.gradient is None else self.gradient[rows]
        return Evaluation(self.logits[rows], self.latent[rows], self.loss[rows], slope)


def evaluate(
    model: Classifier, clouds: Tensor, label: Tensor, *, gradient: bool, loss: Loss | None = None
) -> Evaluation:
    """Evaluate the model in eval mode (its own modes are restored), with or without the input gradient.

    The gradient is taken with respect to the points only: the weights' ``.grad`` stays as it was.

    Parameters
    ----------
    clouds : Tensor (B, N, 3)
    label : Tensor (B,), the class the loss refers to.
    loss : another loss than the cross-entropy to the label.

    Raises
    ------
    NonFiniteError
        If logits or the gradient are not finite.
    """
    with eval_view(model) as classifier, torch.set_grad_enabled(gradient):
        points = clouds.detach().requires_grad_(gradient)
        logits, latent = classifier(points)
        value = F.cross_entropy(logits, label, reduction="none") if loss is None else loss(logits, latent)
        slope = average_over_duplicates(clouds, torch.autograd.grad(value.sum(), points)[0]) if gradient else None
    logits = require_finite(model, logits.detach())
    if slope is not None:
        require_finite(model, slope, "gradients")
    return Evaluation(logits, latent.detach(), value.detach(), slope)


@torch.no_grad()
def average_over_duplicates(clouds: Tensor, gradient: Tensor) -> Tensor:
    """The gradient (B, N, 3) with its mean at points of clouds (B, N, 3) that lie on one another.

    A maximum over points passes its gradient on to one of several equal ones, and which is up to the layer. If that one
    moved alone the others would still hold the maximum, and a cloud that was resampled with repeats would seem robust.
    """
    if not _alike(clouds[..., 0].sort(1).values).any():  # usual in a cloud, and found out in half the time
        return gradient
    points = (clouds if clouds.dtype == torch.float64 else clouds.float()) + 0.0  # without a negative zero
    bits = points.contiguous().view(torch.int64 if points.dtype == torch.float64 else torch.int32).long()
    bits = bits ^ (bits >> 32 & 0xFFFFFFFF)  # of round numbers in double precision the lower half is all zeros
    ordered, order = (bits * torch.tensor(_HASH, device=clouds.device)).sum(2).sort(1)
    again = _alike(ordered)
    if not again.any():
        return gradient
    first = torch.ones_like(ordered, dtype=torch.bool)
    first[:, 1:] = ~again
    group = torch.empty_like(order).scatter_(1, order, first.cumsum(1) - 1)
    places = group[..., None].expand_as(gradient)
    total = torch.zeros_like(gradient).scatter_add_(1, places, gradient)
    count = torch.zeros_like(gradient).scatter_add_(1, places, torch.ones_like(gradient))
    return (total / count.clamp_min(1)).gather(1, places)


def _alike(ordered: Tensor) -> Tensor:
    """(B, N - 1), which of ordered numbers (B, N) are the ones before them again."""
    return ordered[:, 1:] == ordered[:, :-1]
