"""One-step attacks on every test cloud: the five variants of FGSM, and noise of the same size for comparison.

The direction of a one-step attack does not depend on epsilon, so all budgets need one gradient of each cloud.
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
    "random sign": lambda clouds, generator: torch.randint(0, 2, clouds.shape, generator=generator).to(clouds) * 2 - 1,
    "Gaussian": lambda clouds, generator: torch.randn(clouds.shape, generator=generator).to(clouds),
}
"""Clouds (B, N, 3) -> random perturbations (B, N, 3) for epsilon = 1. random sign: L-infinity distance 1, as that of
the direction "sign"; Gaussian: RMSE 1."""

FGSM: Mapping[str, GradientAttack] = {direction: fgsm(direction) for direction in DIRECTIONS}
"""FGSM with each of the directions that the first paper's ``x + epsilon * gradient`` can mean."""

Cell = tuple[str, float]
"""A cell of the table of results: the name of an attack or a noise, and a budget."""


@dataclass(frozen=True, eq=False)
class OneStepResult:
    """A model's predictions for n clouds that were perturbed in one step."""

    direction: str
    """A name of ``FGSM`` or of ``NOISES``."""
    epsilon: float
    correct: NDArray[np.bool_]
    """(n,), whether each prediction is the true class."""
    linf: NDArray[np.float64]
    """(n,), realised L-infinity distance in unit-sphere radii."""
    rmse: NDArray[np.float64]
    """(n,), realised root mean square over the 3N coordinates, in unit-sphere radii."""

    @property
    def accuracy(self) -> Rate:
        """Share of correct predictions."""
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
    """Perturb every cloud by one step of the attack, or by the noise, of each cell, with the budget of the cell.

    Parameters
    ----------
    attacks : by name; all linear in epsilon, with the cross-entropy as objective.
    cells : pairs of a name of ``attacks`` or ``NOISES`` and a budget.
    clean_cache : evaluations of the model at clean clouds; read only.

    Yields
    ------
    Progress after each batch, then Done with a ``OneStepResult`` for each cell, of the first batches if it was
    cancelled.
    """
    device, generator = device_of(model), torch.Generator().manual_seed(options.seed)
    names = {name for name, _ in cells}
    parts: list[list[tuple[NDArray[Any], ...]]] = [[] for _ in cells]  # of each cell, a tuple of columns for each batch
    rows, complete = chosen_clouds(split, options), False
    for start in range(0, len(rows), options.batch_size):
        batch = rows[start : start + options.batch_size]
        points, true_classes = np.array(split.samples(batch, options.points)), split.labels[batch]
        clouds, label = torch.from_numpy(points).to(device), torch.from_numpy(true_classes).to(device)
        gradient = ((clean_cache or {}).get(start) or evaluate(model, clouds, label, gradient=True)).gradient
        assert gradient is not None
        unit_delta = {name: attack.unit_delta_of(gradient) for name, attack in attacks.items()}
        unit_delta |= {name: noise(clouds, generator) for name, noise in NOISES.items() if name in names}
        for (name, epsilon), columns in zip(cells, parts, strict=True):
            perturbed = (clouds + epsilon * unit_delta[name]).cpu().numpy()
            correct = predict(model, perturbed, options.batch_size).prediction == true_classes
            columns.append((correct, linf(points, perturbed), rmse(points, perturbed)))
        complete = start + len(batch) == len(rows)
        yield Progress(start + len(batch), len(rows), "clouds moved")
        if cancel and cancel.requested:
            break
    results = [
        OneStepResult(*cell, *(np.concatenate(column) for column in zip(*columns, strict=True)))
        for cell, columns in zip(cells, parts, strict=True)
    ]
    yield Done(results, complete=complete)


def fgsm_variants(epsilons: Sequence[float]) -> list[Cell]:
    """Cells of every variant of ``FGSM`` and every noise with every budget."""
    return [(name, epsilon) for name in (*FGSM, *NOISES) for epsilon in epsilons]
