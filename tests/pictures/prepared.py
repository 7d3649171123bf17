"""What is trained before a window is opened: runs to list and compare, and a model of forty classes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.datasets import Dataset, open_dataset
from core.events import Done, Epoch, Event
from core.training import TrainOptions, rename_run, train
from core.training.record import OPTIONS

SMALL = {"clouds": 160, "points": 64, "validation": 0.02}
TUNED = ("simple", "adversarial", "defense", "pgd", "trades")
"""Regimes of the runs that begin with shipped weights, whose models are good enough to be attacked."""
BEGUN_ANEW: dict[str, dict[str, Any]] = {
    "first-try": {"epochs": 8},
    "pgd-cosine": {"epochs": 8, "regime": "pgd", "attack_steps": 2, "schedule": "cosine"},
    "adversarial-long-name-of-a-run-that-somebody-gave-it": {"epochs": 8, "regime": "adversarial"},
    "defense-wide": {"epochs": 8, "regime": "defense", "jitter": 0.02},
    "dgcnn": {"epochs": 2, "model": "dgcnn", "clouds": 64},
}
"""Runs that begin with random weights, by name."""
STOPPED = "stopped-early"
DAMAGED = "damaged"
FORTY = "forty-classes"
"""The run on modelnet40."""


def runs(home: Path) -> Path:
    """Folder of the runs in ``home``."""
    return home / "runs"


def tuned(home: Path) -> list[Path]:
    """The runs that begin with shipped weights."""
    return [runs(home) / f"tuned-{regime}" for regime in TUNED]


def prepare(home: Path, cache: Path) -> None:
    """Make twelve runs on the built-in dataset, some from shipped weights; nothing if they are there."""
    if runs(home).exists():
        return
    dataset = _result(open_dataset("shapes16", None, cache))
    for folder, regime in zip(tuned(home), TUNED, strict=True):
        options: dict[str, Any] = {"epochs": 2, "learning_rate": 1e-4, "initial_weights": "pointnet-adversarial"}
        _result(train(dataset, TrainOptions(**SMALL, **options, regime=regime), folder))
        rename_run(folder, f"{regime}, tuned")
    for name, options in BEGUN_ANEW.items():
        _result(train(dataset, TrainOptions(**SMALL | options), runs(home) / name))
    _stop_after(train(dataset, TrainOptions(**SMALL, epochs=40), runs(home) / STOPPED), 3)
    damaged = runs(home) / DAMAGED
    _stop_after(train(dataset, TrainOptions(**SMALL, epochs=40), damaged), 1)
    (damaged / OPTIONS).write_text("{")


def prepare_forty(home: Path, cache: Path, root: Path) -> None:
    """Train a model of all classes of ModelNet40 for a short time; nothing if it is there."""
    if (home / FORTY).exists():
        return
    dataset: Dataset = _result(open_dataset("modelnet40", root, cache))
    options = TrainOptions(clouds=1600, points=64, epochs=3)
    _result(train(dataset, options, home / FORTY, data_root=root))


def _result(events: Iterator[Event]) -> Any:
    return next(event.value for event in events if isinstance(event, Done))


def _stop_after(events: Iterator[Event], epochs: int) -> None:
    """End a training after so many epochs, as a person does who stops it."""
    for event in events:
        if isinstance(event, Epoch) and event.index == epochs:
            break
    events.close()  # type: ignore[attr-defined]
