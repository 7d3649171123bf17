"""An attack is a frozen value; its state is a frozen value; three functions lead from one state to the next.

All moves are kept in units of epsilon (``move``), so the adversarial cloud is ``clean + epsilon * move``: the same
perturbation inside another budget is another epsilon, which is what the slider does sixty times a second.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from core.attacks.constraint import PROJECTIONS, Constraint, random_move
from core.attacks.direction import DIRECTIONS, Direction
from core.attacks.gradient import Evaluation, evaluate
from core.events import Cancel, Done, Event, Step
from core.models.base import Classifier
from core.options import Options, option

_NO_BUDGET = 1e-9  # unit-sphere radii; a step divided by less would no longer be a finite number


@dataclass(frozen=True, eq=False)
class State:
    """Where an attack on a batch stands. History, undo and scrubbing are lists of these."""

    clean: Tensor
    """(B, N, 3), the cloud the budget is about, always."""
    label: Tensor
    """(B,), the true class, or the wanted one of a targeted attack."""
    epsilon: float
    """Budget in unit-sphere radii."""
    move: Tensor
    """(B, N, 3), the current iterate's perturbation in units of epsilon."""
    evaluation: Evaluation | None
    """The attacked model at the current iterate; None after ``refit``, which asks no model."""
    best_move: Tensor
    """(B, N, 3), the best iterate after the first step: fooled before not fooled, then the larger objective."""
    best: Evaluation | None
    """The attacked model at the best iterate."""
    velocity: Tensor
    """(B, N, 3), the running sum of gradients that momentum keeps; the gradient itself without momentum."""
    seed: Tensor
    """(B,), each cloud's source of random starts, so that they do not depend on the clouds beside it."""
    step: int = 0
    """Moves made, over all restarts."""

    @property
    def current(self) -> Tensor:
        """(B, N, 3), the current iterate."""
        return self.clean + self.epsilon * self.move

    @property
    def adversarial(self) -> Tensor:
        """(B, N, 3), the result: the best iterate."""
        return self.clean + self.epsilon * self.best_move

    def of(self, rows: Tensor) -> "State":
        """The same state of some of the clouds: an index (M,) or a mask (B,)."""
        return replace(
            self,
            clean=self.clean[rows],
            label=self.label[rows],
            move=self.move[rows],
            evaluation=self.evaluation and self.evaluation.of(rows),
            best_move=self.best_move[rows],
            best=self.best and self.best.of(rows),
            velocity=self.velocity[rows],
            seed=self.seed[rows.to(self.seed.device)],
        )


class Attack(Options):
    """A gradient attack, composed of direction, budget, steps and restarts."""

    epsilon: float = option(0.1, "Budget of the perturbation.", unit="r", low=0.0, high=2.0)
    direction: Direction = option("sign", "How a gradient becomes a move (the readings of FGSM).")
    constraint: Constraint = option("linf", "What epsilon bounds.", advanced=True)
    steps: int = option(1, "Gradient steps from each start.", low=1, high=10_000)
    step_size: float | None = option(
        None, "Length of one step; empty is travel / steps, and epsilon for a single step.", unit="r", low=0.0
    )
    travel: float = option(
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
    def scales(self) -> bool:
        """Whether it makes the same move, in units of epsilon, at every budget, so that ``refit`` is exact."""
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
        """The state before the first step: the clean clouds, evaluated.

        Parameters
        ----------
        model : any callable from clouds (B, N, 3) to (logits, latent); run in eval mode, its modes restored.
        x : Tensor (B, N, 3), clean clouds; never written to.
        y : Tensor (B,), true classes, or the wanted classes of a targeted attack.
        generator : source of the random restarts; without one they are the same at every call.
        evaluation : the model at the clean clouds, with the gradient, where it is known.
        """
        none = torch.zeros(len(x), dtype=torch.long)
        seed = none.random_(2**62, generator=generator) if generator is not None else none
        clean = x.detach()
        still = torch.zeros_like(clean)
        evaluation = evaluation or evaluate(model, clean, y, gradient=True)
        return State(clean, y, self.epsilon, still, evaluation, still, evaluation, still, seed)

    def step(self, model: Classifier, state: State) -> State:
        """One gradient step; the state given is left as it was. More steps than planned go on from the last iterate."""
        move, evaluation, velocity = state.move, state.evaluation, state.velocity
        if state.step and state.step % self.steps == 0 and state.step < self.total_steps:
            starts = [
                random_move(self.constraint, cloud.shape, int(seed) + state.step // self.steps, cloud)
                for cloud, seed in zip(state.clean, state.seed, strict=True)
            ]
            move, evaluation = torch.stack(starts), None
            velocity = torch.zeros_like(velocity)
        if evaluation is None or evaluation.gradient is None:
            evaluation = evaluate(model, state.clean + state.epsilon * move, state.label, gradient=True)
        assert evaluation.gradient is not None
        velocity = self.accelerated(velocity, evaluation.gradient)
        move = self.moved(move, velocity, state.epsilon)

        count = state.step + 1
        more = count < self.total_steps and count % self.steps != 0
        now = evaluate(model, state.clean + state.epsilon * move, state.label, gradient=more)
        best_move, best = move, now
        if state.step > 0 and state.best is not None:
            better = self._better(now, state.best, state.label)
            best_move = torch.where(better[:, None, None], move, state.best_move)
            best = Evaluation(
                torch.where(better[:, None], now.logits, state.best.logits),
                torch.where(better[:, None], now.latent, state.best.latent),
                torch.where(better, now.loss, state.best.loss),
            )
        return replace(state, move=move, evaluation=now, best_move=best_move, best=best, velocity=velocity, step=count)

    def accelerated(self, velocity: Tensor, gradient: Tensor) -> Tensor:
        """The velocity after a gradient, both (B, N, 3); the gradient itself without momentum.

        Dong et al. 2018, equation 6; each gradient counts at an L1 norm of 3N, whose average is 1 a coordinate."""
        if self.momentum == 0:
            return gradient
        size = gradient.abs().mean(dim=(-2, -1), keepdim=True)
        return self.momentum * velocity + gradient / size.masked_fill(size == 0, 1)

    def moved(self, move: Tensor, gradient: Tensor, epsilon: float) -> Tensor:
        """The perturbation after one step along the loss's gradient; both (B, N, 3), moves in units of epsilon."""
        if self.step_size is not None and epsilon > _NO_BUDGET:
            share = self.step_size / epsilon
        else:
            share = 1.0 if self.steps == 1 else self.travel / self.steps
        direction = DIRECTIONS[self.direction](self._sign * gradient)
        return PROJECTIONS[self.constraint](move + share * direction)

    def finish(
        self, model: Classifier, state: State, *, until_fooled: bool = False, cancel: Cancel | None = None
    ) -> Iterator[tuple[Tensor, State]]:
        """Make all steps that are left; where it is cancelled, no more, and the clouds that are under way are left out.

        Parameters
        ----------
        until_fooled : end with each cloud once its best iterate fools the model. The clouds that are fooled at last are
            the same, for no later iterate takes that back; how strongly they are fooled is not. A random restart draws
            another point.

        Yields
        ------
        The last state of the clouds that ended together, and their places (M,) in the batch; of all clouds at once
        without ``until_fooled``.
        """
        place = torch.arange(len(state.label), device=state.label.device)
        while state.step < self.total_steps and len(place):
            if cancel and cancel.requested:
                return
            state = self.step(model, state)
            assert state.best is not None
            if until_fooled and state.step < self.total_steps:
                ended = self.fooled(state.best.prediction, state.label)
                yield place[ended], state.of(ended)
                place, state = place[~ended], state.of(~ended)
        yield place, state

    def refit(self, state: State, epsilon: float) -> State:
        """The best perturbation so far, rescaled into another budget; asks no model. See ``scales``."""
        return replace(state, epsilon=epsilon, move=state.best_move, evaluation=None, best=None)

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

    def _better(self, now: Evaluation, best: Evaluation, label: Tensor) -> Tensor:
        fooled, before = self.fooled(now.prediction, label), self.fooled(best.prediction, label)
        return (fooled & ~before) | ((fooled == before) & (self._sign * now.loss > self._sign * best.loss))
