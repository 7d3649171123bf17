"""DeepFool (Moosavi-Dezfooli et al. 2016): step by step to the nearest boundary as the gradients have it."""

import torch
from torch import Tensor

from core.attacks.duplicates import average_over_duplicates
from core.attacks.minimal.boundary import BoundaryAttack
from core.attacks.samples import for_each
from core.attacks.state import Proposal, State
from core.models import Classifier, eval_view, require_finite
from core.options import option


class DeepFool(BoundaryAttack):
    """Algorithm 2 of the paper, in L2 or L-infinity (section 3.3); it ends with a cloud when it has crossed a boundary.

    As in the authors' code, every step goes a little beyond its boundary (``overshoot``), and the gradients are taken
    there.
    """

    candidates: int = option(
        9, "Wrong classes whose boundaries are looked at, the most probable first.", low=1, high=1000
    )

    @property
    def total_steps(self) -> int:
        return self.steps

    def unused(self) -> frozenset[str]:
        return super().unused() | {"restarts"} | ({"candidates"} if self.goal == "targeted" else set())

    def finished(self, state: State) -> Tensor:
        return state.slots["distance"].isfinite()

    def search(self, model: Classifier, state: State) -> Proposal:
        point = state.slots["point"]
        difference, gradients = self._boundaries(model, state, state.moved_by(point))
        steepness = self.steepness(gradients.flatten(0, 1)).view(difference.shape)
        distance = torch.where(steepness > 0, difference.abs() / steepness, torch.inf)
        nearest = distance.argmin(1)
        row = torch.arange(len(point), device=point.device)
        step = for_each(difference[row, nearest].abs(), point) * self.steepest(gradients[row, nearest])
        point = torch.where(for_each(self.finished(state), point), point, point + (1 + self.overshoot) * step)
        return self.try_perturbation(model, state, point, {}, forwards=1, backwards=gradients.shape[1])

    def _boundaries(self, model: Classifier, state: State, clouds: Tensor) -> tuple[Tensor, Tensor]:
        """The differences (B, C) at clouds, and their gradients (B, C, N, 3), from one forward pass."""
        with eval_view(model) as classifier, torch.enable_grad():
            points = clouds.detach().requires_grad_()
            output = classifier(points)
            wrong = range(min(self.candidates, output.logits.shape[1] - 1))
            difference = self.differences(output, state, wrong)
            slopes = [torch.autograd.grad(each.sum(), points, retain_graph=True)[0] for each in difference.unbind(1)]
        gradients = torch.stack([average_over_duplicates(clouds, slope) for slope in slopes], 1)
        require_finite(model, output.logits.detach())
        return difference.detach(), require_finite(model, gradients, "gradients")
