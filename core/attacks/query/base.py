"""What attacks without gradients share."""

import torch
from torch import Tensor

from core.attacks.attack import Attack
from core.attacks.constraint import NORMS
from core.attacks.evaluation import Evaluation, ObjectiveFunction
from core.attacks.objective import OBJECTIVES, ObjectiveContext
from core.attacks.samples import for_each
from core.attacks.state import State
from core.models import Classifier

ROUNDING = 100
"""Rounding errors of the logits that a margin has to rise by, so that one cloud does as it would in a batch."""


class QueryAttack(Attack):
    """An attack without gradients: each step evaluates the model once and uses its margin alone."""

    def unused(self) -> frozenset[str]:
        return frozenset({"random_start"})

    def maximised(self, model: Classifier, state: State) -> ObjectiveFunction:
        context = ObjectiveContext(state.label, self.goal == "targeted", state.at_clean)
        return lambda output, _: OBJECTIVES["margin"].value(output, context)

    def starts_at_random(self, start: int) -> bool:
        return False

    def uses_seed(self, classes: int) -> bool:
        return True

    def scaled_to_budget(self, move: Tensor) -> Tensor:
        """A perturbation (B, N, 3) scaled until its norm is epsilon: its RMSE, where there is no constraint."""
        size = NORMS["rmse" if self.constraint == "none" else self.constraint](move)
        return move / for_each(size, move)


def raises_margin(proposed: Evaluation, present: Evaluation) -> Tensor:
    """(B,) bool: whether a proposed iterate has a larger margin than the present one, by more than rounding errors."""
    noise = ROUNDING * torch.finfo(present.objective.dtype).eps * (1 + present.logits.abs().amax(1))
    return proposed.objective > present.objective + noise
