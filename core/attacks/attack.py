"""An attack is a frozen value; its state is a frozen value; three functions lead from one state to the next.

A perturbation is kept in units of epsilon (``unit_delta``, delta / epsilon), so the adversarial cloud is
``clean + epsilon * unit_delta``: rescaling to another budget changes epsilon alone, as the slider does sixty times a
second.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from core.attacks.constraint import PROJECTIONS, Constraint, random_unit_delta
from core.attacks.direction import DIRECTIONS, Direction
from core.attacks.gradient import Evaluation, evaluate
from core.events import Cancel, Done, Event, Step
from core.models.port import Classifier
from core.options import Options, option

_NO_BUDGET = 1e-9  # unit-sphere radii; dividing a step size by less would overflow


@dataclass(frozen=True, eq=False)
class State:
    """Where an attack on a batch stands. History, undo and scrubbing are lists of these."""

    clean: Tensor
    """(B, N, 3), the clean clouds, about which the budget is always measured."""
    label: Tensor
    """(B,), the true class, or the wanted one of a targeted attack."""
    epsilon: float
    """Budget in unit-sphere radii."""
    unit_delta: Tensor
    """(B, N, 3), the current iterate's perturbation in units of epsilon."""
    evaluation: Evaluation | None
    """The attacked model at the current iterate; None after ``refit``, which evaluates no model."""
    best_unit_delta: Tensor
    """(B, N, 3), the best iterate after the first step: fooled before not fooled, then the larger objective."""
    best: Evaluation | None
    """The attacked model at the best iterate."""
    velocity: Tensor
    """(B, N, 3), the running sum of gradients that momentum keeps; the gradient itself without momentum."""
    seed: Tensor
    """(B,), a seed for the random starts of each cloud, so that they do not depend on the rest of the batch."""
    step: int = 0
    """Steps made, over all restarts."""

    @property
    def current(self) -> Tensor:
        """(B, N, 3), the current iterate."""
        return self.clean + self.epsilon * self.unit_delta

    @property
    def adversarial(self) -> Tensor:
        """(B, N, 3), the result: the best iterate."""
        return self.clean + self.epsilon * self.best_unit_delta

    def of(self, rows: Tensor) -> "State":
        """The same state of some of the clouds: an index (M,) or a mask (B,)."""
        return replace(
            self,
            clean=self.clean[rows],
            label=self.label[rows],
            unit_delta=self.unit_delta[rows],
            evaluation=self.evaluation and self.evaluation.of(rows),
            best_unit_delta=self.best_unit_delta[rows],
            best=self.best and self.best.of(rows),
            velocity=self.velocity[rows],
            seed=self.seed[rows.to(self.seed.device)],
        )


class Attack(Options):
    """A gradient attack, composed of direction, budget, steps and restarts."""

    epsilon: float = option(0.1, "Budget of the perturbation.", unit="r", low=0.0, high=2.0)
    direction: Direction = option("sign", "How a gradient becomes a perturbation (the variants of FGSM).")
    constraint: Constraint = option("linf", "What epsilon bounds.", advanced=True)
    steps: int = option(1, "Gradient steps from each start.", low=1, high=10_000)
    step_size: float | None = option(
        None, "Length of one step; empty is the total step / steps, and epsilon for a single step.", unit="r", low=0.0
    )
    total_step: float = option(
        2.5, "Length of all steps of one start together, where no step size is given.", unit="ε", low=0.0, advanced=True
    )
    momentum: float = option(
        0.0, "Share of the former steps' gradients kept in each one, all at length 1 (MI).", low=0.0, high=10.0
    )
    restarts: int = option(
        0, "Further starts at a random point of the budget; the best iterate of all counts.", low=0, high=100
    )
    objective: Literal["untargeted", "targeted"] = option(
        "untargeted", "Away from the true class, or towards a wanted one."
    )

    @property
    def total_steps(self) -> int:
        """Steps over all starts."""
        return self.steps * (1 + self.restarts)

    @property
    def linear_in_epsilon(self) -> bool:
        """Whether its perturbation is proportional to epsilon, so that ``refit`` is exact."""
        return self.total_steps == 1 and self.step_size is None

    def at(self, epsilon: float) -> "Attack":
        """The same attack with another budget."""
        return self.model_copy(update={"epsilon": epsilon})

    def start(
        self,
        model: Classifier,
        x: Tensor,
        y: Tensor,
        generator: torch.Generator | None = None,
        evaluation: Evaluation | None = None,
    ) -> State:
        """The state before the first step, with the model evaluated at the clean clouds.

        Parameters
        ----------
        model : any callable from clouds (B, N, 3) to (logits, latent); run in eval mode, its modes restored.
        x : Tensor (B, N, 3), clean clouds; never written to.
        y : Tensor (B,), true classes, or the wanted classes of a targeted attack.
        generator : source of the random restarts; without one they are the same at every call.
        evaluation : the model's evaluation of the clean clouds with gradient, if it is already known.
        """
        seed = torch.zeros(len(x), dtype=torch.long)
        if generator is not None:
            seed.random_(2**62, generator=generator)
        clean = x.detach()
        zero = torch.zeros_like(clean)
        evaluation = evaluation or evaluate(model, clean, y, gradient=True)
        return State(clean, y, self.epsilon, zero, evaluation, zero, evaluation, zero, seed)

    def step(self, model: Classifier, state: State) -> State:
        """One gradient step; the state given is left as it was. More steps than planned go on from the last iterate."""
        unit_delta, evaluation, velocity = state.unit_delta, state.evaluation, state.velocity
        if state.step and state.step % self.steps == 0 and state.step < self.total_steps:
            starts = [
                random_unit_delta(self.constraint, cloud.shape, int(seed) + state.step // self.steps, cloud)
                for cloud, seed in zip(state.clean, state.seed, strict=True)
            ]
            unit_delta, evaluation = torch.stack(starts), None
            velocity = torch.zeros_like(velocity)
        if evaluation is None or evaluation.gradient is None:
            evaluation = evaluate(model, state.clean + state.epsilon * unit_delta, state.label, gradient=True)
        assert evaluation.gradient is not None
        velocity = self.accumulate(velocity, evaluation.gradient)
        unit_delta = self.apply_step(unit_delta, velocity, state.epsilon)

        count = state.step + 1
        more = count < self.total_steps and count % self.steps != 0
        current = evaluate(model, state.clean + state.epsilon * unit_delta, state.label, gradient=more)
        best_unit_delta, best = unit_delta, current
        if state.step > 0 and state.best is not None:
            better = self._better(current, state.best, state.label)
            best_unit_delta = torch.where(better[:, None, None], unit_delta, state.best_unit_delta)
            best = Evaluation(
                torch.where(better[:, None], current.logits, state.best.logits),
                torch.where(better[:, None], current.latent, state.best.latent),
                torch.where(better, current.loss, state.best.loss),
            )
        return replace(
            state,
            unit_delta=unit_delta,
            evaluation=current,
            best_unit_delta=best_unit_delta,
            best=best,
            velocity=velocity,
            step=count,
        )

    def accumulate(self, velocity: Tensor, gradient: Tensor) -> Tensor:
        """Momentum: the velocity after adding a gradient, both (B, N, 3); without momentum, the gradient itself.

        Dong et al. 2018, equation 6; each gradient counts at an L1 norm of 3N, whose average is 1 a coordinate."""
        if self.momentum == 0:
            return gradient
        size = gradient.abs().mean(dim=(-2, -1), keepdim=True)
        return self.momentum * velocity + gradient / size.masked_fill(size == 0, 1)

    def apply_step(self, unit_delta: Tensor, gradient: Tensor, epsilon: float) -> Tensor:
        """The perturbation in units of epsilon after one step along the loss's gradient; all (B, N, 3)."""
        if self.step_size is not None and epsilon > _NO_BUDGET:
            share = self.step_size / epsilon
        else:
            share = 1.0 if self.steps == 1 else self.total_step / self.steps
        direction = DIRECTIONS[self.direction](self._sign * gradient)
        return PROJECTIONS[self.constraint](unit_delta + share * direction)

    def finish(
        self, model: Classifier, state: State, *, stop_on_success: bool = False, cancel: Cancel | None = None
    ) -> Iterator[tuple[Tensor, State]]:
        """Make all remaining steps; if cancelled, the clouds that are not finished are left out.

        Parameters
        ----------
        stop_on_success : end with each cloud once its best iterate fools the model. The success rate is that of the
            whole attack, for a best iterate that fools the model is kept; losses and confidences are of the first
            success.

        Yields
        ------
        Indices (M,) in the batch of clouds that ended together, and their last state; all clouds together
        without ``stop_on_success``.
        """
        index = torch.arange(len(state.label), device=state.label.device)
        while state.step < self.total_steps and len(index):
            if cancel and cancel.requested:
                return
            state = self.step(model, state)
            assert state.best is not None
            if stop_on_success and state.step < self.total_steps:
                ended = self.fooled(state.best.prediction, state.label)
                yield index[ended], state.of(ended)
                index, state = index[~ended], state.of(~ended)
        yield index, state

    def refit(self, state: State, epsilon: float) -> State:
        """The best perturbation rescaled to another budget, without evaluating a model; see ``linear_in_epsilon``."""
        return replace(state, epsilon=epsilon, unit_delta=state.best_unit_delta, evaluation=None, best=None)

    def run(
        self,
        model: Classifier,
        x: Tensor,
        y: Tensor,
        generator: torch.Generator | None = None,
        cancel: Cancel | None = None,
    ) -> Iterator[Event]:
        """All steps: yields ``Step`` with each state, and at last ``Done`` with the last one."""
        state = self.start(model, x, y, generator)
        yield Step(0, self.total_steps, state)
        while state.step < self.total_steps and not (cancel and cancel.requested):
            state = self.step(model, state)
            yield Step(state.step, self.total_steps, state)
        yield Done(state, complete=state.step >= self.total_steps)

    def fooled(self, prediction: Tensor, label: Tensor) -> Tensor:
        """(B,) bool: whether a prediction is what the attack wants."""
        return prediction == label if self.objective == "targeted" else prediction != label

    @property
    def _sign(self) -> int:
        return -1 if self.objective == "targeted" else 1

    def _better(self, current: Evaluation, best: Evaluation, label: Tensor) -> Tensor:
        fooled, before = self.fooled(current.prediction, label), self.fooled(best.prediction, label)
        return (fooled & ~before) | ((fooled == before) & (self._sign * current.loss > self._sign * best.loss))
