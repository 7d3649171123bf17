"""shapes16, the built-in data set: sixteen categories of everyday objects, made by procedure and scanned with noise.

Each category is a family of several styles, assembled from surfaces (`families_*`), and every shape has a seed of its
own, so that the data are the same whatever the number of processes and on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from core.datasets.shapes16 import (
    families_airplane,
    families_bag,
    families_cap,
    families_car,
    families_chair,
    families_earphone,
    families_guitar,
    families_knife,
    families_lamp,
    families_laptop,
    families_motorbike,
    families_mug,
    families_pistol,
    families_rocket,
    families_skateboard,
    families_table,
)
from core.datasets.shapes16.mesh import Builder
from core.datasets.shapes16.scan import scan
from core.events import Done, Event, Progress
from core.runtime.processes import map_in_processes
from core.runtime.threads import allowed_threads

__all__ = ["CATEGORIES", "COUNTS", "STYLES", "generate", "make_shape"]

_FAMILIES = (
    families_airplane,
    families_bag,
    families_cap,
    families_car,
    families_chair,
    families_earphone,
    families_guitar,
    families_knife,
    families_lamp,
    families_laptop,
    families_motorbike,
    families_mug,
    families_pistol,
    families_rocket,
    families_skateboard,
    families_table,
)
STYLES: dict[str, dict[str, Builder]] = dict(
    sorted((category, styles) for family in _FAMILIES for category, styles in family.STYLES.items())
)
"""Style name to builder, by category."""

CATEGORIES = tuple(STYLES)

COUNTS: dict[str, tuple[int, int]] = {
    "airplane": (644, 119),
    "bag": (40, 10),
    "cap": (40, 10),
    "car": (217, 55),
    "chair": (874, 245),
    "earphone": (40, 10),
    "guitar": (181, 55),
    "knife": (91, 28),
    "lamp": (368, 100),
    "laptop": (106, 29),
    "motorbike": (41, 18),
    "mug": (43, 13),
    "pistol": (69, 15),
    "rocket": (40, 10),
    "skateboard": (40, 11),
    "table": (1262, 296),
}
"""Train and test shapes: ShapeNet-Part's official split brought to 4,096 and 1,024, at least 40 and 10 a category."""

_CHUNK = 64

_Job = tuple[int, int, int]  # split, category, index
_Labelled = tuple[NDArray[np.float32], NDArray[np.int64]]


def make_shape(
    category: str,
    seed: int | np.random.SeedSequence | np.random.Generator,
    points: int = 2048,
    style: str | None = None,
) -> NDArray[np.float32]:
    """Make one shape.

    Parameters
    ----------
    category : one of `CATEGORIES`
    style : one of `STYLES[category]`; drawn when None

    Returns
    -------
    (points, 3) float32 in the unit sphere, z up, facing x; any first n of them are a random sample of the shape.
    """
    if category not in STYLES:
        raise ValueError(f"there is no category {category!r} in shapes16; it has {', '.join(CATEGORIES)}")
    styles = STYLES[category]
    if style is not None and style not in styles:
        raise ValueError(f"there is no style {style!r} of {category}; it has {', '.join(styles)}")
    rng = np.random.default_rng(seed)
    drawn = list(styles)[int(rng.integers(len(styles)))]
    return scan(styles[style or drawn](rng), rng, points)


def generate(*, seed: int = 0, points: int = 2048, jobs: int | None = None) -> Iterator[Event]:
    """Make the whole data set, in ``jobs`` processes; by default two, where as many may compute at a time.

    Yields
    ------
    `Progress`, and last a `Done` with (train, test), each (clouds (n, points, 3) float32, labels (n,) int64) in an
    order that mixes the categories.
    """
    plan = [_order(seed, split) for split in (0, 1)]
    queue = plan[0] + plan[1]
    starts = range(0, len(queue), _CHUNK)
    tasks = [(seed, points, queue[start : start + _CHUNK]) for start in starts]
    clouds = np.empty((len(queue), points, 3), dtype=np.float32)
    finished = 0
    yield Progress(0, len(queue), "making shapes")
    for place, made in map_in_processes(_make, tasks, jobs or min(2, allowed_threads())):
        clouds[starts[place] : starts[place] + len(made)] = made
        finished += len(made)
        yield Progress(finished, len(queue), "making shapes")
    labels = np.array([category for _, category, _ in queue], dtype=np.int64)
    cut = len(plan[0])
    yield Done(((clouds[:cut], labels[:cut]), (clouds[cut:], labels[cut:])))


def _order(seed: int, split: int) -> list[_Job]:
    jobs = [(split, label, index) for label, name in enumerate(CATEGORIES) for index in range(COUNTS[name][split])]
    shuffle = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(split,)))
    return [jobs[k] for k in shuffle.permutation(len(jobs))]


def _make(seed: int, points: int, jobs: Sequence[_Job]) -> NDArray[np.float32]:
    shapes = [make_shape(CATEGORIES[job[1]], np.random.SeedSequence(seed, spawn_key=job), points) for job in jobs]
    return np.stack(shapes)
