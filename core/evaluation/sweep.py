"""Accuracy over the budget: the robustness curve and the area under it."""

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


@dataclass(frozen=True, eq=False)
class Sweep:
    """Which of n clouds are classified correctly at each of several budgets."""

    epsilons: NDArray[np.float64]
    """(E,), rising, in unit-sphere radii."""
    correct: NDArray[np.bool_]
    """(E, n)"""

    @property
    def shares(self) -> NDArray[np.float64]:
        """(E,), the accuracies as shares in 0..1."""
        return np.asarray(self.correct.mean(axis=1))

    @property
    def area(self) -> float:
        """Mean accuracy over the range of budgets, 0..1: the area under the curve, the range being 1."""
        value = trapezoid(self.shares, self.epsilons)
        return float(value / (self.epsilons[-1] - self.epsilons[0]))

    def from_zero(self, clean: NDArray[np.bool_]) -> "Sweep":
        """The same with the budget 0 in front: no perturbation, so the verdicts (n,) are those on the clean clouds."""
        return Sweep(np.append(0.0, self.epsilons), np.vstack([clean, self.correct]))


def needs_one_gradient(attack: AnyAttack) -> bool:
    """Whether one gradient of the loss at each clean cloud serves all budgets."""
    return isinstance(attack, GradientAttack) and attack.linear_in_epsilon and attack.maximises_loss


def sweep(
    model: Classifier,
    split: Split,
    attack: AnyAttack,
    epsilons: Sequence[float],
    options: EvaluationOptions,
    cancel: Cancel | None = None,
) -> Iterator[Event]:
    """Attack every cloud anew at each budget; a one-step attack asks for one gradient only.

    Yields
    ------
    Progress, then Done with the ``Sweep`` of the budgets (of a one-step attack: the clouds) that were reached; None if
    none was.

    Raises
    ------
    ValueError
        If there are fewer than two budgets, or they do not rise.
    """
    if len(epsilons) < 2 or any(low >= high for low, high in pairwise(epsilons)):
        raise ValueError(f"A sweep needs at least two rising budgets, and these are {list(epsilons)}.")
    if needs_one_gradient(attack):
        assert isinstance(attack, GradientAttack)
        cells = [("", epsilon) for epsilon in epsilons]
        found = yield from forward(one_step(model, split, {"": attack}, cells, options, cancel))
        yield Done(swept(found.value), found.complete)
        return
    until_success = options.model_copy(update={"stop_on_success": True})  # whether a cloud fools is all that is asked
    n = len(chosen_clouds(split, options))
    reached: list[AccuracyReport] = []
    for index, epsilon in enumerate(epsilons):
        found = yield from forward(
            evaluate_accuracy(model, split, attack.at(epsilon), until_success, cancel),
            before=index * n,
            weight=n,
            total=len(epsilons) * n,
            text=f"epsilon {epsilon:g}",
        )
        if not found.complete:
            break
        reached.append(found.value)
    correct = [report.sides[1].correct for report in reached]
    whole = len(reached) == len(epsilons)
    yield Done(Sweep(np.array(epsilons[: len(correct)]), np.array(correct)) if correct else None, whole)


def swept(cells: Sequence[OneStepResult]) -> Sweep:
    """The sweep that the cells of one attack are, in rising order of their budgets."""
    return Sweep(np.array([cell.epsilon for cell in cells]), np.array([cell.correct for cell in cells]))
