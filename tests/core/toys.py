"""Clouds of three classes that a small training tells apart in seconds, a dataset of them, and such trainings."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from core.attacks import Attack, State
from core.datasets import Card, Dataset, Split
from core.events import result
from core.models import Classifier, build
from core.models.checkpoints import load_model, resolve_model
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
    """An untrained PointNet in double precision whose running statistics are those of the toys, in eval mode."""
    torch.manual_seed(0)
    model = build("pointnet", len(CLASSES))
    for seed in range(10):
        model(toy_batch(8, points, seed)[0])
    return model.double().eval()


def trained_pointnet(folder: Path) -> nn.Module:
    """A PointNet that knows the toys, trained in the folder within some seconds."""
    toy_run(folder, epochs=12)
    model = load_model(resolve_model(folder)).module
    x, y = toy_batch(24, 48, 5)
    assert (model(x).logits.argmax(1) == y).float().mean() > 0.9
    return model


def attacked(attack: Attack, model: Classifier, x: torch.Tensor, y: torch.Tensor, seed: int = 0) -> State:
    """The state at the end of an attack."""
    state: State = result(attack.run(model, x, y, torch.Generator().manual_seed(seed)))
    return state
