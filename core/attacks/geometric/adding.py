"""Adding points (Xiang et al. 2019): copies of the points that matter most are put onto them and moved away.

The clean cloud is lengthened by those copies, which alone may move: as long as they have not, the set of points is that
of the clean cloud.
"""

from dataclasses import replace
from typing import ClassVar, Literal, Self

import torch
from pydantic import model_validator
from torch import Tensor

from core.attacks.composed import GradientAttack
from core.attacks.constraint import NO_BUDGET, random_unit_deltas
from core.attacks.duplicates import first_at_place
from core.attacks.evaluation import Evaluation, evaluate
from core.attacks.geometric.neighbours import points_at, ranked
from core.attacks.optimisers import OPTIMISERS
from core.attacks.scale import POINTS, EpsilonScale, points_of
from core.attacks.state import State
from core.models import Classifier
from core.options import option

RESTART = 0.1
"""Largest move of a coordinate at a random start, in unit-sphere radii."""


class AddAttack(GradientAttack):
    """A gradient attack on added points alone. Its clouds are (B, N + A, 3), A being epsilon per cent of N."""

    clouds_alone: ClassVar[bool] = True

    epsilon: float = option(10.0, "Points that are added, for each hundred of the cloud.", unit="%", low=0.0, high=100)
    constraint: Literal["none"] = option("none", "Epsilon is the number of added points.", advanced=True)
    unit_ball: bool = option(True, "Let no added point leave the unit sphere.", advanced=True)
    step_size: float = option(0.01, "Length of one step.", unit="r", low=0.0)

    @model_validator(mode="after")
    def _steps_have_a_length(self) -> Self:
        if self.first_step is not None or OPTIMISERS[self.optimiser].has_own_length:
            raise ValueError(
                "added points move by steps of step_size: no first_step and no optimiser that settles the length itself"
            )
        return self

    @property
    def linear_in_epsilon(self) -> bool:
        return False

    @property
    def epsilon_scale(self) -> EpsilonScale:
        return POINTS

    @property
    def description(self) -> str:
        return f"point-adding {super().description}"

    def unused(self) -> frozenset[str]:
        return super().unused() | {"constraint", "total_step", "first_step", "rmse_weight", "stop_rmse"}

    def start(
        self,
        model: Classifier,
        x: Tensor,
        y: Tensor,
        generator: torch.Generator | None = None,
        at_clean: Evaluation | None = None,
    ) -> State:
        self.check_samples(x, None)
        known = at_clean or evaluate(model, x, y, gradient=True)
        chosen = _critical(x, known)[:, : points_of(self.epsilon, x.shape[1])]
        longer = torch.cat([x, points_at(x, chosen)], dim=1)
        state = super().start(model, longer, y, generator)
        added = torch.arange(longer.shape[1], device=x.device).expand(longer.shape[:2]) >= x.shape[1]
        return replace(
            state,
            at_clean=known,
            geometry={**state.geometry, "added": added},
            forwards=state.forwards + 1,
            backwards=state.backwards + 1,
        )

    def allowed(self, moves: Tensor, state: State) -> Tensor:
        return super().allowed(moves, state) * state.geometry["added"][..., None]

    def random_move(self, state: State, start: int) -> Tensor:
        share = RESTART / state.epsilon if state.epsilon > NO_BUDGET else 0.0
        return self.bounded(share * random_unit_deltas(self.constraint, state.clean, state.seed + start), state)

    def refit(self, state: State, epsilon: float) -> State:
        """The least critical of the added points go back where they came from; more than there are can't be added."""
        added = state.geometry["added"]
        points = int((~added[0]).sum())
        kept = torch.arange(added.shape[1], device=added.device) < points + points_of(epsilon, points)
        moves = state.epsilon * state.best_unit_delta * kept[:, None]
        unit_delta = moves / epsilon if epsilon > 0 else torch.zeros_like(moves)
        return replace(super().refit(state, epsilon), unit_delta=unit_delta, best_unit_delta=unit_delta)


def _critical(clouds: Tensor, evaluation: Evaluation) -> Tensor:
    """Places (B, N) in clouds (B, N, 3), those of the largest gradient first, and repeats last."""
    assert evaluation.gradient is not None
    repeat = first_at_place(clouds) != torch.arange(clouds.shape[1], device=clouds.device)
    return ranked(evaluation.gradient.norm(dim=2).masked_fill(repeat, -torch.inf), clouds)
