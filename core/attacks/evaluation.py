"""A model evaluated on clouds: logits, loss, an attack's objective, and its gradient with respect to the points."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from core.attacks.duplicates import average_over_duplicates
from core.attacks.samples import are_clouds, for_each
from core.models import Classifier, Output, eval_view, require_finite

ObjectiveFunction = Callable[[Output, Tensor], Tensor]
"""Output and clouds (B, N, 3), with their graph -> a number for each cloud (B,), larger where an attack is nearer."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A model evaluated on a batch of clouds."""

    logits: Tensor
    """(B, K)"""
    latent: Tensor
    """(B, D)"""
    loss: Tensor
    """(B,), cross-entropy to the label in nats."""
    objective: Tensor
    """(B,), what an attack maximises: the loss, unless another objective was given."""
    gradient: Tensor | None = None
    """(B, N, 3), d objective_i / d cloud_i of each cloud on its own (sum reduction); None if it was not computed.

    Points that lie on one another share theirs, see ``average_over_duplicates``.
    """

    @property
    def prediction(self) -> Tensor:
        """(B,), the predicted class."""
        return self.logits.argmax(1)

    @property
    def zero_gradient(self) -> Tensor | None:
        """(B,), share of the points, or of an image's values, at which the gradient is zero; None if not computed."""
        if self.gradient is None:
            return None
        zero = self.gradient == 0
        return (zero.all(2) if are_clouds(zero) else zero.flatten(1)).double().mean(1)

    def of(self, rows: Tensor) -> "Evaluation":
        """The evaluation of some of the clouds: an index (M,) or a mask (B,)."""
        gradient = None if self.gradient is None else self.gradient[rows]
        return Evaluation(self.logits[rows], self.latent[rows], self.loss[rows], self.objective[rows], gradient)

    def where(self, mask: Tensor, other: "Evaluation") -> "Evaluation":
        """This evaluation of the clouds of a mask (B,), the other of the rest; with gradients if both have them."""
        both = self.gradient is not None and other.gradient is not None
        return Evaluation(
            torch.where(mask[:, None], self.logits, other.logits),
            torch.where(mask[:, None], self.latent, other.latent),
            torch.where(mask, self.loss, other.loss),
            torch.where(mask, self.objective, other.objective),
            torch.where(for_each(mask, self.gradient), self.gradient, other.gradient) if both else None,  # type: ignore[arg-type]
        )

    def without_gradient(self) -> "Evaluation":
        return Evaluation(self.logits, self.latent, self.loss, self.objective)


def evaluate(
    model: Classifier,
    clouds: Tensor,
    label: Tensor,
    *,
    gradient: bool,
    objective: ObjectiveFunction | None = None,
    change: Callable[[Tensor], Tensor] | None = None,
) -> Evaluation:
    """Evaluate the model in eval mode (its own modes are restored), with or without the input gradient.

    The gradient is taken with respect to the points only: the weights' ``.grad`` stays as it was.

    Parameters
    ----------
    clouds : Tensor (B, N, 3)
    label : Tensor (B,), the class the loss refers to.
    objective : another value to maximise than the cross-entropy to the label.
    change : a function applied to the clouds before the model; the gradient passes through it.

    Raises
    ------
    NonFiniteError
        If logits or the gradient are not finite.
    """
    with eval_view(model) as classifier, torch.set_grad_enabled(gradient):
        points = clouds.detach().requires_grad_(gradient)
        output = classifier(points if change is None else change(points))
        loss = F.cross_entropy(output.logits, label, reduction="none")
        value = loss if objective is None else objective(output, points)
        slope = None
        if gradient:
            slope = average_over_duplicates(clouds, torch.autograd.grad(value.sum(), points)[0])
    logits = require_finite(model, output.logits.detach())
    if slope is not None:
        require_finite(model, slope, "gradients")
    return Evaluation(logits, output.latent.detach(), loss.detach(), value.detach(), slope)
