"""The gradient attack: objective x gradient source x optimiser x direction x constraint x step length."""

import math
from dataclasses import replace
from typing import Annotated

import torch
from torch import Tensor

from core.attacks.attack import Attack
from core.attacks.constraint import NO_BUDGET, TANGENT
from core.attacks.direction import DIRECTIONS, Direction
from core.attacks.evaluation import Evaluation, ObjectiveFunction
from core.attacks.geometric.regularisers import REGULARISERS, RegulariserName
from core.attacks.objective import OBJECTIVES, ObjectiveName, discriminator_term
from core.attacks.optimisers import OPTIMISERS, Iterate, Variant
from core.attacks.samples import length_of_each
from core.attacks.sources import SOURCES_FOR_CLOUDS, SOURCES_THAT_DRAW, SourceName, gradient_from
from core.attacks.state import Proposal, State
from core.attacks.step_length import calibrated
from core.models import Classifier, Output
from core.models.port import value_range_of
from core.options import OneOf, option

OptimiserName = Annotated[str, OneOf(OPTIMISERS)]


class GradientAttack(Attack):
    """Steps along gradients of the attacked model."""

    direction: Direction = option("sign", "How a gradient becomes a perturbation (the variants of FGSM).")
    step_size: float | None = option(
        None, "Length of one step; empty is the total step / steps, and epsilon for a single step.", unit="r", low=0.0
    )
    total_step: float = option(
        2.5, "Length of all steps of one start together, where no step size is given.", unit="ε", low=0.0, advanced=True
    )
    first_step: float | None = option(
        None,
        "RMSE of each cloud's first step, which settles how long its steps are; empty leaves that to the step size.",
        unit="ε",
        low=1e-6,
        high=10.0,
        advanced=True,
    )
    objective: ObjectiveName = option("ce", "What is maximised.")
    rmse_weight: float = option(
        0.0,
        "What an RMSE of epsilon is worth beside the objective (gamma of the second paper, section 3.2).",
        unit="nats",
        low=0.0,
        advanced=True,
    )
    regulariser: RegulariserName = option(
        None,
        "Penalty for a change of the shape, subtracted from the objective; empty is none.",
        advanced=True,
    )
    regulariser_weight: float = option(
        1.0, "Weight of that penalty, which is in square radii, beside the objective.", low=0.0, advanced=True
    )
    discriminator_weight: float = option(
        0.0,
        "What passing the model's discriminator is worth beside the objective (adaptive to Defense-PointNet).",
        low=0.0,
        advanced=True,
    )
    gradient: SourceName = option("plain", "Where the gradient comes from: the cloud, or a mean over changed copies.")
    draws: int = option(5, "Copies that are averaged.", low=1, high=1000, advanced=True)
    optimiser: OptimiserName = option("gd", "How the next iterate follows from the gradients.")
    momentum: float | None = option(
        None, "Share of the former gradients that is kept; empty is the optimiser's own.", low=0.0, high=10.0
    )
    variant: Variant = option(
        "paper",
        "Optimisers of the second paper: as it describes them, or as its authors' code has them.",
        advanced=True,
    )

    @property
    def linear_in_epsilon(self) -> bool:
        return (
            self.total_steps == 1
            and self.step_size is None
            and not (self.random_start or self.unit_ball)
            and self.gradient == "plain"
            and self.optimiser != "apgd"
            and self.constraint not in TANGENT
        )

    @property
    def description(self) -> str:
        plain = type(self).model_fields
        names = [
            getattr(self, name)
            for name in ("objective", "regulariser", "gradient", "optimiser")
            if getattr(self, name) != plain[name].default
        ]
        return " ".join([self.direction, *names, "attack"])

    @property
    def gradients_a_step(self) -> int:
        return {"plain": 1, "neighbours": self.draws + 1}.get(self.gradient, self.draws)

    def uses_seed(self, classes: int) -> bool:
        return super().uses_seed(classes) or self.gradient in SOURCES_THAT_DRAW

    def unused(self) -> frozenset[str]:
        optimiser, names = OPTIMISERS[self.optimiser], set()
        if optimiser.default_momentum is None:
            names.add("momentum")
        if not optimiser.has_variants:
            names.add("variant")
        if self.gradient == "plain":
            names.add("draws")
        if self.regulariser is None:
            names.add("regulariser_weight")
        if optimiser.has_own_length:
            names |= {"step_size", "total_step", "first_step"}
        elif self.first_step is not None:
            names |= {"step_size", "total_step"}
        elif self.step_size is not None or self.steps == 1:
            names.add("total_step")
        return frozenset(names)

    def part_for_clouds(self) -> str | None:
        if self.direction == "per-point":
            return "The direction per-point"
        if self.gradient in SOURCES_FOR_CLOUDS:
            return f"The gradient source {self.gradient}"
        return super().part_for_clouds() or (self.regulariser and f"The regulariser {self.regulariser}")

    def geometry(self, clean: Tensor) -> dict[str, Tensor]:
        known = super().geometry(clean)
        return known if self.regulariser is None else known | REGULARISERS[self.regulariser].of_clean_cloud(clean)

    @property
    def maximises_loss(self) -> bool:
        """Whether it maximises the cross-entropy to the true class and nothing else."""
        weighted = self.regulariser or self.rmse_weight or self.discriminator_weight
        return self.objective == "ce" and self.goal == "untargeted" and not weighted

    def maximised(self, model: Classifier, state: State) -> ObjectiveFunction | None:
        if self.maximises_loss:
            return None
        context = self.objective_context(state)

        def value(output: Output, clouds: Tensor) -> Tensor:
            total = OBJECTIVES[self.objective].value(output, context)
            if self.rmse_weight and state.epsilon > NO_BUDGET:
                total = total + self.rmse_term((clouds - state.clean) / state.epsilon)
            if self.regulariser is not None:
                lost = REGULARISERS[self.regulariser].value(clouds, state.clean, state.geometry)
                total = total - self.weight_of_regulariser(state) * lost
            if self.discriminator_weight:
                total = total + self.discriminator_weight * discriminator_term(model, output.latent)
            return total

        return value

    def rmse_term(self, unit_delta: Tensor) -> Tensor:
        """What the RMSE (B,) of perturbations in units of epsilon adds to the objective; its gradient at 0 is 0."""
        return self.rmse_weight * length_of_each(unit_delta).flatten() / math.sqrt(unit_delta[0].numel())

    def merit(self, state: State, unit_delta: Tensor, evaluation: Evaluation) -> Tensor:
        """The objective without the RMSE term, which moves an iterate, but does not say which one is kept.

        So do the authors of the second paper, who keep the one with the largest cross-entropy.
        """
        merit = super().merit(state, unit_delta, evaluation)
        return merit - self.rmse_term(unit_delta) if self.rmse_weight and state.epsilon > NO_BUDGET else merit

    def weight_of_regulariser(self, state: State) -> Tensor | float:
        """The weight of the regulariser beside the objective, for each cloud (B,) or for all."""
        return self.regulariser_weight

    def needs_gradient(self, state: State) -> bool:
        looks_ahead = OPTIMISERS[self.optimiser].looks_ahead and self.step_of_start(state.step) > 0
        return self.gradient == "plain" and not looks_ahead

    def first_slots(self, state: State) -> dict[str, Tensor]:
        return OPTIMISERS[self.optimiser].slots(state.clean)

    def propose(self, model: Classifier, state: State) -> Proposal:
        return self._proposal(model, state, self.maximised(model, state))

    def _proposal(self, model: Classifier, state: State, value: ObjectiveFunction | None) -> Proposal:
        optimiser, slots = OPTIMISERS[self.optimiser], dict(state.slots)
        at = self._iterate(state)
        ahead, evaluation, passes = optimiser.look_ahead(at), state.evaluation, 0
        if ahead is not None or self.gradient != "plain" or evaluation is None or evaluation.gradient is None:
            place = state.unit_delta if ahead is None else ahead
            at = replace(at, cloud=state.moved(place))
            found = gradient_from(
                self.gradient,
                model,
                at.cloud,
                state.label,
                value,
                draws=self.draws,
                seed=state.seed + 7919 * state.step,
                epsilon=state.epsilon,
                variance=slots.get("variance"),
            )
            at, passes = replace(at, gradient=found.value), found.passes
            if found.variance is not None:
                slots["variance"] = found.variance
            if ahead is None and found.evaluation is not None:
                evaluation = found.evaluation
        if evaluation is not None:
            at = replace(at, objective=evaluation.objective)
        if self.first_step is not None and at.step == 0:
            slots["step_length"] = calibrated(optimiser, at, self.first_step)
            at = replace(at, step_length=slots["step_length"])
        unit_delta, kept = optimiser.advance(at)
        return Proposal(unit_delta, {**slots, **kept}, passes, passes)

    def _iterate(self, state: State) -> Iterate:
        """The input of the optimiser: the state, with the gradient at the iterate where it has been computed."""
        own = OPTIMISERS[self.optimiser].default_momentum
        gradient = state.evaluation.gradient if state.evaluation is not None else None
        return Iterate(
            unit_delta=state.unit_delta,
            gradient=state.unit_delta if gradient is None else gradient,
            objective=state.clean.flatten(1)[:, 0],
            slots=state.slots,
            step=self.step_of_start(state.step),
            steps=self.steps,
            step_length=state.slots.get("step_length", self._step_length(state.epsilon)),
            momentum=self.momentum if self.momentum is not None else own or 0.0,
            variant=self.variant,
            cloud=state.current,
            normalise=lambda gradient: DIRECTIONS[self.direction](self.allowed(gradient, state)),
            project=lambda unit_delta: self.bounded(unit_delta, state),
        )

    def _step_length(self, epsilon: float) -> float:
        if self.step_size is not None and epsilon > NO_BUDGET:
            return self.step_size / epsilon
        return 1.0 if self.steps == 1 else self.total_step / self.steps

    def unit_delta_of(self, gradient: Tensor) -> Tensor:
        """The perturbation (B, N, 3) in units of epsilon, of an attack that is linear in it, from its gradient."""
        state = self._unevaluated(torch.zeros_like(gradient), gradient.new_zeros(len(gradient), dtype=torch.long))
        return OPTIMISERS[self.optimiser].advance(replace(self._iterate(state), gradient=gradient))[0]

    def _unevaluated(self, x: Tensor, y: Tensor, unit_delta: Tensor | None = None) -> State:
        """A state of clouds (B, N, 3) and labels (B,) without the evaluations of a model."""
        unit_delta, none = torch.zeros_like(x) if unit_delta is None else unit_delta, torch.zeros_like(y)
        seed = torch.zeros(len(x), dtype=torch.long)
        state = State(x, y, self.epsilon, unit_delta, None, unit_delta, None, None, seed, none, none, none, none)
        state = replace(state, geometry=self.geometry(x))
        return replace(state, slots=self.first_slots(state))

    def last_iterate(
        self,
        model: Classifier,
        x: Tensor,
        y: Tensor,
        value: ObjectiveFunction | None = None,
        unit_delta: Tensor | None = None,
    ) -> Tensor:
        """The last iterate (B, N, 3) of one start, for training: no iterate is judged, so it costs a gradient a step.

        Parameters
        ----------
        value : what to maximise in the place of the objective.
        unit_delta : Tensor (B, N, 3), where to start, in units of epsilon; the clean clouds otherwise.
        """
        value_range = value_range_of(model)
        self.check_samples(x, value_range)
        state = replace(self._unevaluated(x, y, unit_delta), value_range=value_range)
        if unit_delta is not None and value_range is not None:
            state = replace(state, unit_delta=self.bounded(unit_delta, state))
        for _ in range(self.steps):
            proposal = self._proposal(model, state, value or self.maximised(model, state))
            state = replace(state, unit_delta=proposal.unit_delta, slots=proposal.slots, step=state.step + 1)
        return state.current
