"""ShapeNet-Part at its full official size: the official lists, each shape with a tiny cloud of its own."""

import csv
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from core.commands import run
from core.datasets import Dataset, open_dataset
from core.evaluation.accuracy import EvaluationOptions
from core.evaluation.judge import evaluate_accuracy
from core.events import Note, Progress, result
from core.models import build
from core.studies.defense_pointnet.options import ReproduceOptions, recipe
from core.studies.defense_pointnet.reproduction import reproduce
from core.training import TrainOptions, stored_options
from core.training.batches import batches
from tests.core.test_datasets import class_counts, opened, shared

pytestmark = pytest.mark.long

SIZES = {"train": 12137, "val": 1870, "test": 2874}
CATEGORIES = "synsetoffset2category.txt"
LIST = "train_test_split/shuffled_{}_file_list.json"


class Full(NamedTuple):
    root: Path
    lists: dict[str, list[str]]
    """SYNSET/NAME of every entry, by split."""
    cache: Path
    dataset: Dataset
    notes: list[str]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Full]:
    official = shared("shapenetcore_partanno_segmentation_benchmark_v0_normal")
    folder = tmp_path_factory.mktemp("shapenetpart")
    root, lists = folder / "root", {}
    (root / "train_test_split").mkdir(parents=True)
    (root / CATEGORIES).write_text((official / CATEGORIES).read_text())
    for split in SIZES:
        text = (official / LIST.format(split)).read_text()
        (root / LIST.format(split)).write_text(text)
        lists[split] = [entry.removeprefix("shape_data/") for entry in json.loads(text)]
    rng = np.random.default_rng(0)
    for entry in sorted({entry for entries in lists.values() for entry in entries}):
        file = root / f"{entry}.txt"
        file.parent.mkdir(exist_ok=True)
        rows = rng.normal(3, 2, (rng.integers(8, 25), 6)).round(6).tolist()
        file.write_text("".join(f"{x} {y} {z} {nx} {ny} {nz} 7.0\n" for x, y, z, nx, ny, nz in rows))
    dataset, notes = opened("shapenetpart", root, folder / "cache")
    yield Full(root, lists, folder / "cache", dataset, notes)
    shutil.rmtree(folder)  # half a gigabyte, and pytest keeps the folders of its last runs


@pytest.fixture
def gone(full: Full) -> Iterator[str]:
    """SYNSET/NAME of a shape that only the train list names, and whose file is away."""
    entry = next(e for e in full.lists["train"] if e not in full.lists["val"] + full.lists["test"])
    file = full.root / f"{entry}.txt"
    away = file.rename(file.with_suffix(".away"))
    yield entry
    away.rename(file)


def test_the_split_is_that_of_the_first_paper(full: Full) -> None:
    assert full.notes == []
    assert {split: len(entries) for split, entries in full.lists.items()} == SIZES == full.dataset.card.splits
    assert len(full.dataset.split("train")) == 12137
    assert len(full.dataset.split("test")) == 2874
    assert len(full.dataset.card.classes) == 16
    names = {name for split in full.dataset.splits.values() for name in split.names}
    assert len(names) == 16881 - 35, "the official lists name 35 shapes twice"


@pytest.mark.parametrize("split", SIZES)
def test_a_split_holds_the_shapes_of_its_list_in_their_classes(full: Full, split: str) -> None:
    lines = (full.root / CATEGORIES).read_text().splitlines()
    category = {synset: name.lower() for name, synset in map(str.split, lines)}
    listed = [entry.split("/") for entry in full.lists[split]]
    counts = Counter(category[synset] for synset, _ in listed)
    assert class_counts(full.dataset, split) == counts
    assert len(counts) == 16
    assert sorted(full.dataset.split(split).names) == sorted(f"{category[synset]}_{name}" for synset, name in listed)


def test_the_validation_list_is_dropped(full: Full) -> None:
    """Nobody trains or tests on it, but for the shapes that the official lists also name for training or testing."""
    validation = set(full.dataset.split("val").names)
    assert len(validation.intersection(full.dataset.split("train").names)) == 9
    assert len(validation.intersection(full.dataset.split("test").names)) == 3
    rows, held = full.dataset.validation(0.1, seed=0)
    assert sorted([*rows, *held]) == list(range(12137)), "what chooses the best epoch comes out of train"


def test_every_cloud_is_in_the_unit_sphere_with_all_points_of_its_file(full: Full) -> None:
    for split in full.dataset.splits.values():
        for start in range(0, len(split), 512):
            clouds = split.points[start : start + 512]
            np.testing.assert_allclose(clouds.mean(axis=1), 0, atol=2e-4)
            np.testing.assert_allclose(np.linalg.norm(clouds, axis=2).max(axis=1), 1, atol=2e-4)
    entry = full.lists["test"][0]
    row = next(row for row, name in enumerate(full.dataset.split("test").names) if name.endswith(entry[9:]))
    stored = np.unique(full.dataset.split("test").points[row], axis=0)
    assert len(stored) == len((full.root / f"{entry}.txt").read_text().splitlines())


def test_training_draws_2500_points_with_replacement(full: Full) -> None:
    train = full.dataset.split("train")
    options = TrainOptions(points=2500, replacement=True, jitter=0)
    rows = np.arange(64)
    epochs = [list(batches(train.points, train.labels, rows, "y", options, epoch)) for epoch in (1, 2)]
    stored = {frozenset(map(bytes, cloud)): Counter(map(bytes, cloud)) for cloud in train.points[:64]}
    seen = []
    for epoch in epochs:
        clouds = [cloud.numpy() for batch in epoch for cloud in batch.clouds]
        assert {cloud.shape for cloud in clouds} == {(2500, 3)}
        drawn = {frozenset(points): points for points in (Counter(map(bytes, cloud)) for cloud in clouds)}
        assert drawn.keys() == stored.keys(), "of a file with fewer points every one is drawn, many times"
        assert all(drawn[key] != stored[key] for key in stored)
        seen.append(drawn)
    assert all(seen[0][key] != seen[1][key] for key in stored), "every epoch draws anew"


def test_a_model_of_2500_points_is_tested_on_as_many(full: Full) -> None:
    model = build("pointnet", 16, {}).eval()
    options = EvaluationOptions(clouds=16, points=2500)
    report = result(evaluate_accuracy(model, full.dataset.split("test"), None, options))
    assert len(report.row) == 16


def test_the_reproduction_trains_as_the_first_paper_does(full: Full, tmp_path: Path) -> None:
    """On 64 clouds, chosen by few others, so that it takes seconds; all else is the command without options."""
    options = ReproduceOptions(subset=64, pgd_steps=1, map_clouds=16)
    result(reproduce(full.dataset, options, recipe("shapenetpart") | {"epochs": 1, "validation": 0.01}, tmp_path))
    chosen = stored_options(tmp_path / "runs/defense-seed0")
    assert (chosen.points, chosen.replacement, chosen.batch_size) == (2500, True, 32)
    assert (chosen.learning_rate, chosen.decay, chosen.decay_every) == (1e-3, 0.5, 20)
    with (tmp_path / "tables/work.csv").open() as file:
        assert {row["Points"] for row in csv.DictReader(file)} == {"2,500"}
    page = " ".join((tmp_path / "report.html").read_text(encoding="utf-8").split())
    assert "12,137 training and 2,874 test clouds of 16 classes" in page


def test_a_missing_file_is_named(full: Full, gone: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["datasets", "shapenetpart", "--data-root", str(full.root)]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "1 of the 16,881 entries in the lists" in said
    assert f"have no file ({gone}.txt); put them there, or allow missing files" in said


def test_it_goes_on_without_a_missing_file_when_allowed(full: Full, gone: str) -> None:
    """As far as the first clouds of the conversion: the whole of it takes long, and is the fixture's."""
    opening = open_dataset("shapenetpart", full.root, full.cache, allow_missing=True)
    note, first, second = islice(opening, 3)
    opening.close()
    assert isinstance(note, Note)
    assert note.text.endswith(f"have no file ({gone}.txt).")
    assert [first, second] == [Progress(done, 16880, "Converting ShapeNet-Part") for done in (0, 32)]
