"""A person's own dataset: a folder for each class, with any readable files."""

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from core.clouds import Points
from core.clouds.files import READABLE, read_points
from core.datasets.base import (
    POINTS,
    SPLITS,
    DatasetError,
    Shape,
    Source,
    check_folders,
    held_out,
    listing,
    signature,
)
from core.events import Done, Event
from core.runtime.files import readable

ACCEPTED = f"CLASS/FILE, CLASS/train/FILE or train/CLASS/FILE (and test, val alike) with files {', '.join(READABLE)}"

_TEST_FRACTION = 0.2
"""Fraction of each class that becomes the test split (seed 0) if the folders name no splits."""


def find(root: Path) -> Source:
    """The shapes of a folder.

    Raises
    ------
    DatasetError
        If it holds no class with readable files, only some of its files are in a split, or a folder can't be read.
    """
    found = in_class_folders(root, READABLE, ACCEPTED)
    classes = sorted({class_name for _, class_name, _ in found})
    splits = [split for split, _, _ in found]
    if not splits[0]:
        test = held_out(np.array([classes.index(class_name) for _, class_name, _ in found]), _TEST_FRACTION, seed=0)
        splits = ["test" if held else "train" for held in test]
    shapes = [
        Shape(split, class_name, _shape_name(class_name, readable(path.stem)), path)
        for split, (_, class_name, path) in zip(splits, found, strict=True)
    ]

    def read() -> Iterator[Event]:
        yield Done(listing(shapes, tuple(classes), _read_shape))

    return Source(
        name="folder",
        title=f"Folder {readable(root.resolve().name)}",
        up_axis="unknown",
        licence="that of its files",
        origin=readable(root.resolve()),
        sampling=f"{POINTS:,} drawn at random from each cloud, uniformly by area from each mesh",
        location=str(root.resolve()),
        signature=signature(shape.path for shape in shapes),
        read=read,
    )


def has_class_folders(root: Path) -> bool:
    """Whether there are readable files in folders of classes."""
    inside = (*root.glob("*/*"), *root.glob("*/*/*"))
    return any(path.suffix.lower() in READABLE and _split_and_class(path.relative_to(root).parts) for path in inside)


def in_class_folders(root: Path, endings: Collection[str], accepted: str) -> list[tuple[str, str, Path]]:
    """Split, class and path of each file with one of these endings in the folders of classes; all '' or no split is.

    Raises
    ------
    DatasetError
        If there is none, only some are in a split, or a folder can't be read.
    """
    check_folders(root, 2)
    found = [
        (*place, path)
        for path in sorted([*root.glob("*/*"), *root.glob("*/*/*")])
        if path.suffix.lower() in endings
        and path.is_file()
        and (place := _split_and_class(path.relative_to(root).parts))
    ]
    if not found:
        raise DatasetError(f"{readable(root)} holds no class with readable files; accepted are {accepted}.")
    if len({bool(split) for split, _, _ in found}) > 1:
        raise DatasetError(
            f"{readable(root)} has some files in train, val or test and others not; accepted are {accepted}."
        )
    return found


def _split_and_class(parts: tuple[str, ...]) -> tuple[str, str] | None:
    """Split ('' if none is named) and class of a file, from its folders; None if it is in no class folder."""
    match parts:
        case (class_name, _) if class_name not in SPLITS:
            return "", readable(class_name)
        case (split, class_name, _) if split in SPLITS:
            return split, readable(class_name)
        case (class_name, split, _) if split in SPLITS:
            return split, readable(class_name)
    return None


def _shape_name(class_name: str, stem: str) -> str:
    return stem if stem.startswith(class_name) else f"{class_name}_{stem}"


def _read_shape(shape: Shape) -> Points:
    return read_points(shape.path, None, shape.seed)  # all of a cloud, so that copies are found before points are drawn
