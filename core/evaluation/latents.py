"""The first paper's Figures 8 and 9: one t-SNE map of the latents of clean and adversarial test clouds."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from core.attacks import Attack
from core.datasets import Split, choose_rows
from core.embedding import Map, Separation, TsneOptions, separation, tsne
from core.events import Cancel, Done, Event, Note, Progress, Step
from core.models import Classifier
from core.options import Options, option
from core.predict import device_of

Floats = NDArray[np.float32]
_BATCH = 16


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
    """In the latent space, over the clean clouds; None where the map was stopped early."""
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
    rows = choose_rows(split.labels, options.clouds)
    device, generator = device_of(model), torch.Generator().manual_seed(tsne_options.seed)
    clean, moved, verdicts = [], [], []
    yield Note("attacking the test clouds")
    for start in range(0, len(rows), _BATCH):
        part = rows[start : start + _BATCH]
        x = torch.from_numpy(np.array(split.points[part][:, : options.points], np.float32)).to(device)
        y = torch.from_numpy(split.labels[part]).to(device)
        state = attack.start(model, x, y, generator)
        assert state.evaluation is not None
        clean.append((state.evaluation.latent.cpu().numpy(), state.evaluation.prediction.cpu().numpy()))
        while state.step < attack.total_steps:
            state = attack.step(model, state)
        assert state.best is not None
        moved.append((state.best.latent.cpu().numpy(), state.best.prediction.cpu().numpy()))
        yield Progress(start + len(part), len(rows), "clouds attacked")
        if cancel and cancel.requested:
            yield Done(None, complete=False)
            return
    verdicts = [prediction for _, prediction in (*clean, *moved)]
    latents = np.concatenate([latent for latent, _ in (*clean, *moved)])
    labels = np.tile(split.labels[rows], 2)
    adversarial = np.repeat([False, True], len(rows))
    both = np.tile(rows, 2)
    predicted = np.concatenate(verdicts)
    for event in tsne(latents, tsne_options, cancel):
        match event:
            case Step(index, total, map):
                yield Step(index, total, LatentMap(map, latents, labels, adversarial, both, predicted))
            case Done(map, complete):
                halves = [separation(latents[half], labels[half]) for half in (~adversarial, adversarial)]
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
