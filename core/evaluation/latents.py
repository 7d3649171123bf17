"""The first paper's Figures 8 and 9: one t-SNE map of the latents of clean and adversarial test clouds."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.attacks import Attack
from core.datasets import Split
from core.evaluation.accuracy import AccuracyReport, EvaluationOptions, evaluate_accuracy
from core.evaluation.tsne import PURITY_NEIGHBOURS, Map, Separation, TsneOptions, separation, tsne
from core.events import Cancel, Done, Event, Note, Step, forward
from core.models import Classifier
from core.options import Options, option

Floats = NDArray[np.float32]


class LatentOptions(Options):
    """Which clouds the map shows."""

    clouds: int = option(400, "Test clouds, drawn evenly from the split; each appears clean and adversarial.", low=16)
    points: int = option(1024, "Points of each cloud that the model sees.", unit="points", low=16, high=100_000)


@dataclass(frozen=True, eq=False)
class LatentMap:
    """A joint map of n clean clouds (first half) and their n adversarial versions (second half)."""

    map: Map
    latents: Floats
    """(2n, D)"""
    labels: NDArray[np.int64]
    """(2n,), true classes."""
    adversarial: NDArray[np.bool_]
    """(2n,)"""
    rows: NDArray[np.int64]
    """(2n,), row of each cloud in its split."""
    predicted: NDArray[np.int64]
    """(2n,), the model's verdicts."""
    clean_separation: Separation | None = None
    """In the latent space, over the clean clouds; None in a map on its way, and of too few clouds for it."""
    adversarial_separation: Separation | None = None

    @property
    def accuracy(self) -> tuple[float, float]:
        """Share of right verdicts on the clean and on the adversarial clouds of the map."""
        right = self.predicted == self.labels
        return float(right[~self.adversarial].mean()), float(right[self.adversarial].mean())


def latent_map(
    model: Classifier,
    split: Split,
    attack: Attack,
    options: LatentOptions,
    tsne_options: TsneOptions,
    cancel: Cancel | None = None,
) -> Iterator[Event]:
    """Attack the chosen clouds, then fit one map of all latents.

    Yields ``Progress`` while attacking, ``Step`` with a ``LatentMap`` as the map forms (its first frames have no
    separation yet), and ``Done`` with the last one; stopped before the attack is over, ``Done(None)``.
    """
    chosen = EvaluationOptions(clouds=options.clouds, points=options.points, seed=tsne_options.seed)
    yield Note("attacking the test clouds")
    attacked = yield from forward(evaluate_accuracy(model, split, attack, chosen, cancel))
    if attacked.complete:
        yield from joint_map(attacked.value, tsne_options, cancel)
    else:
        yield Done(None, complete=False)


def joint_map(report: AccuracyReport, options: TsneOptions, cancel: Cancel | None = None) -> Iterator[Event]:
    """``latent_map`` of clouds that are attacked already."""
    clean, moved = report.sides
    latents = np.concatenate([side.latent for side in (clean, moved)])
    predicted = np.concatenate([side.prediction for side in (clean, moved)])
    labels, both = np.tile(clean.label, 2), np.tile(report.row, 2)
    adversarial = np.repeat([False, True], len(report.row))
    for event in tsne(latents, options, cancel):
        match event:
            case Step(index, total, map):
                yield Step(index, total, LatentMap(map, latents, labels, adversarial, both, predicted))
            case Done(map, complete):
                enough = len(report.row) > PURITY_NEIGHBOURS
                halves = [
                    separation(latents[half], labels[half]) if enough else None for half in (~adversarial, adversarial)
                ]
                yield Done(LatentMap(map, latents, labels, adversarial, both, predicted, *halves), complete=complete)
            case _:
                yield event


def coordinates(result: LatentMap, classes: tuple[str, ...]) -> dict[str, NDArray[np.generic]]:
    """The map as the columns of a table: row in the split, kind, true and predicted class, place."""
    names = np.asarray(classes)
    return {
        "row": result.rows,
        "kind": np.where(result.adversarial, "adversarial", "clean"),
        "class": names[result.labels],
        "predicted": names[result.predicted],
        "x": result.map.xy[:, 0],
        "y": result.map.xy[:, 1],
    }
