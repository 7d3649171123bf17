"""GeoA3 (Wen et al. 2020): Adam on the margin minus a penalty for the shape, and a binary search for its weight."""

from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor

from core.attacks.composed import GradientAttack
from core.attacks.draws import at_points, generators, normal, order_along
from core.attacks.evaluation import Evaluation
from core.attacks.objective import OBJECTIVES
from core.attacks.state import State
from core.models import Classifier, Output
from core.options import option

NOISE = 1e-3
"""Standard deviation of a coordinate where a round begins, in unit-sphere radii, as in the authors' code."""


class GeoA3(GradientAttack):
    """A gradient attack whose starts are the rounds of a binary search, for each cloud, for the regulariser's weight.

    A round that fools the model is followed by one with a larger weight, which keeps the cloud nearer to its shape; one
    that does not, by one with a smaller weight. As in the authors' code the weight is doubled until a round fails, and
    then halved between the largest that fooled the model and the smallest that did not. The result is, of all iterates
    that fool the model, the one whose regulariser is least.

    Slots beside the optimiser's, (B,) each: ``weight`` of this round; ``low``, the largest weight that fooled the
    model, and ``high``, the smallest that did not; ``fooled_in_round``; and ``least``, the least value of the
    regulariser among the iterates so far that fool the model, infinite if none does.
    """

    clouds_alone: ClassVar[bool] = True

    restarts: int = option(9, "Further rounds of the binary search, each with another weight.", low=0, high=100)
    regulariser_weight: float = option(
        10.0,
        "Weight of the penalty for the shape, in square radii, beside the objective in the first round.",
        low=1e-9,
        high=1e9,
        advanced=True,
    )

    @property
    def linear_in_epsilon(self) -> bool:
        return False

    @property
    def description(self) -> str:
        return "GeoA3"

    def random_move(self, state: State, start: int) -> Tensor:
        draw = generators(state.seed + start)
        move = NOISE * at_points(normal(draw, state.clean, *state.clean.shape[1:]), order_along(state.clean, draw))
        return self.bounded(move / max(state.epsilon, NOISE), state)

    def first_slots(self, state: State) -> dict[str, Tensor]:
        slots, before = super().first_slots(state), state.slots
        if "weight" not in before:
            zero = torch.zeros_like(state.clean[:, 0, 0])
            search = {"weight": zero + self.regulariser_weight, "low": zero, "high": zero + torch.inf}
            return slots | search | {"fooled_in_round": zero.bool(), "least": zero + torch.inf}
        weight, fooled = before["weight"], before["fooled_in_round"]
        low, high = torch.where(fooled, weight, before["low"]), torch.where(fooled, before["high"], weight)
        weight = torch.where(high.isfinite(), (low + high) / 2, 2 * weight)
        search = {"weight": weight, "low": low, "high": high}
        return slots | search | {"fooled_in_round": torch.zeros_like(fooled), "least": before["least"]}

    def weight_of_regulariser(self, state: State) -> Tensor | float:
        return state.slots.get("weight", self.regulariser_weight)

    def better(self, state: State, unit_delta: Tensor, current: Evaluation) -> Tensor:
        assert state.best is not None
        fooled, least = self.fooled(current.prediction, state.label), state.slots["least"]
        further = self._objective(state, current) > self._objective(state, state.best)
        return torch.where(fooled, self._regulariser(state, current) < least, least.isinf() & further)

    def step(self, model: Classifier, state: State) -> State:
        after = super().step(model, state)
        assert after.evaluation is not None
        fooled, least = self.fooled(after.evaluation.prediction, after.label), after.slots["least"]
        least = torch.where(fooled, torch.minimum(least, self._regulariser(after, after.evaluation)), least)
        search = {"fooled_in_round": after.slots["fooled_in_round"] | fooled, "least": least}
        return replace(after, slots={**after.slots, **search})

    def _regulariser(self, state: State, at: Evaluation) -> Tensor:
        """(B,), the value of the regulariser, from an evaluation in this round: objective = ... - weight * value."""
        return (self._objective(state, at) - at.objective) / self.weight_of_regulariser(state)

    def _objective(self, state: State, at: Evaluation) -> Tensor:
        """(B,), the objective without the regulariser."""
        return OBJECTIVES[self.objective].value(Output(at.logits, at.latent), self.objective_context(state))
