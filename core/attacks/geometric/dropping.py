"""Dropping points by saliency (Zheng et al. 2019): those go whose way to the centre raises the loss most.

A cloud keeps its N points: where one is dropped, it becomes a copy of the nearest that is left, and a repeated point
counts once, as it does for a maximum over points.
"""

from dataclasses import replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from core.attacks.attack import Attack
from core.attacks.duplicates import first_at_place
from core.attacks.evaluation import ObjectiveFunction
from core.attacks.geometric.neighbours import nearest, points_at, ranked
from core.attacks.objective import ObjectiveName, value_of
from core.attacks.scale import POINTS, EpsilonScale, points_of
from core.attacks.state import Proposal, State
from core.models import Classifier
from core.options import option


class DropAttack(Attack):
    """Drops epsilon per cent of the points, an equal share in each step. Points that lie on one another are one point.

    Slots: ``order`` (B, N), how many points are dropped before each; ``dropped`` (B,), how many are dropped so far;
    ``copied_from`` (B, N), the row of the clean point at whose place each point now is.
    """

    clouds_alone: ClassVar[bool] = True

    epsilon: float = option(10.0, "Points that are dropped, of each hundred.", unit="%", low=0.0, high=100.0)
    constraint: Literal["none"] = option("none", "Epsilon is the number of dropped points.", advanced=True)
    steps: int = option(20, "Steps; in each the saliency of what is left is found anew.", low=1, high=10_000)
    restarts: Literal[0] = option(0, "Every start would be the same.")
    random_start: Literal[False] = option(False, "There is no random start.", advanced=True)
    objective: ObjectiveName = option("ce", "What is maximised.")
    saliency_power: float = option(
        1.0, "How much more a point counts that is far from the centre (alpha of the paper).", low=0.0, high=10.0
    )

    @property
    def epsilon_scale(self) -> EpsilonScale:
        return POINTS

    @property
    def description(self) -> str:
        return "point-dropping attack"

    @property
    def gradients_a_step(self) -> int:
        return 1

    def unused(self) -> frozenset[str]:
        return frozenset({"constraint", "restarts", "random_start", "unit_ball", "stop_rmse"})

    def first_perturbation(self, clean: Tensor) -> Tensor:
        return _precise(super().first_perturbation(clean))

    def geometry(self, clean: Tensor) -> dict[str, Tensor]:
        return super().geometry(clean) | {"first": first_at_place(clean)}

    def first_slots(self, state: State) -> dict[str, Tensor]:
        first = state.geometry["first"]
        return {
            "order": torch.full_like(first, first.shape[1]),
            "dropped": torch.zeros_like(state.label),
            "copied_from": first,
        }

    def maximised(self, model: Classifier, state: State) -> ObjectiveFunction | None:
        return value_of(self.objective, self.objective_context(state))

    def needs_gradient(self, state: State) -> bool:
        return True

    def propose(self, model: Classifier, state: State) -> Proposal:
        known, passes = self.at_iterate(model, state)
        assert known.gradient is not None
        dropped, left = state.slots["dropped"], self._left(state, state.slots["order"], state.slots["dropped"])
        scores = self._saliency(state, known.gradient, left).masked_fill(~left, -torch.inf)
        place = torch.empty_like(state.slots["order"])
        place.scatter_(
            1, ranked(scores, state.clean), torch.arange(place.shape[1], device=place.device).expand_as(place)
        )
        order = torch.where(left, dropped[:, None] + place, state.slots["order"])
        made = min(self.step_of_start(state.step) + 1, self.steps)
        dropped = torch.maximum(dropped, self._budget(state, state.epsilon) * made // self.steps)
        return Proposal(*self._without(state, order, dropped), passes, passes)

    def refit(self, state: State, epsilon: float) -> State:
        """The points that go first under the other budget, by the last saliency that was found."""
        first = state.geometry["first"]
        gone = ((state.best_unit_delta != 0).any(2) & _single(first)).sum(1)
        budget, other = self._budget(state, state.epsilon), self._budget(state, epsilon)
        dropped = torch.where(budget > 0, other * gone // budget.clamp_min(1), other)
        at_other = super().refit(state, epsilon)
        unit_delta, slots = self._without(at_other, state.slots["order"], dropped)
        return replace(at_other, unit_delta=unit_delta, best_unit_delta=unit_delta, slots={**state.slots, **slots})

    def _budget(self, state: State, epsilon: float) -> Tensor:
        """(B,), how many points epsilon per cent of those at different places are; one always stays."""
        places = _single(state.geometry["first"]).sum(1)
        counts = [min(points_of(epsilon, count), count - 1) for count in places.tolist()]
        return torch.tensor(counts, device=places.device)

    def _left(self, state: State, order: Tensor, dropped: Tensor) -> Tensor:
        """(B, N) bool, the points that are left, each place once."""
        return _single(state.geometry["first"]) & (order >= dropped[:, None])

    def _saliency(self, state: State, gradient: Tensor, left: Tensor) -> Tensor:
        """(B, N), how fast the objective rises when a point goes to the centre: -d/dr r^(1 + alpha)."""
        rows = state.slots["copied_from"][..., None].expand_as(gradient)
        at_place = torch.zeros_like(gradient).scatter_add_(1, rows, gradient)  # of all that lie there
        centre = torch.where(left[..., None], state.clean, torch.nan).nanmedian(dim=1, keepdim=True).values
        away = state.clean - centre
        return -(at_place * away).sum(2) * away.norm(dim=2) ** self.saliency_power

    def _without(self, state: State, order: Tensor, dropped: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The perturbation (B, N, 3), in units of epsilon, without the first points of an order; and its slots."""
        copied_from = nearest(state.clean, state.clean, 1, self._left(state, order, dropped))[..., 0]
        clean = _precise(state.clean)  # so that a copy is at its point exactly
        moves = points_at(clean, copied_from) - clean
        unit_delta = moves / state.epsilon if state.epsilon > 0 else torch.zeros_like(moves)
        return unit_delta, {"order": order, "dropped": dropped, "copied_from": copied_from}


def _single(first: Tensor) -> Tensor:
    """(B, N) bool, the points that are no repeats."""
    return first == torch.arange(first.shape[1], device=first.device)


def _precise(values: Tensor) -> Tensor:
    """In double precision, where the device has it."""
    return values if values.device.type == "mps" else values.double()
