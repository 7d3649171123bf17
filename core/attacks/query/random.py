"""Random perturbations as large as the budget allows: what an attack has to be better than."""

from typing import Literal

from torch import Tensor

from core.attacks.draws import Generators, at_points, generators, normal, order_along, signs, uniform
from core.attacks.query.base import QueryAttack
from core.attacks.samples import are_clouds
from core.attacks.state import Proposal, State
from core.models import Classifier
from core.options import option


class RandomAttack(QueryAttack):
    """One perturbation a step, each drawn anew, and the best is kept (the controls of Carlini et al. 2019).

    Every one is scaled until its norm is epsilon; without a constraint that is its RMSE. Of one step, its perturbation
    is proportional to epsilon, so the slider is exact.
    """

    noise: Literal["sign", "gaussian", "uniform"] = option(
        "sign", "What each coordinate is: plus or minus the same, normal, or uniform about 0."
    )

    @property
    def linear_in_epsilon(self) -> bool:
        return self.total_steps == 1 and not self.unit_ball

    @property
    def description(self) -> str:
        return f"{self.noise} noise"

    def propose(self, model: Classifier, state: State) -> Proposal:
        draw = generators(state.seed, state.step)
        order = order_along(state.clean, draw) if are_clouds(state.clean) else None
        move = _drawn(self.noise, draw, state.clean)
        if order is not None:
            move = at_points(move, order)
        return Proposal(self.bounded(self.scaled_to_budget(move), state), dict(state.slots))


def _drawn(noise: str, draw: Generators, like: Tensor) -> Tensor:
    shape = like.shape[1:]
    if noise == "sign":
        return signs(draw, like, *shape)
    return normal(draw, like, *shape) if noise == "gaussian" else 2 * uniform(draw, like, *shape) - 1
