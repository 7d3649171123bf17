"""Accuracy over epsilon: the robustness curve, and the area under it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import trapezoid

from core.attacks import GradientAttack
from core.datasets import Split
from core.evaluation.accuracy import AccuracyReport, EvaluationOptions, chosen_clouds
from core.evaluation.auto import AnyAttack
from core.evaluation.judge import evaluate_accuracy
from core.evaluation.onestep import OneStepResult, one_step
from core.events import Cancel, Done, Event, forward
from core.models import Classifier
from core.models.port import value_range_of


@dataclass(frozen=True, eq=False)
class Sweep:
    """Which of n clouds are classified correctly at each of E budgets."""

    epsilons: NDArray[np.float64]
    """(E,), rising, in the unit of the attack's epsilon."""
    correct: NDArray[np.bool_]
    """(E, n)"""

    @property
    def accuracies(self) -> NDArray[np.float64]:
        """(E,), in 0..1."""
        return np.asarray(self.correct.mean(axis=1))

    @property
    def area(self) -> float:
        """Area under the curve divided by the range of budgets, which is the mean accuracy over that range, 0..1."""
        value = trapezoid(self.accuracies, self.epsilons)
        return float(value / (self.epsilons[-1] - self.epsilons[0]))

    def from_zero(self, clean: NDArray[np.bool_]) -> "Sweep":
        """The sweep with epsilon 0 in front, where ``clean`` (n,) says which clean clouds are classified correctly."""
        return Sweep(np.append(0.0, self.epsilons), np.vstack([clean, self.correct]))


def needs_one_gradient(attack: AnyAttack) -> bool:
    """Whether the adversarial clouds of all budgets follow from one gradient of the loss at each clean cloud."""
    return isinstance(attack, GradientAttack) and attack.linear_in_epsilon and attack.maximises_loss


def sweep(
    model: Classifier,
    split: Split,
    attack: AnyAttack,
    epsilons: Sequence[float],
    options: EvaluationOptions,
    cancel: Cancel | None = None,
) -> Iterator[Event]:
    """Attack every cloud at each budget; a one-step attack computes one gradient of each cloud for all budgets.

    Yields
    ------
    Progress, then Done with the ``Sweep``. If it was cancelled, that of the first budgets, or of the first clouds if
    it is a one-step attack; None if no budget was finished.

    Raises
    ------
    ValueError
        If there are fewer than two budgets, or they do not rise.
    """
    if len(epsilons) < 2 or any(low >= high for low, high in pairwise(epsilons)):
        raise ValueError(f"A sweep needs at least two rising budgets, and these are {list(epsilons)}.")
    if needs_one_gradient(attack) and value_range_of(model) is None:
        assert isinstance(attack, GradientAttack)
        cells = [("", epsilon) for epsilon in epsilons]
        moved = yield from forward(one_step(model, split, {"": attack}, cells, options, cancel))
        yield Done(sweep_from_results(moved.value), moved.complete)
        return
    # only whether a cloud fools the model is measured, so its attack can end there
    until_success = options.model_copy(update={"stop_on_success": True})
    n = len(chosen_clouds(split, options))
    reports: list[AccuracyReport] = []
    for index, epsilon in enumerate(epsilons):
        evaluated = yield from forward(
            evaluate_accuracy(model, split, attack.at(epsilon), until_success, cancel),
            before=index * n,
            weight=n,
            total=len(epsilons) * n,
            text=f"epsilon {epsilon:g}",
        )
        if not evaluated.complete:
            break
        reports.append(evaluated.value)
    correct = [report.sides[1].correct for report in reports]
    finished = Sweep(np.array(epsilons[: len(correct)]), np.array(correct)) if correct else None
    yield Done(finished, complete=len(reports) == len(epsilons))


def sweep_from_results(results: Sequence[OneStepResult]) -> Sweep:
    """The results of one attack at several budgets, in rising order, as a sweep."""
    return Sweep(np.array([result.epsilon for result in results]), np.array([result.correct for result in results]))
