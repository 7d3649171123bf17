"""One epoch of clouds: from the text files of ShapeNet-Part each time, and from the memory map made of them once."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.clouds import normalise, resample
from core.datasets.base import POINTS as STORED
from core.training.batches import batches
from tests.bench.conftest import Compare
from tests.bench.subjects import POINTS
from tests.core.toys import toy_options

FILES, LINES = 200, 2600


def read(path: Path, rng: np.random.Generator) -> NDArray[np.float32]:
    """A cloud as the well-known ports' datasets give it: all columns read, points drawn, centred, scaled."""
    points = np.loadtxt(path).astype(np.float32)[:, :3]
    points = points[rng.choice(len(points), POINTS)]
    points -= points.mean(0)
    return points / np.sqrt((points**2).sum(1)).max()


def test_epoch(compare: Compare, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{number}.txt" for number in range(FILES)]
    table = np.hstack([rng.normal(size=(LINES, 3)), rng.normal(size=(LINES, 3)), rng.integers(4, size=(LINES, 1))])
    stored = np.empty((FILES, STORED, 3), np.float32)
    for number, path in enumerate(paths):
        np.savetxt(path, rng.permutation(table), fmt="%.6f")
        stored[number] = normalise(resample(np.loadtxt(path, usecols=(0, 1, 2), dtype=np.float32), STORED))[0]
    np.save(tmp_path / "points.npy", stored)
    mapped = np.load(tmp_path / "points.npy", mmap_mode="r")
    labels, rows = np.zeros(FILES, np.int64), np.arange(FILES)
    options = toy_options(points=POINTS, batch_size=32, jitter=0.0)  # what the files' reader does, and no more

    def ours() -> int:
        return sum(len(batch.clouds) for batch in batches(mapped, labels, rows, "z", options, epoch=1))

    def text() -> int:
        return sum(len(read(path, rng)) == POINTS for path in paths)

    assert ours() == text() == FILES
    compare(
        f"loading one training cloud of {POINTS} points",
        {"ours, memory-mapped": ours, "text files": text},
        rounds=5,
        per=FILES,
        bars={"text files": "≥ 40"},
    )
