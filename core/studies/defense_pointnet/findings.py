"""All measurements of a reproduction, by model, and the results computed from them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from core.attacks import Attack, GradientAttack
from core.datasets import Dataset
from core.evaluation.accuracy import EvaluationOptions
from core.evaluation.bootstrap import Estimate, bootstrap
from core.studies.defense_pointnet.measure import Measured, MeasuredMap
from core.studies.defense_pointnet.options import ReproduceOptions


@dataclass(frozen=True, eq=False)
class Findings:
    """The measurements of all models, and what they were made with."""

    dataset: Dataset
    options: ReproduceOptions
    attack: GradientAttack
    """The paper's attack, at the epsilon of the trainings."""
    pgd: Attack
    evaluation: EvaluationOptions
    measured: list[Measured]
    maps: Mapping[str, MeasuredMap]

    @cached_property
    def groups(self) -> dict[str, list[Measured]]:
        """The measurements of each model, one for each seed, by its label."""
        found: dict[str, list[Measured]] = {}
        for each in self.measured:
            found.setdefault(each.entry.label, []).append(each)
        return found

    @property
    def first(self) -> dict[str, Measured]:
        """The measurements of each model's training with the lowest seed, which the figures show."""
        return {label: group[0] for label, group in self.groups.items()}

    @property
    def shown(self) -> int:
        """Number of clouds in a t-SNE map and in the measurement of class separation."""
        return min(self.options.map_clouds, len(self.measured[0].fgsm.row))

    def clean(self, label: str) -> Estimate:
        return self._estimate(label, lambda each: each.fgsm.clean.correct)

    def adversarial(self, label: str) -> Estimate:
        return self._estimate(label, lambda each: each.fgsm.sides[1].correct)

    def strong(self, label: str) -> Estimate:
        return self._estimate(label, lambda each: each.pgd.sides[1].correct)

    def transfer(self, label: str) -> Estimate | None:
        """Accuracy on the adversarial clouds of simple training; None for the simple model itself."""
        reports = [each.transfer for each in self.groups[label] if each.transfer is not None]
        if len(reports) < len(self.groups[label]):
            return None
        return bootstrap([report.sides[1].correct for report in reports])

    def gain(self, better: str, than: str) -> Estimate | None:
        """Difference of two models' adversarial accuracies, paired by cloud and seed; None if one was not measured."""
        if not {better, than} <= self.groups.keys():
            return None
        first, second = ({each.entry.options.seed: each for each in self.groups[label]} for label in (better, than))
        seeds = sorted(first.keys() & second.keys())
        if not seeds:
            return None
        pairs = [[each[seed].fgsm.sides[1].correct.astype(float) for each in (first, second)] for seed in seeds]
        return bootstrap([one - two for one, two in pairs])

    @property
    def red_flags(self) -> dict[str, Estimate]:
        """The models that are right more often on adversarial clouds than on clean ones, and by how much."""
        gaps = {
            label: bootstrap(
                [np.subtract(*(side.correct.astype(float) for side in each.fgsm.sides[::-1])) for each in group]
            )
            for label, group in self.groups.items()
        }
        return {label: gap for label, gap in gaps.items() if gap.value > 0}

    def _estimate(self, label: str, outcomes: Callable[[Measured], NDArray[np.bool_]]) -> Estimate:
        return bootstrap([outcomes(each) for each in self.groups[label]])
