"""The worst transform of a cloud within a range of its parameters: tries all over the range, and the best refined."""

from dataclasses import replace
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

from core.attacks.attack import Attack
from core.attacks.constraint import NO_BUDGET
from core.attacks.evaluation import Evaluation, ObjectiveFunction, evaluate
from core.attacks.objective import ObjectiveName, value_of
from core.attacks.optimisers.base import quotient
from core.attacks.scale import EpsilonScale
from core.attacks.semantic.transforms import TRANSFORMS, Transform, TransformName
from core.attacks.state import Proposal, State
from core.models import Classifier
from core.options import option


class TransformAttack(Attack):
    """Searches the parameters of one transform within epsilon, by tries and then by gradients.

    Slots: ``parameters`` (B, P) of the iterate, ``proposed`` (B, P) of the last proposal, ``best`` (B, P) of the best
    iterate, ``length`` (B,) of a step, all in units of epsilon; ``before`` (B,), the objective before the proposal.
    """

    clouds_alone: ClassVar[bool] = True

    epsilon: float = option(
        30.0, "Largest parameter of the transform, in degrees or per cent.", unit="° or %", low=0.0, high=180.0
    )
    constraint: Literal["none"] = option("none", "Epsilon bounds the transform's parameters.", advanced=True)
    transform: TransformName = option("rotate", "What is done to the cloud.")
    tries: int = option(16, "Parameters that are tried in the first step, all over their range.", low=1, high=10_000)
    steps: int = option(20, "The tries are the first; then the best is refined by gradients.", low=1, high=10_000)
    restarts: int = option(0, "Further starts with other tries; the best iterate of all counts.", low=0, high=100)
    random_start: Literal[False] = option(False, "Each start begins with tries.", advanced=True)
    objective: ObjectiveName = option("ce", "What is maximised.")

    @property
    def epsilon_scale(self) -> EpsilonScale:
        return self._transform.scale

    @property
    def _transform(self) -> Transform:
        return TRANSFORMS[self.transform]

    @property
    def description(self) -> str:
        return f"worst {self.transform}"

    @property
    def gradients_a_step(self) -> int:
        return 1

    def unused(self) -> frozenset[str]:
        return frozenset({"constraint", "random_start", "unit_ball", "stop_rmse"})

    def maximised(self, model: Classifier, state: State) -> ObjectiveFunction | None:
        return value_of(self.objective, self.objective_context(state))

    def needs_gradient(self, state: State) -> bool:
        return True

    def accepts(self, proposed: Evaluation, state: State) -> Tensor | None:
        return None if state.evaluation is None else proposed.objective > state.evaluation.objective

    def random_move(self, state: State, start: int) -> Tensor:
        return torch.zeros_like(state.clean)

    def first_slots(self, state: State) -> dict[str, Tensor]:
        zero = state.clean.new_zeros(len(state.clean), self._transform.parameters)
        return {
            "parameters": zero,
            "proposed": zero,
            "best": state.slots.get("best", zero),
            "length": zero[:, 0] + self.tries ** (-1 / self._transform.parameters),
            "before": zero[:, 0] - torch.inf,
        }

    def propose(self, model: Classifier, state: State) -> Proposal:
        known, passes = self.at_iterate(model, state)
        slots = dict(state.slots)
        if self.step_of_start(state.step) == 0:
            slots["proposed"] = self._best_try(model, state)
            forwards = passes + self.tries
        else:
            accepted = known.objective > slots["before"]
            slots["parameters"] = torch.where(accepted[:, None], slots["proposed"], slots["parameters"])
            slots["length"] = torch.where(accepted, slots["length"], slots["length"] / 2)
            step = slots["length"][:, None] * self._uphill(state, known, slots["parameters"])
            slots["proposed"] = self._transform.bounded(slots["parameters"] + step)
            forwards = passes
        slots["before"] = known.objective
        return Proposal(self._unit_delta(state, slots["proposed"]), slots, forwards, passes)

    def step(self, model: Classifier, state: State) -> State:
        after = super().step(model, state)
        changed = (after.best_unit_delta != state.best_unit_delta).any(2).any(1)
        best = torch.where(changed[:, None], after.slots["proposed"], state.slots["best"])
        return replace(after, slots={**after.slots, "best": best})

    def refit(self, state: State, epsilon: float) -> State:
        """The transform of the best parameters, rescaled to the other epsilon."""
        changed = super().refit(state, epsilon)
        unit_delta = self._unit_delta(changed, state.slots["best"])
        slots = {**state.slots, "parameters": state.slots["best"], "proposed": state.slots["best"]}
        return replace(changed, unit_delta=unit_delta, best_unit_delta=unit_delta, slots=slots)

    def _unit_delta(self, state: State, parameters: Tensor) -> Tensor:
        """The perturbation (B, N, 3) by parameters (B, P), both in units of epsilon."""
        if state.epsilon <= NO_BUDGET:
            return torch.zeros_like(state.clean)
        return (self._transform(state.clean, state.epsilon * parameters) - state.clean) / state.epsilon

    def _best_try(self, model: Classifier, state: State) -> Tensor:
        """(B, P), the best of the tries of a start."""
        tries, value = self._tries(state), self.maximised(model, state)
        found = []
        for each in tries.unbind(1):
            clouds = state.moved(self._unit_delta(state, each))
            found.append(evaluate(model, clouds, state.label, gradient=False, objective=value).objective)
        best = torch.stack(found, 1).argmax(1)
        return tries[torch.arange(len(tries), device=tries.device), best]

    def _tries(self, state: State) -> Tensor:
        """(B, T, P), evenly over the range; in the first start the same for all clouds, then shifted at random."""
        start, count, parameters = self.start_of(state.step), self.tries, self._transform.parameters
        even = SobolEngine(parameters).draw(count, dtype=torch.float64)
        shifts = torch.full((len(state.seed), 1, parameters), 0.5 / count, dtype=torch.float64)
        if start > 0:
            for shift, seed in zip(shifts, state.seed, strict=True):
                shift.uniform_(generator=torch.Generator().manual_seed(int(seed) + start))
        return self._transform.bounded(2 * ((even + shifts) % 1) - 1).to(state.clean)

    def _uphill(self, state: State, known: Evaluation, parameters: Tensor) -> Tensor:
        """(B, P), the direction in which the objective rises with the parameters of the iterate; 0 where flat."""
        assert known.gradient is not None
        with torch.enable_grad():
            at = parameters.detach().requires_grad_()
            moved = self._transform(state.clean, state.epsilon * at)
            slope = torch.autograd.grad(moved, at, known.gradient)[0]
        return quotient(slope, slope.norm(dim=1, keepdim=True))
