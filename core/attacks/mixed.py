"""Attacks on a cloud and on a changed version of it at once, so that the result carries over to other models."""

from abc import abstractmethod
from dataclasses import replace

from torch import Tensor

from core.attacks.composed import GradientAttack
from core.attacks.evaluation import ObjectiveFunction
from core.attacks.objective import OBJECTIVES
from core.attacks.state import Proposal, State
from core.models import Classifier, Output, eval_view


class MixedAttack(GradientAttack):
    """A gradient attack that maximises (1 - gamma) f(x') + gamma f(g(x')), f being the objective.

    x' is the adversarial cloud and g the function ``other_cloud`` of the kind of attack.
    """

    @property
    @abstractmethod
    def gamma(self) -> float:
        """Weight of the objective at the changed cloud, 0 to 1."""

    @abstractmethod
    def other_cloud(self, model: Classifier, clouds: Tensor, state: State) -> Tensor:
        """Changed versions (B, M, 3) of clouds (B, N, 3), through which gradients pass."""

    @property
    def linear_in_epsilon(self) -> bool:
        return False

    @property
    def gradients_a_step(self) -> int:
        return super().gradients_a_step * (2 if self.gamma else 1)

    @property
    def maximises_loss(self) -> bool:
        return super().maximises_loss and not self.gamma

    def maximised(self, model: Classifier, state: State) -> ObjectiveFunction | None:
        whole, context = super().maximised(model, state), self.objective_context(state)
        if whole is None or not self.gamma:
            return whole

        def value(output: Output, clouds: Tensor) -> Tensor:
            with eval_view(model) as classify:
                of_other = OBJECTIVES[self.objective].value(classify(self.other_cloud(model, clouds, state)), context)
            return (1 - self.gamma) * whole(output, clouds) + self.gamma * of_other

        return value

    def propose(self, model: Classifier, state: State) -> Proposal:
        found = super().propose(model, state)
        if not self.gamma:
            return found  # below, the loop counts the passes of the cloud, and this those of the changed one
        return replace(found, forwards=2 * found.forwards + 1, backwards=2 * found.backwards + 1)
