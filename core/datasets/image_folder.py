"""A person's own images: a folder for each class, or one folder and a file that tells their labels."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from core.datasets.base import DatasetError, Shape, Source, held_out, listing, missing, read_list, signature
from core.datasets.folder import in_class_folders
from core.events import Done, Event
from core.images import ImageFormat
from core.images.files import CROP, READABLE, SHORTER_SIDE, read_image
from core.runtime.files import FormatError, readable

LABELS = ("labels.txt", "labels.csv")
ACCEPTED = (
    f"CLASS/FILE, CLASS/train/FILE or train/CLASS/FILE (and test, val alike) with files {', '.join(READABLE)}; or such "
    f"files beside a {' or '.join(LABELS)} with FILE and LABEL in each line"
)
FORMAT = ImageFormat(shape=(3, CROP, CROP), value_range=(0.0, 255.0))

_TRAIN_FRACTION = 0.1
"""Fraction of each class that is the train split (seed 0) if nothing names splits: for what needs held-out images."""
_NUMBER = re.compile(r"[0-9]{1,9}")
_LINE_WANTED = "FILE and LABEL are expected in each line, with a space or a comma between"


def find(root: Path, allow_missing: bool) -> Source:
    """The images of a folder. If nothing names splits, all but a tenth of each class are the test split.

    A label that is a number n is the class "class n", as outputs without names are called.

    Raises
    ------
    DatasetError, FormatError
        If it holds no labelled images, the file of labels is damaged or names files that are missing, only some images
        are in a split, or a folder can't be read.
    """
    labels = next((root / name for name in LABELS if (root / name).is_file()), None)
    notes: tuple[str, ...] = ()
    if labels is None:
        found = in_class_folders(root, READABLE, ACCEPTED)
    else:
        found, notes = _in_list(root, labels, allow_missing)
    classes = sorted({class_name for _, class_name, _ in found}, key=_in_order)
    splits = [split for split, _, _ in found]
    if not splits[0]:
        train = held_out(np.array([classes.index(class_name) for _, class_name, _ in found]), _TRAIN_FRACTION, seed=0)
        splits = ["train" if held else "test" for held in train]
    shapes = [
        Shape(split, class_name, readable(path.name), path)
        for split, (_, class_name, path) in zip(splits, found, strict=True)
    ]

    def read() -> Iterator[Event]:
        made = listing(shapes, tuple(classes), lambda shape: read_image(shape.path))
        yield Done(replace(made, points=0, image=FORMAT, image_type="|u1"))

    return Source(
        name="images",
        title=f"Images of {readable(root.resolve().name)}",
        up_axis="none",
        licence="that of its files",
        origin=readable(root.resolve()),
        sampling=f"the middle {CROP} x {CROP} pixels after the shorter side was resized to {SHORTER_SIDE}",
        location=str(root.resolve()),
        signature=signature([*(shape.path for shape in shapes), *([labels] if labels else [])]),
        read=read,
        notes=notes,
    )


def _in_list(root: Path, labels: Path, allow_missing: bool) -> tuple[list[tuple[str, str, Path]], tuple[str, ...]]:
    """No split, class and path of each file in a list, and notes about those that are missing."""
    found: dict[str, str] = {}
    for number, line in enumerate(read_list(labels, _LINE_WANTED).splitlines(), 1):
        if not (text := line.replace("\t", " ").strip()):
            continue
        name, _, label = (part.strip() for part in text.rpartition("," if "," in text else " "))
        if not name or not label or Path(name).name != name:
            raise FormatError(labels, f"line {number} is not a file of this folder and its label", _LINE_WANTED)
        if name in found:
            raise FormatError(labels, f"line {number} names {name} again", _LINE_WANTED)
        found[name] = f"class {int(label)}" if _NUMBER.fullmatch(label) else label
    if not found:
        raise DatasetError(f"{readable(labels)} names no images; accepted are {ACCEPTED}.")
    gone, notes = missing(root, [root / name for name in found], allow_missing)
    places = [("", class_name, root / name) for name, class_name in sorted(found.items()) if root / name not in gone]
    return places, notes


def _in_order(class_name: str) -> tuple[int, str]:
    """Sorts "class 2" before "class 10"."""
    _, _, number = class_name.rpartition("class ")
    return (int(number) if number.isdecimal() else -1, class_name)
