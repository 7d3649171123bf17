"""The base of all attacks, and the one loop: ``start``, ``step`` and ``refit`` lead from one frozen state to the next.

A perturbation is kept in units of epsilon (``unit_delta``, delta / epsilon), so the adversarial cloud is
``clean + epsilon * unit_delta``: rescaling to another budget changes epsilon alone, as the slider does sixty times a
second. The kinds of attack differ in how they find the next iterate (``propose``).

Clouds (B, N, 3) are what most attacks are for, and what docstrings here and in the rest of this package say. Those
without a part that clouds alone have (``part_for_clouds``) take samples (B, ...) of any shape, such as images
(B, C, H, W), whose values stay in the range that the model names (``core.models.port.give_value_range``).
"""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from core.attacks.constraint import (
    NO_BUDGET,
    PROJECTIONS,
    RMSE_TOLERANCE,
    TANGENT,
    cut_at_rmse,
    inside_range,
    inside_unit_ball,
    random_unit_deltas,
    rmse,
)
from core.attacks.evaluation import Evaluation, ObjectiveFunction, evaluate
from core.attacks.geometric.neighbours import normals, tangential
from core.attacks.objective import ObjectiveContext
from core.attacks.options import AttackOptions
from core.attacks.samples import for_each
from core.attacks.state import Ended, Proposal, State, Stop
from core.events import Cancel, Done, Event, Step
from core.models import Classifier
from core.models.port import class_latents_of, value_range_of


class Attack(AttackOptions):
    """The options and the loop of all attacks."""

    # --- what the kinds of attack differ in ---

    @abstractmethod
    def propose(self, model: Classifier, state: State) -> Proposal:
        """The next iterate, from a state whose ``slots`` are those of the present start."""

    def first_slots(self, state: State) -> dict[str, Tensor]:
        """Slots before the first step of a start."""
        return {}

    def geometry(self, clean: Tensor) -> dict[str, Tensor]:
        """Geometry of clean clouds (B, N, 3) that the attack uses, for ``State.geometry``."""
        return {"normals": normals(clean)} if self.constraint in TANGENT else {}

    def first_perturbation(self, clean: Tensor) -> Tensor:
        """The perturbation (B, N, 3) of clean clouds before the first step: zero."""
        return torch.zeros_like(clean)

    def allowed(self, moves: Tensor, state: State) -> Tensor:
        """The part of moves or gradients (B, N, 3) along which points may move at all: a linear map."""
        return tangential(moves, state.geometry["normals"]) if self.constraint in TANGENT else moves

    def random_move(self, state: State, start: int) -> Tensor:
        """A random perturbation (B, N, 3), in units of epsilon, at which a start begins."""
        return self.bounded(random_unit_deltas(self.constraint, state.clean, state.seed + start), state)

    def maximised(self, model: Classifier, state: State) -> ObjectiveFunction | None:
        """The objective that is maximised; None stands for the cross-entropy to the label."""
        return None

    def needs_gradient(self, state: State) -> bool:
        """Whether the next ``propose`` uses the gradient at the iterate, which then is computed beforehand."""
        return False

    def starts_at_random(self, start: int) -> bool:
        """Whether the loop puts a start, counted from 0, at a random point of the budget."""
        return start > 0 or self.random_start

    def uses_seed(self, classes: int) -> bool:
        """Whether its result for a model of so many classes depends on the seed, beside what a model draws itself."""
        return any(self.starts_at_random(start) for start in range(1 + self.restarts))

    def accepts(self, proposed: Evaluation, state: State) -> Tensor | None:
        """(B,) bool: for which clouds the proposal becomes the iterate, the others keep theirs; None stands for all."""
        return None

    # --- the loop ---

    def start(
        self,
        model: Classifier,
        x: Tensor,
        y: Tensor,
        generator: torch.Generator | None = None,
        at_clean: Evaluation | None = None,
    ) -> State:
        """The state before the first step, with the model evaluated at the clean clouds.

        Parameters
        ----------
        model : any callable from clouds (B, N, 3) to (logits, latent); run in eval mode, its modes restored.
        x : Tensor (B, N, 3), clean clouds; never written to.
        y : Tensor (B,), true classes, or the wanted classes of a targeted attack.
        generator : source of the random numbers; without one they are the same at every call.
        at_clean : the model's evaluation of the clean clouds with the gradient of the cross-entropy, if it exists.
        """
        seed = torch.zeros(len(x), dtype=torch.long)
        if generator is not None:
            seed.random_(2**62, generator=generator)
        clean, value_range = x.detach(), value_range_of(model)
        self.check_samples(clean, value_range)
        zero, none = self.first_perturbation(clean), torch.zeros_like(y)
        state = State(clean, y, self.epsilon, zero, at_clean, zero, at_clean, at_clean, seed, none, none, none, none)
        state = replace(state, class_latents=class_latents_of(model), value_range=value_range)
        state = replace(state, geometry=self.geometry(clean))
        gradient, value = self.needs_gradient(state), self.maximised(model, state)
        if at_clean is None or value is not None:
            known = evaluate(model, clean, y, gradient=gradient, objective=value)
            state = replace(state, evaluation=known, best=known, at_clean=known)
        return replace(state, forwards=none + 1, backwards=none + gradient, slots=self.first_slots(state))

    def start_of(self, step: int) -> int:
        """Which start a step belongs to, from 0; steps beyond the plan belong to the last."""
        return min(step // self.steps, self.restarts)

    def step_of_start(self, step: int) -> int:
        """Steps made from the present start, 0 before its first."""
        return step - self.steps * self.start_of(step)

    def step(self, model: Classifier, state: State) -> State:
        """One step; the state given is left as it was. More steps than planned go on from the last iterate."""
        state = self._with_start_begun(model, state)
        proposal = self.propose(model, state)
        unit_delta, evaluated = proposal.unit_delta, proposal.evaluation
        if self.stop_rmse is not None:
            cut = cut_at_rmse(state.unit_delta, unit_delta, self.stop_rmse)
            unit_delta, evaluated = cut, evaluated if torch.equal(cut, unit_delta) else None
        after = replace(state, step=state.step + 1, slots=proposal.slots)
        more = after.step < self.total_steps and self.step_of_start(after.step) > 0
        gradient = more and self.needs_gradient(after)
        current = evaluated or evaluate(
            model,
            state.moved(unit_delta),
            state.label,
            gradient=gradient,
            objective=self.maximised(model, state),
        )
        best_unit_delta, best = self._best(state, unit_delta, current)
        accepted = self.accepts(current, state)
        if accepted is not None and state.evaluation is not None:
            unit_delta = torch.where(for_each(accepted, unit_delta), unit_delta, state.unit_delta)
            current = current.where(accepted, state.evaluation)
        after = replace(
            after,
            unit_delta=unit_delta,
            evaluation=current,
            best_unit_delta=best_unit_delta,
            best=best,
            forwards=state.forwards + (evaluated is None) + proposal.forwards,
            backwards=state.backwards + gradient + proposal.backwards,
            iterations=state.iterations + 1,
        )
        return self._ended(state, after)

    def _with_start_begun(self, model: Classifier, state: State) -> State:
        """The state at the random point where a start begins, if one begins with the next step; else as it is."""
        start, first = self.start_of(state.step), self.step_of_start(state.step) == 0
        if not first or not self.starts_at_random(start):
            return state
        state = replace(state, unit_delta=self.random_move(state, start), slots=self.first_slots(state))
        gradient = self.needs_gradient(state)
        evaluation = evaluate(
            model, state.current, state.label, gradient=gradient, objective=self.maximised(model, state)
        )
        return replace(
            state,
            evaluation=evaluation,
            forwards=state.forwards + 1,
            backwards=state.backwards + gradient,
        )

    def bounded(self, unit_delta: Tensor, state: State) -> Tensor:
        """The closest perturbation (B, N, 3), in units of epsilon, that is inside the budget."""
        unit_delta = PROJECTIONS[self.constraint](self.allowed(unit_delta, state))
        if self.unit_ball and state.epsilon > 0:
            unit_delta = inside_unit_ball(state.clean, state.epsilon * unit_delta) / state.epsilon
        if state.value_range is not None and state.epsilon > NO_BUDGET:
            unit_delta = inside_range(state.clean, state.epsilon * unit_delta, state.value_range) / state.epsilon
        return unit_delta

    def objective_context(self, state: State) -> ObjectiveContext:
        """What objectives depend on beside the model's output."""
        start = self.start_of(state.step)
        return ObjectiveContext(state.label, self.goal == "targeted", state.at_clean, start, state.class_latents)

    def at_iterate(self, model: Classifier, state: State) -> tuple[Evaluation, int]:
        """The model at the iterate, with the gradient of what is maximised, and the passes that this took."""
        known = state.evaluation
        if known is not None and known.gradient is not None:
            return known, 0
        value = self.maximised(model, state)
        return evaluate(model, state.current, state.label, gradient=True, objective=value), 1

    def _best(self, state: State, unit_delta: Tensor, current: Evaluation) -> tuple[Tensor, Evaluation]:
        current = current.without_gradient()
        if state.step == 0 or state.best is None or self.keep == "last":
            return unit_delta, current
        better = self.better(state, unit_delta, current)
        best_unit_delta = torch.where(for_each(better, unit_delta), unit_delta, state.best_unit_delta)
        return best_unit_delta, current.where(better, state.best)

    def better(self, state: State, unit_delta: Tensor, current: Evaluation) -> Tensor:
        """(B,) bool: whether a new iterate is a better result than the best one so far."""
        assert state.best is not None
        fooled = self.fooled(current.prediction, state.label)
        before = self.fooled(state.best.prediction, state.label)
        larger = self.merit(state, unit_delta, current) > self.merit(state, state.best_unit_delta, state.best)
        return (fooled & ~before) | ((fooled == before) & larger)

    def merit(self, state: State, unit_delta: Tensor, evaluation: Evaluation) -> Tensor:
        """(B,): of two iterates that both fool the model, or both do not, that with the larger merit is kept."""
        return evaluation.objective

    def _ended(self, before: State, after: State) -> State:
        """``after`` with the reasons why clouds ended in this step; those that had ended before stay as they were."""
        if (before.stop > Stop.STEPS).any():
            after = after.where(before.stop <= Stop.STEPS, before)
        stop, current = after.stop, after.evaluation
        assert current is not None
        running = stop <= Stop.STEPS
        if self.stop_loss is not None:
            stop = torch.where(running & (current.loss >= self.stop_loss), Stop.LOSS, stop)
        if self.stop_rmse is not None:
            reached = rmse(after.unit_delta) >= (1 - RMSE_TOLERANCE) * self.stop_rmse
            stop = torch.where(running & reached, Stop.RMSE, stop)
        if self.patience is not None:
            improved = (after.best_unit_delta != before.best_unit_delta).flatten(1).any(1)
            idle = torch.where(improved, 0, before.slots.get("idle", torch.zeros_like(stop)) + 1)
            after = replace(after, slots={**after.slots, "idle": idle})
            stop = torch.where(running & (idle >= self.patience), Stop.PATIENCE, stop)
        if after.step >= self.total_steps:
            stop = stop.clamp_min(Stop.STEPS)
        return replace(after, stop=stop)

    def finish(
        self, model: Classifier, state: State, *, stop_on_success: bool = False, cancel: Cancel | None = None
    ) -> Iterator[Ended]:
        """Make all remaining steps; if cancelled, the clouds that are not finished are left out.

        Parameters
        ----------
        stop_on_success : end with each cloud once its best iterate fools the model. The success rate is that of the
            whole attack, for a best iterate that fools the model is kept; losses and confidences are of the first
            success.
        """
        index = torch.arange(len(state.label), device=state.label.device)
        losses, sizes = [state.loss], [state.rmse]
        while state.step < self.total_steps and len(index):
            if cancel and cancel.requested:
                return
            state = self.step(model, state)
            losses.append(state.loss)
            sizes.append(state.rmse)
            if stop_on_success and state.step < self.total_steps:
                assert state.best is not None
                success = self.fooled(state.best.prediction, state.label) & (state.stop == Stop.RUNNING)
                state = replace(state, stop=torch.where(success, Stop.SUCCESS, state.stop))
            ended = state.stop != Stop.RUNNING
            if ended.any() and state.step < self.total_steps:
                yield Ended(index[ended], state.of(ended), torch.stack(losses, 1)[ended], torch.stack(sizes, 1)[ended])
                index, state = index[~ended], state.of(~ended)
                losses, sizes = [part[~ended] for part in losses], [part[~ended] for part in sizes]
        if len(index):
            yield Ended(index, state, torch.stack(losses, 1), torch.stack(sizes, 1))

    def refit(self, state: State, epsilon: float) -> State:
        """The best perturbation rescaled to another budget, without evaluating a model; see ``linear_in_epsilon``.

        Clouds that had ended may go on, for there the reason may not hold.
        """
        stop = state.stop.clamp_max(Stop.STEPS)
        return replace(state, epsilon=epsilon, unit_delta=state.best_unit_delta, evaluation=None, best=None, stop=stop)

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
        while not (self.over(state) or (cancel and cancel.requested)):
            state = self.step(model, state)
            yield Step(state.step, self.total_steps, state)
        yield Done(state, complete=self.over(state))

    def over(self, state: State) -> bool:
        """Whether all steps are made, or a rule has stopped the attack on every cloud."""
        return state.step >= self.total_steps or state.ended

    def fooled(self, prediction: Tensor, label: Tensor) -> Tensor:
        """(B,) bool: whether a prediction is the goal: the wanted class if targeted, else any but the true one."""
        return prediction == label if self.goal == "targeted" else prediction != label
