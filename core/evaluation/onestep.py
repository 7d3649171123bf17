"""One step away from every test cloud: the five variants of FGSM, beside noise of the same size.

The direction of a one-step attack does not depend on epsilon, so one gradient of each cloud serves all budgets.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.attacks import DIRECTIONS, GradientAttack, evaluate, fgsm
from core.clouds import linf, rmse
from core.datasets import Split
from core.evaluation.accuracy import CleanCache, EvaluationOptions, Rate, chosen_clouds
from core.events import Cancel, Done, Event, Progress
from core.models import Classifier
from core.models.predict import device_of, predict

NOISES: Mapping[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "random sign": lambda clouds, source: torch.randint(0, 2, clouds.shape, generator=source).to(clouds) * 2 - 1,
    "Gaussian": lambda clouds, source: torch.randn(clouds.shape, generator=source).to(clouds),
}
"""Clouds (B, N, 3) -> moves of the size of epsilon = 1 that know nothing of the model. random sign: the L-infinity
distance of sign; Gaussian: an RMSE of 1."""

FGSM: Mapping[str, GradientAttack] = {direction: fgsm(direction) for direction in DIRECTIONS}
"""Every reading of the first paper's ``x + epsilon * gradient``."""

Cell = tuple[str, float]
"""The name of an attack or a noise, and a budget."""


@dataclass(frozen=True, eq=False)
class OneStepResult:
    """A model's verdicts on n clouds that one step has moved."""

    direction: str
    """A reading of FGSM, or a noise."""
    epsilon: float
    correct: NDArray[np.bool_]
    """(n,)"""
    linf: NDArray[np.float64]
    """(n,), realised L-infinity distance in unit-sphere radii."""
    rmse: NDArray[np.float64]
    """(n,), realised root mean square over the 3N coordinates, in unit-sphere radii."""

    @property
    def accuracy(self) -> Rate:
        return Rate(int(self.correct.sum()), len(self.correct))


def one_step(
    model: Classifier,
    split: Split,
    attacks: Mapping[str, GradientAttack],
    cells: Sequence[Cell],
    options: EvaluationOptions,
    cancel: Cancel | None = None,
    *,
    clean_cache: CleanCache | None = None,
) -> Iterator[Event]:
    """Move every cloud along the first steps of attacks, and along noises, by the budgets of ``cells``.

    Parameters
    ----------
    attacks : by name, all linear in epsilon, on the cross-entropy.
    cells : of names of ``attacks`` and of ``NOISES``.
    clean_cache : evaluations of the model at clean clouds; read only.

    Yields
    ------
    Progress after each batch, then Done with a ``OneStepResult`` for each cell, of the clouds that were reached.
    """
    device, source = device_of(model), torch.Generator().manual_seed(options.seed)
    asked = {name for name, _ in cells}
    found: list[list[tuple[NDArray[Any], ...]]] = [[] for _ in cells]
    rows, complete = chosen_clouds(split, options), False
    for start in range(0, len(rows), options.batch_size):
        part = rows[start : start + options.batch_size]
        points, truth = np.array(split.points[part, : options.points]), split.labels[part]
        clouds, label = torch.from_numpy(points).to(device), torch.from_numpy(truth).to(device)
        gradient = ((clean_cache or {}).get(start) or evaluate(model, clouds, label, gradient=True)).gradient
        assert gradient is not None
        unit_delta = {name: attack.unit_delta_of(gradient) for name, attack in attacks.items()}
        unit_delta |= {name: noise(clouds, source) for name, noise in NOISES.items() if name in asked}
        for (name, epsilon), answers in zip(cells, found, strict=True):
            moved = (clouds + epsilon * unit_delta[name]).cpu().numpy()
            right = predict(model, moved, options.batch_size).prediction == truth
            answers.append((right, linf(points, moved), rmse(points, moved)))
        complete = start + len(part) == len(rows)
        yield Progress(start + len(part), len(rows), "clouds moved")
        if cancel and cancel.requested:
            break
    table = [
        OneStepResult(*cell, *(np.concatenate(column) for column in zip(*answers, strict=True)))
        for cell, answers in zip(cells, found, strict=True)
    ]
    yield Done(table, complete=complete)


def fgsm_variants(epsilons: Sequence[float]) -> list[Cell]:
    """Every reading of ``FGSM`` and every noise, each by each of the budgets."""
    return [(name, epsilon) for name in (*FGSM, *NOISES) for epsilon in epsilons]
