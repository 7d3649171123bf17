"""shapes16, the built-in dataset: made on this machine, the same on every machine."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.datasets.base import Listing, Source, signature
from core.events import Done, Event, forward


def find() -> Source:
    """The built-in shapes. They are made anew where the program that makes them has changed."""
    programs = sorted((Path(__file__).parent / "shapes16").glob("*.py"))
    return Source(
        name="shapes16",
        title="shapes16",
        up_axis="z",
        licence="MIT",
        origin="procedural: made by Pointward from seed 0",
        sampling="2,048 scanned by area from the outer surfaces of each shape, with a little noise",
        location="",
        signature=signature(programs or [Path(sys.executable)]),  # a bundle has no sources: the program as a whole
        read=_read,
    )


def _read() -> Iterator[Event]:
    from core.datasets.shapes16 import generate

    made = yield from forward(generate(seed=0))
    yield Done(_listing(*made.value))


def _listing(*splits: tuple[NDArray[np.float32], NDArray[np.int64]]) -> Listing:
    """Train and test, each (clouds, labels), in the order of their classes."""
    from core.datasets.shapes16 import CATEGORIES

    order = [np.argsort(labels, kind="stable") for _, labels in splits]
    labels = np.concatenate([labels[rows] for (_, labels), rows in zip(splits, order, strict=True)])
    return Listing(
        classes=CATEGORIES,
        splits={name: len(rows) for name, rows in zip(("train", "test"), order, strict=True)},
        labels=labels,
        names=_shape_names(CATEGORIES, labels),
        points=splits[0][0].shape[1],
        clouds=(clouds[row] for (clouds, _), rows in zip(splits, order, strict=True) for row in rows),
    )


def _shape_names(classes: Sequence[str], labels: NDArray[np.int64]) -> list[str]:
    """airplane_0001 and so on, counted through train and test."""
    seen = [0] * len(classes)
    names = []
    for label in labels:
        seen[label] += 1
        names.append(f"{classes[label]}_{seen[label]:04d}")
    return names
