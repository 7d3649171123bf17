"""What is killed: a command, the files it needs, and what must be the same at its end, killed or not."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from core.models import build
from core.models.checkpoints import BEST, LAST, ModelCard, load_training, save_model
from core.results.records import read_jsonl
from tests.core.toys import CLASSES, toy_split

RUN = Path("run")
SHAPES = "shapes"
TIMES = {"seconds", "clouds_per_second"}
"""Metrics that differ from run to run."""
DATA = f"--dataset folder --data-root {SHAPES}"
SMALL = "--points 64 --batch-size 8 --device cpu"


@dataclass(frozen=True)
class Subject:
    """A command of the program that is killed and started again, in a folder of its own."""

    name: str
    words: str
    """The command line."""
    prepare: Callable[[Path], None]
    """Put the files that it needs into the folder."""
    result: Callable[[Path], dict[str, bytes]]
    """What it has made there, by name."""


def _of_run(folder: Path) -> dict[str, bytes]:
    """Metrics but for times; all weights, and all that a resumed training would go on from."""
    lines = [
        {name: value for name, value in line.items() if name not in TIMES}
        for line in read_jsonl(folder / RUN / "metrics.jsonl")
    ]
    parts = {"metrics": json.dumps(lines, sort_keys=True).encode()}
    for name in (BEST, LAST):
        for kind, tensors in zip(("weights", "state"), load_training(folder / RUN / name)[1:], strict=True):
            parts |= {f"{name} {kind} {key}": tensor.numpy().tobytes() for key, tensor in tensors.items()}
    return parts


def _of_cache(folder: Path) -> dict[str, bytes]:
    """All of it but the time at which the shapes were written."""
    (cache,) = (folder / "cache" / "pointward").iterdir()
    parts = {path.name: path.read_bytes() for path in cache.iterdir()}
    facts = json.loads(parts.pop("card.json"))
    del facts["signature"]
    return {**parts, "card": json.dumps(facts).encode()}


def _of_reproduction(folder: Path) -> dict[str, bytes]:
    """Tables and records but for the minutes that trainings took."""
    paths = [*(folder / "out" / "tables").glob("*.csv"), *(folder / "out" / "records").glob("*.csv")]
    return {path.name: _without_minutes(path) for path in paths}


def _without_minutes(path: Path) -> bytes:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    kept = [place for place, title in enumerate(rows[0]) if title != "Minutes"]
    text = io.StringIO()
    csv.writer(text).writerows([row[place] for place in kept] for row in rows)
    return text.getvalue().encode()


def _of_records(folder: Path) -> dict[str, bytes]:
    return {"records": (folder / "records.csv").read_bytes()}


def _nothing(folder: Path) -> None:
    pass


def _clouds(folder: Path) -> None:
    """A dataset of three classes, with train/ and test/."""
    for part, count, seed in (("train", 96, 1), ("test", 60, 2)):
        split = toy_split(count, 128, seed)
        for points, label, name in zip(split.points, split.labels, split.names, strict=True):
            place = folder / SHAPES / part / CLASSES[label]
            place.mkdir(parents=True, exist_ok=True)
            np.save(place / f"{name.replace(' ', '_')}.npy", points)


def _meshes(folder: Path) -> None:
    """A dataset of meshes: grids that are bent at random."""
    rng = np.random.default_rng(0)
    size = 24
    place = np.arange(size * size).reshape(size, size)
    corners = np.stack([place[:-1, :-1], place[1:, :-1], place[1:, 1:], place[:-1, 1:]], axis=-1).reshape(-1, 4)
    flat = np.stack(np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size)), axis=-1).reshape(-1, 2)
    for number in range(240):
        height = (flat**2 * rng.normal(size=2)).sum(axis=1) + 0.1 * rng.normal(size=len(flat))
        target = folder / SHAPES / f"class_{number % 4}" / f"mesh_{number:03d}.off"
        target.parent.mkdir(parents=True, exist_ok=True)
        vertices = "\n".join(f"{x} {y} {z}" for (x, y), z in zip(flat, height, strict=True))
        faces = "\n".join("4 " + " ".join(map(str, corner)) for corner in corners)
        target.write_text(f"OFF\n{len(flat)} {len(corners)} 0\n{vertices}\n{faces}\n", encoding="utf-8")


def _clouds_and_model(folder: Path) -> None:
    """The dataset, and an untrained model of its classes in the folder of a run."""
    _clouds(folder)
    torch.manual_seed(0)
    card = {"name": "run", "title": "A run", "architecture": "pointnet", "classes": sorted(CLASSES), "regime": "simple"}
    card |= {"points": 64, "dataset": "folder", "fingerprint": "0", "up_axis": "z", "seed": 0, "epochs": 1}
    save_model(folder / RUN / BEST, build("pointnet", len(CLASSES)), ModelCard.model_validate(card))


SUBJECTS = (
    Subject(
        "training",
        f"train {DATA} {SMALL} --regime defense --epochs 16 --averaging 0.9 --out {RUN} --resume",
        _clouds,
        _of_run,
    ),
    Subject("cache of shapes16", "datasets shapes16", _nothing, _of_cache),
    Subject("cache of a folder", f"datasets folder --data-root {SHAPES}", _meshes, _of_cache),
    Subject(
        "reproduction",
        f"reproduce defense-pointnet {DATA} {SMALL} --epochs 2 --regimes simple --regimes defense --pgd-steps 2 "
        "--map-clouds 40 --out out",
        _clouds,
        _of_reproduction,
    ),
    Subject(
        "evaluation",
        f"evaluate {RUN}/{BEST} {DATA} --points 64 --device cpu --attack pgd --steps 40 --restarts 1 "
        "--records records.csv",
        _clouds_and_model,
        _of_records,
    ),
    Subject("window", f"window {RUN}", _nothing, _of_run),
)
