"""What attacks that look for the nearest adversarial cloud share: the nearest so far, and epsilon as a limit to it."""

from abc import abstractmethod
from dataclasses import replace

import torch
from torch import Tensor

from core.attacks.attack import Attack
from core.attacks.constraint import inside_range
from core.attacks.evaluation import Evaluation, ObjectiveFunction, evaluate
from core.attacks.objective import OBJECTIVES, ObjectiveContext
from core.attacks.samples import for_each
from core.attacks.state import Proposal, State, Stop
from core.models import Classifier, Output

_NO_BUDGET = 1e-9  # unit-sphere radii; dividing a perturbation by less would overflow


class MinimalAttack(Attack):
    """Looks for the smallest perturbation that fools the model, wherever that leads.

    Epsilon takes no part in the search: it is the largest perturbation that counts. Where the nearest adversarial cloud
    is inside the budget it is the result; where it is farther, the result is its perturbation shortened to the budget,
    which as a rule does not fool. So along the slider (``refit``) a perturbation grows with epsilon up to the distance
    of the nearest adversarial cloud and stays as it is from there on, as a new attack with that epsilon would have it.
    With the constraint "none" nothing is shortened, and epsilon changes nothing unless it is 0.

    Slots of every such attack: ``point``, the perturbation (B, N, 3) that was tried last, in unit-sphere radii;
    ``adversarial`` (B,), whether it fools the model; ``nearest``, the smallest that did; ``distance`` (B,), the size of
    that, infinite where none was found. A clean cloud that is misclassified has the distance 0 and is left as it is.
    """

    def unused(self) -> frozenset[str]:
        return frozenset({"random_start", "keep"})

    @abstractmethod
    def size(self, delta: Tensor) -> Tensor:
        """(B,), the norm of perturbations (B, N, 3) that the search makes small."""

    @abstractmethod
    def search(self, model: Classifier, state: State) -> Proposal:
        """One step of the search, which ends in ``try_perturbation``."""

    def is_adversarial(self, evaluation: Evaluation, state: State) -> Tensor:
        """(B,) bool: which clouds are adversarial."""
        return self.fooled(evaluation.prediction, state.label)

    def finished(self, state: State) -> Tensor:
        """(B,) bool: where more steps could not find a nearer cloud."""
        return state.slots["distance"] == 0

    # --- as a kind of attack ---

    def margin(self, output: Output, state: State) -> Tensor:
        """(B,), by how much the model is fooled: positive where it is."""
        return OBJECTIVES["margin"].value(
            output, ObjectiveContext(state.label, self.goal == "targeted", state.at_clean)
        )

    def maximised(self, model: Classifier, state: State) -> ObjectiveFunction:
        return lambda output, _: self.margin(output, state)

    def starts_at_random(self, start: int) -> bool:
        return False

    def first_slots(self, state: State) -> dict[str, Tensor]:
        assert state.at_clean is not None
        zero, adversarial = torch.zeros_like(state.clean), self.is_adversarial(state.at_clean, state)
        distance = zero.new_zeros(len(zero)).masked_fill(~adversarial, torch.inf)
        return {"point": zero, "adversarial": adversarial, "nearest": zero, "distance": distance}

    @property
    def gradients_a_step(self) -> int:
        return 1

    def propose(self, model: Classifier, state: State) -> Proposal:
        if (state.stop > Stop.STEPS).all():
            return Proposal(state.best_unit_delta, dict(state.slots), evaluation=self._judged(model, state))
        return self.search(model, state)

    def try_perturbation(
        self,
        model: Classifier,
        state: State,
        point: Tensor,
        slots: dict[str, Tensor],
        *,
        gradient: bool = False,
        forwards: int = 0,
        backwards: int = 0,
    ) -> Proposal:
        """The best result so far, after evaluating the model at one more point of the search.

        What is judged is what would be stored, to the last bit: in units of epsilon, where the point is in the budget.

        Parameters
        ----------
        point : Tensor (B, N, 3), a perturbation in unit-sphere radii.
        slots : of the kind's own.
        gradient : leave the objective and its gradient there in the slots ``value`` and ``gradient``.
        forwards, backwards : passes that were made before.
        """
        value = self.maximised(model, state)
        if state.value_range is not None:
            point = inside_range(state.clean, point, state.value_range)
        unit, inside = self._in_units(point, state)
        fits = (inside == unit).flatten(1).all(1)
        cloud = state.moved_by(torch.where(for_each(fits, point), state.epsilon * inside, point))
        found = evaluate(model, cloud, state.label, gradient=gradient, objective=value)
        adversarial, size = self.is_adversarial(found, state), self.size(point)
        nearer = adversarial & (size < state.slots["distance"])
        slots = {**state.slots, **slots, "point": point, "adversarial": adversarial}
        slots["nearest"] = torch.where(for_each(nearer, point), point, slots["nearest"])
        slots["distance"] = torch.where(nearer, size, slots["distance"])
        if gradient:
            assert found.gradient is not None
            slots |= {"value": found.objective, "gradient": found.gradient}
        judged, shortened, passes = found.without_gradient(), nearer & ~fits, torch.zeros_like(state.label) + forwards
        if shortened.any():
            place = state.of(shortened)
            cloud = place.moved(inside[shortened])
            asked = evaluate(model, cloud, place.label, gradient=False, objective=self.maximised(model, place))
            judged = asked.of((shortened.cumsum(0) - 1).clamp_min(0)).where(shortened, judged)
        before = self._judged(model, state)
        better = nearer & (self.fooled(judged.prediction, state.label) | ~self.fooled(before.prediction, state.label))
        return Proposal(
            torch.where(for_each(better, inside), inside, state.best_unit_delta),
            slots,
            passes + 1 + shortened + (state.best is None),
            backwards + gradient,
            judged.where(better, before),
        )

    def better(self, state: State, unit_delta: Tensor, current: Evaluation) -> Tensor:
        return torch.ones_like(state.stop, dtype=torch.bool)  # ``try_perturbation`` has chosen

    def refit(self, state: State, epsilon: float) -> State:
        """The nearest adversarial cloud that was found, shortened to another budget; the model is not evaluated."""
        state = super().refit(state, epsilon)
        unit_delta = self._in_units(state.slots["nearest"], state)[1]
        return replace(state, unit_delta=unit_delta, best_unit_delta=unit_delta)

    def _in_units(self, delta: Tensor, state: State) -> tuple[Tensor, Tensor]:
        """A perturbation (B, N, 3) in units of epsilon, and the closest one inside the budget."""
        unit_delta = delta / max(state.epsilon, _NO_BUDGET)
        return unit_delta, self.bounded(unit_delta, state)

    def _judged(self, model: Classifier, state: State) -> Evaluation:
        """The evaluation of the best result so far; the model is evaluated again only after ``refit``."""
        if state.best is not None:
            return state.best
        return evaluate(model, state.adversarial, state.label, gradient=False, objective=self.maximised(model, state))

    def _ended(self, before: State, after: State) -> State:
        after = super()._ended(before, after)
        return replace(
            after, stop=torch.where((after.stop <= Stop.STEPS) & self.finished(after), Stop.FOUND, after.stop)
        )
