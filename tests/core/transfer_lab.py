"""A dataset of toys in files, three models that know them, and small transfer experiments with these."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from core.datasets import open_dataset
from core.events import result
from core.models.checkpoints import BEST
from core.studies.transferability.experiment import DatasetPlace, Experiment
from core.studies.transferability.options import TransferOptions
from tests.core.toys import CLASSES, toy_run, toy_split

OPTIONS: dict[str, Any] = {"samples": 12, "points": 32, "epsilon": 0.3, "held_out": 9, "reached": 0.5, "batch_size": 8}
ATTACKS = ("gd", "adam", "fgsm", "random-sign", "gaussian")


class Lab(NamedTuple):
    place: DatasetPlace
    models: dict[str, Path]

    def experiment(
        self,
        folder: Path,
        protocol: str = "equal-loss",
        *,
        surrogates: Sequence[str] = ("one", "two"),
        attacks: Sequence[str] = ATTACKS,
        victims: Sequence[str] = ("two", "three"),
        **changes: Any,
    ) -> Experiment:
        options = TransferOptions.model_validate({"protocol": protocol, **OPTIONS, **changes})
        return Experiment(
            folder, options, self.place, self.models, tuple(surrogates), tuple(attacks), tuple(victims), "cpu"
        )


def make_lab(folder: Path) -> Lab:
    """Write the toys and train the models."""
    for split, count, seed in (("train", 120, 1), ("test", 30, 2)):
        toys = toy_split(count, 64, seed)
        for cloud, label, name in zip(toys.points, toys.labels, toys.names, strict=True):
            path = folder / "data" / CLASSES[label] / split / f"{name}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, cloud)
    place = DatasetPlace("folder", folder / "data", folder / "cache")
    dataset = result(open_dataset(place.name, place.root, place.cache))
    models = {}
    for name, changes in {"one": {}, "two": {"seed": 1}, "three": {"regime": "adversarial", "epsilon": 0.1}}.items():
        toy_run(folder / name, dataset, epochs=3, **changes)
        models[name] = folder / name / BEST
    return Lab(place, models)


def arrays(folder: Path) -> dict[str, dict[str, Any]]:
    """Every result in the folder of an experiment, but for the times that were measured."""
    found = {}
    for path in sorted(folder.rglob("*.npz")):
        with np.load(path) as file:
            found[str(path.relative_to(folder))] = {name: file[name] for name in file.files if name != "seconds"}
    return found


def with_models(experiment: Experiment, **files: Path) -> Experiment:
    return replace(experiment, models=experiment.models | files)
