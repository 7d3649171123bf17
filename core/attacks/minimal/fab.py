"""FAB, the fast adaptive boundary attack (Croce and Hein 2020), towards one class after another."""

import torch
from torch import Tensor

from core.attacks.draws import at_points, generators, order_along, uniform
from core.attacks.evaluation import ObjectiveFunction, evaluate
from core.attacks.minimal.boundary import BoundaryAttack
from core.attacks.optimisers.base import quotient
from core.attacks.samples import are_clouds, axes_of_each, for_each
from core.attacks.state import Proposal, State
from core.models import Classifier
from core.options import option


class FAB(BoundaryAttack):
    """Algorithm 1 of the paper in its targeted form, which needs one gradient a step, not one for each class.

    A step goes to the boundary, a little beyond it (eta - 1 is ``overshoot``), and a little towards where the boundary
    is nearest to the clean cloud; from a point that fools, the search goes back towards the clean cloud. Each start is
    for one wrong class, the most probable first; when all have had theirs, further starts are at random points. There
    is no box of clouds, so the projection onto a boundary is one line; that of an image is cut off at its range after.

    Unlike in the paper, the gradient is that at the point evaluated last, not at the one that the search went back to.
    So a step is one pass forward and one backward, in half of the time, and on the shipped models the clouds found are
    as near (in the mean of eight clouds between 1 % nearer and 3 % farther).
    """

    overshoot: float = option(0.05, "How far each step goes beyond the boundary, as a share of it.", low=0.0, high=1.0)
    towards_clean: float = option(
        0.1, "Largest share of the way to the clean cloud's own boundary point (alpha max).", low=0.0, high=1.0
    )
    backward: float = option(
        0.9, "Share of a fooling perturbation that the search goes on from (beta).", low=0.0, high=1.0
    )

    def uses_seed(self, classes: int) -> bool:
        return self.restarts >= self._starts_at_clean(classes)

    def _starts_at_clean(self, classes: int) -> int:
        """How many starts are at the clean cloud: one for each wrong class, or the one for the target."""
        return 1 if self.goal == "targeted" else classes - 1

    def maximised(self, model: Classifier, state: State) -> ObjectiveFunction:
        start = self.start_of(state.step)
        return lambda output, _: self.differences(output, state, [start])[:, 0]

    def search(self, model: Classifier, state: State) -> Proposal:
        if self.step_of_start(state.step) == 0:
            point, passes = self._first(state), 1
            found = evaluate(
                model, state.moved_by(point), state.label, gradient=True, objective=self.maximised(model, state)
            )
            assert found.gradient is not None
            origin, value, gradient = point, found.objective, found.gradient
        else:
            point, passes = state.slots["point"], 0
            origin = torch.where(for_each(state.slots["adversarial"], point), self.backward * point, point)
            value, gradient = state.slots["value"], state.slots["gradient"]
        clean_value = value - (gradient * point).sum(axes_of_each(point))
        value = clean_value + (gradient * origin).sum(axes_of_each(point))
        share = quotient(value.abs(), value.abs() + clean_value.abs()).clamp_max(self.towards_clean)
        place = for_each(1 - share, origin) * origin
        way = (1 - share) * value + share * clean_value
        place = place - (1 + self.overshoot) * for_each(way, gradient) * self.steepest(gradient)
        further = self.step_of_start(state.step + 1) > 0
        return self.try_perturbation(model, state, place, {}, gradient=further, forwards=passes, backwards=passes)

    def _first(self, state: State) -> Tensor:
        """(B, N, 3), where a start begins: at the clean cloud, or half as far as is of interest."""
        assert state.at_clean is not None
        zero, classes = torch.zeros_like(state.clean), state.at_clean.logits.shape[1]
        if self.start_of(state.step) < self._starts_at_clean(classes):
            return zero
        draw = generators(state.seed, state.step)
        move = 2 * uniform(draw, zero, *zero.shape[1:]) - 1
        if are_clouds(move):
            move = at_points(move, order_along(state.clean, draw))
        far = state.slots["distance"].clamp_max(state.epsilon) / 2
        return for_each(far / self.size(move), move) * move
