"""Clouds of three classes that a small training tells apart in seconds, a dataset of them, and such trainings; and
clouds for the shipped models."""

from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from core.attacks import Attack, State
from core.clouds import normalise
from core.datasets import Card, Dataset, Split, choose_rows
from core.datasets.modelnet40 import MODELNET16
from core.datasets.shapes16 import CATEGORIES, make_shape
from core.events import result
from core.models import Classifier, Output, build
from core.models.checkpoints import builtin_models, load_model, resolve_model
from core.models.port import give_training_data
from core.training import RunResult, TrainOptions, train

CLASSES = ("ball", "plate", "cigar")


def toy_split(count: int, points: int = 64, seed: int = 0) -> Split:
    """Balls, plates and cigars in turn, each of its own size."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % len(CLASSES)
    clouds = rng.normal(size=(count, points, 3))
    clouds /= np.linalg.norm(clouds, axis=2, keepdims=True)
    clouds[labels == 1] *= (1.0, 1.0, 0.1)
    clouds[labels == 2] *= (0.1, 0.1, 1.0)
    clouds *= rng.uniform(0.85, 1.0, (count, 1, 1))
    return Split(
        clouds.astype(np.float32), labels.astype(np.int64), [f"{CLASSES[k]} {i}" for i, k in enumerate(labels)]
    )


def toy_dataset(train: int = 60, test: int = 30, points: int = 64) -> Dataset:
    card = Card(
        name="toys",
        title="Toys",
        classes=CLASSES,
        splits={"train": train, "test": test},
        points=points,
        up_axis="z",
        licence="none",
        source="tests",
        sampling="uniform",
        fingerprint="0123456789abcdef",
    )
    return Dataset(card, {"train": toy_split(train, points, 1), "test": toy_split(test, points, 2)})


def toy_batch(count: int = 6, points: int = 64, seed: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Clouds (B, N, 3) and labels (B,) as tensors."""
    split = toy_split(count, points, seed)
    return torch.from_numpy(split.points), torch.from_numpy(split.labels)


def toy_options(**changes: Any) -> TrainOptions:
    """Of a training that takes a second or two."""
    small = {"epochs": 3, "batch_size": 16, "points": 32, "epsilon": 0.05, "device": "cpu"}
    return TrainOptions.model_validate(small | changes)


def toy_run(folder: Path, dataset: Dataset | None = None, resume: bool = False, **changes: Any) -> RunResult:
    """Train on the toys to the end."""
    run: RunResult = result(train(dataset or toy_dataset(), toy_options(**changes), folder, resume=resume))
    return run


def settled_pointnet(points: int) -> nn.Module:
    """An untrained PointNet in double precision whose running statistics are those of the toys, in eval mode.

    For AdvPC it passes for a model of the built-in shapes, of which there is an autoencoder. Seeds PyTorch.
    """
    model = deepcopy(_settled_pointnet(points))
    torch.manual_seed(0)
    return model


@cache
def _settled_pointnet(points: int) -> nn.Module:
    torch.manual_seed(0)
    model = build("pointnet", len(CLASSES)).double()  # so that rounding makes no other model on another processor
    give_training_data(model, "shapes16", CLASSES)
    for seed in range(10):
        model(toy_batch(8, points, seed)[0].double())
    return model.eval()


def trained_pointnet(folder: Path) -> nn.Module:
    """A PointNet that knows the toys, trained in the folder within some seconds."""
    toy_run(folder, epochs=12)
    model = load_model(resolve_model(folder)).module
    x, y = toy_batch(24, 48, 5)
    assert (model(x).logits.argmax(1) == y).float().mean() > 0.9
    give_training_data(model, "shapes16", CLASSES)
    return model


def shipped_pointnet(
    name: str = "pointnet-simple", points: int = 96, count: int = 6
) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """A model that comes with the program, in double precision, and clouds (B, N, 3) whose classes (B,) it knows."""
    loaded = load_model(builtin_models()[name])
    model = loaded.module.double()
    shapes = [make_shape(kind, 5, points=points) for kind in loaded.card.classes]
    x, y = torch.from_numpy(np.stack(shapes)).double(), torch.arange(len(shapes))
    known = (model(x).logits.argmax(1) == y).nonzero()[:count, 0]
    return model, x[known], y[known]


def shapes16_split(count: int, points: int) -> Split:
    """Built-in shapes of all classes in turn."""
    labels = np.arange(count) % len(CATEGORIES)
    clouds = [make_shape(CATEGORIES[label], 500 + k, points=points) for k, label in enumerate(labels)]
    return Split(np.stack(clouds), labels, [f"{CATEGORIES[label]} {k}" for k, label in enumerate(labels)])


def modelnet16_split(archive: Path, count: int, points: int) -> Split:
    """Test clouds of ModelNet16, evenly from its classes; from the archive itself, which opens seven times as fast."""
    with np.load(archive, allow_pickle=False) as read:
        names = read["classes"][read["label"]]
        labels = np.where(np.isin(names, MODELNET16), np.searchsorted(MODELNET16, names), -1)
        rows = np.flatnonzero((labels >= 0) & (read["split"] == 1))
        rows = rows[choose_rows(labels[rows], count)]
        clouds = [normalise(cloud)[0][:points] for cloud in read["points"][rows]]
        return Split(np.stack(clouds).astype(np.float32), labels[rows], [str(name) for name in read["name"][rows]])


def linear(classes: int = 2, seed: int = 0, points: int = 20) -> tuple[nn.Module, torch.Tensor]:
    """Logits that are linear in the points, and their weights (K, N, 3)."""
    torch.manual_seed(seed)
    layer = nn.Linear(3 * points, classes).double()

    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, clouds: torch.Tensor) -> Output:
            logits = self.layer(clouds.flatten(1))
            return Output(logits, logits)

    return Linear(), layer.weight.detach().view(classes, points, 3)


def batch(count: int = 5, classes: int = 2, points: int = 20) -> tuple[torch.Tensor, torch.Tensor]:
    """Random clouds (B, N, 3) and labels (B,)."""
    generator = torch.Generator().manual_seed(1)
    clouds = torch.rand(count, points, 3, generator=generator, dtype=torch.float64) * 1.2 - 0.6
    return clouds, torch.arange(count) % classes


def attacked(attack: Attack, model: Classifier, x: torch.Tensor, y: torch.Tensor, seed: int = 0) -> State:
    """The state at the end of an attack."""
    state: State = result(attack.run(model, x, y, torch.Generator().manual_seed(seed)))
    return state
