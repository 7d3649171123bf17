"""How a model sees a cloud: its logits, the loss, and the gradient of the loss with respect to the points."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from core.models import Classifier, answering

Loss = Callable[[Tensor, Tensor], Tensor]
"""Logits (B, K) and latents (B, D) -> what an attack raises, (B,)."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A model's answer to a batch of clouds."""

    logits: Tensor
    """(B, K)"""
    latent: Tensor
    """(B, D)"""
    loss: Tensor
    """(B,), cross-entropy to the label in nats, or the loss that was asked for."""
    gradient: Tensor | None = None
    """(B, N, 3), d loss_i / d cloud_i of each sample on its own (sum reduction), or None where it was not asked."""

    @property
    def prediction(self) -> Tensor:
        """(B,), the predicted class."""
        return self.logits.argmax(1)

    def of(self, rows: Tensor) -> "Evaluation":
        """The answer to some of the clouds: an index (M,) or a mask (B,)."""
        slope = None if self.gradient is None else self.gradient[rows]
        return Evaluation(self.logits[rows], self.latent[rows], self.loss[rows], slope)


def evaluate(
    model: Classifier, clouds: Tensor, label: Tensor, *, gradient: bool, loss: Loss | None = None
) -> Evaluation:
    """Ask the model in eval mode (whatever its own is, which it keeps), with or without the input gradient.

    The gradient is taken with respect to the points only: the weights' ``.grad`` stays as it was.

    Parameters
    ----------
    clouds : Tensor (B, N, 3)
    label : Tensor (B,), the class the loss refers to.
    loss : another loss than the cross-entropy to the label.
    """
    with answering(model) as classifier, torch.set_grad_enabled(gradient):
        points = clouds.detach().requires_grad_(gradient)
        logits, latent = classifier(points)
        value = F.cross_entropy(logits, label, reduction="none") if loss is None else loss(logits, latent)
        slope = torch.autograd.grad(value.sum(), points)[0] if gradient else None
    return Evaluation(logits.detach(), latent.detach(), value.detach(), slope)
