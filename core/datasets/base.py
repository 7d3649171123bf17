"""The types of a dataset: those the program uses, and those that a loader hands to the cache."""

import hashlib
import json
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, computed_field

from core.clouds import Cloud, Points
from core.clouds.frames import AS_IT_IS, Axis, Orientation, Rotation, axis_named
from core.events import Event
from core.images import ImageFormat, Modality, modality_of
from core.runtime.files import FormatError, read_whole, readable
from core.runtime.text import sentence

SPLITS = ("train", "val", "test")
POINTS = 2048
"""Points of every shape, unless all shapes of a source have another number."""


_MOST_BYTES = 1 << 24
"""Largest list or index, in bytes; the longest known has a million."""


class DatasetError(ValueError):
    """A dataset cannot be opened: one printable sentence that says what is wrong, where, and what is accepted."""

    def __init__(self, text: str) -> None:
        super().__init__(sentence(text))


class Card(BaseModel):
    """What to know about a dataset before using it."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    classes: tuple[str, ...]
    splits: dict[str, int]
    """Number of shapes by split."""
    points: int
    """Points of every shape; any first n of them are a random sample of it. 0 of images."""
    image: ImageFormat | None = None
    """What its images are; None of clouds."""
    up_axis: str
    """Axis that points up: x, y, z, -x, -y or -z; "unknown" if nobody has said, "none" of images."""
    given_up: Axis | None = None
    """Axis that points up in the files, if a person gave it; the clouds have been turned to have ``up_axis`` up."""
    turn: float = 0.0
    """Degrees about the up axis by which the clouds have been turned after that."""
    licence: str
    source: str
    sampling: str
    """How the points were drawn."""
    fingerprint: str
    """SHA-256 over the exact clouds, labels, names, classes and split sizes."""
    copies: int = 0
    """Test shapes that copy training shapes, except for the order of points and small details (see ``copies.py``)."""
    exact_copies: int = 0
    """Copies that differ from a training shape only in the order of points."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def modality(self) -> Modality:
        """What its samples are."""
        return "clouds" if self.image is None else "images"

    @property
    def orientation(self) -> Orientation:
        """The orientation of the clouds in their files that was given."""
        return Orientation(self.given_up, self.turn)

    @property
    def frame(self) -> dict[str, Any]:
        """The up axis and the given orientation, for a record."""
        return {"up_axis": self.up_axis, "given_up": self.given_up, "turn": self.turn}

    @property
    def drawn_up(self) -> Literal["y", "z"]:
        """The axis that figures draw upwards; y if the up axis is not known."""
        return "z" if self.up_axis == "z" else "y"


@dataclass(frozen=True, eq=False)
class Split:
    """The shapes of one split."""

    points: Points
    """(n, P, 3) float32 in the unit sphere, memory-mapped and read-only: copy what goes to torch.

    Of images (n, C, H, W), in float32 or, if their values are whole numbers from 0 to 255, in uint8.
    """
    labels: NDArray[np.int64]
    """(n,) indices into the card's classes."""
    names: Sequence[str]
    copies: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """(c,) rows of the shapes that are copies of training shapes; filled only for the test split."""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def has_images(self) -> bool:
        return modality_of(self.points) == "images"

    def samples(self, rows: NDArray[np.int64], points: int) -> NDArray[np.float32]:
        """Clouds (m, points, 3), the first points of each; of images all there is, (m, C, H, W) in float32."""
        return self.points[rows].astype(np.float32, copy=False) if self.has_images else self.points[rows, :points]


@dataclass(frozen=True, eq=False)
class Dataset:
    """A card and its splits; train and test are always there, though one may be empty."""

    card: Card
    splits: Mapping[str, Split]

    def split(self, name: str) -> Split:
        """One split.

        Raises
        ------
        DatasetError
            If the dataset has no such split.
        """
        if name not in self.splits:
            raise DatasetError(f"{self.card.name} has no split {name!r}; it has {', '.join(self.splits)}.")
        return self.splits[name]

    def cloud(self, split: str, row: int, points: int | None = None) -> Cloud:
        """Shape ``row`` of a split, all its points or the first few, a random sample; a DatasetError of images."""
        if self.card.modality == "images":
            raise DatasetError(f"{self.card.name} has images and no clouds: choose another dataset.")
        part = self.split(split)
        label = int(part.labels[row])
        return Cloud(np.array(part.points[row][:points]), part.names[row], label, self.card.classes[label])

    def validation(self, fraction: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Split a validation part off train, stratified by class; test is never touched.

        Returns
        -------
        train, validation
            Sorted rows of the train split; every class of 2 or more shapes is in both.
        """
        if not 0 < fraction < 1:
            raise DatasetError(f"the validation part must be between 0 and 1 of the train split, not {fraction}.")
        held = held_out(self.split("train").labels, fraction, seed)
        return np.flatnonzero(~held), np.flatnonzero(held)


def held_out(labels: NDArray[np.integer], fraction: float, seed: int) -> NDArray[np.bool_]:
    """A mask (n,) over a seeded, stratified ``fraction``: of each class of 2 or more, at least 1 in and 1 out."""
    rng = np.random.default_rng(seed)
    held = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        count = min(max(1, round(fraction * len(rows))), len(rows) - 1)
        held[rows[:count]] = True
    return held


def choose_rows(labels: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """At most ``count`` rows, spread evenly over a split, with at least one of every class if ``count`` allows."""
    order = np.argsort(labels, kind="stable")
    if count >= len(order):
        return np.sort(order)
    firsts = np.searchsorted(labels[order], np.unique(labels))
    sure = order[firsts] if len(firsts) <= count else order[:0]
    others = order[~np.isin(order, sure)]
    places = np.linspace(0, len(others) - 1, count - len(sure)).round().astype(np.int64)
    return np.sort(np.concatenate([sure, others[places]]))


@dataclass(frozen=True)
class Listing:
    """The shapes of a source, split by split."""

    classes: tuple[str, ...]
    splits: Mapping[str, int]
    """Sizes, in the order in which the splits' shapes follow each other."""
    labels: Sequence[int] | NDArray[np.integer]
    names: Sequence[str]
    points: int
    """Points of each shape in the cache; clouds are resampled to it. 0 of images."""
    clouds: Iterable[NDArray[Any]]
    """(N, 3) each, read one by one while they are iterated over; of images (C, H, W), all of the same type."""
    image: ImageFormat | None = None
    """What the images are; None of clouds."""
    image_type: Literal["<f4", "|u1"] = "<f4"
    """NumPy's name of the type that the values of images are kept in: float32, or bytes."""


@dataclass(frozen=True)
class Source:
    """A dataset that was found in its root: its facts, and how to read its clouds."""

    name: str
    title: str
    up_axis: str
    licence: str
    origin: str
    sampling: str
    location: str
    """Distinguishes this source from others with its name, such as the path of its root."""
    signature: str
    """Changes whenever the source's content may have changed."""
    read: Callable[[], Iterator[Event]]
    """An operation whose result is a ``Listing``."""
    official: Mapping[str, int] = field(default_factory=dict)
    """Published split sizes; a note tells if the sizes here differ."""
    notes: tuple[str, ...] = ()
    orientation: Orientation = AS_IT_IS
    """How the clouds stand in their files."""
    rotation: Rotation | None = None
    """Rotation of the clouds before they are cached."""

    def turned(self, orientation: Orientation, expected: Axis) -> "Source":
        """The source with its clouds turned so that ``expected`` points up; it has a separate cache."""
        if not orientation.given:
            return self
        orientation = replace(orientation, up=orientation.up or axis_named(self.up_axis) or expected)
        rotation = orientation.rotation(expected)
        other = replace(self, orientation=orientation, up_axis=expected)
        if np.array_equal(rotation, np.eye(3)):
            return other
        return replace(other, rotation=rotation, location=f"{self.location} turned by {rotation.tolist()}")


@dataclass(frozen=True)
class Shape:
    """A shape in its own file."""

    split: str
    class_name: str
    name: str
    path: Path

    @property
    def seed(self) -> int:
        """Seed for everything that is random about this shape."""
        return seed_of(self.name)


def seed_of(name: str) -> int:
    return zlib.crc32(name.encode())


def listing(shapes: Iterable[Shape], classes: tuple[str, ...], read: Callable[[Shape], NDArray[Any]]) -> Listing:
    """The listing of shapes in one file each, sorted by split, class and name."""
    order = sorted(shapes, key=lambda shape: (SPLITS.index(shape.split), shape.class_name, shape.name))
    return Listing(
        classes=classes,
        splits=sizes(shape.split for shape in order),
        labels=[classes.index(shape.class_name) for shape in order],
        names=[shape.name for shape in order],
        points=POINTS,
        clouds=(read(shape) for shape in order),
    )


def sizes(splits: Iterable[str]) -> dict[str, int]:
    """Split sizes, in the order of ``SPLITS``; val only where there is one."""
    counts = Counter(splits)
    return {name: counts[name] for name in SPLITS if name != "val" or counts[name]}


def missing(root: Path, paths: Sequence[Path], allowed: bool) -> tuple[set[Path], tuple[str, ...]]:
    """The listed files that are missing under a root, and notes about it.

    Raises
    ------
    DatasetError
        If files are missing and that is not allowed, or if all are.
    """
    gone = [path for path in paths if not path.is_file()]
    if not gone:
        return set(), ()
    first = gone[0].relative_to(root).as_posix() + (" and so on" if len(gone) > 1 else "")
    text = f"{len(gone):,} of the {len(paths):,} entries in the lists of {root} have no file ({first})"
    if not allowed or len(gone) == len(paths):
        raise DatasetError(f"{text}; put them there, or allow missing files to go on with those that are there.")
    return set(gone), (f"{text}.",)


def check_folders(root: Path, depth: int) -> None:
    """Check that a folder and its subfolders down to a depth can be listed; a search would skip one that cannot.

    Raises
    ------
    DatasetError
        If one cannot be listed; its shapes would be missing without notice.
    """
    try:
        folders = [entry.path for entry in os.scandir(root) if entry.is_dir()]
    except OSError as error:
        raise DatasetError(
            f"{readable(root)} cannot be read ({error.strerror}); allow reading it, or take it out of the dataset."
        ) from None
    if depth > 0:
        for folder in folders:
            check_folders(Path(folder), depth - 1)


def read_list(path: Path, accepted: str) -> str:
    """The text of a list or an index that comes with a dataset.

    Raises
    ------
    FormatError
        If it cannot be read as text; the message ends with ``accepted``.
    """
    try:
        return read_whole(path, _MOST_BYTES, accepted).decode("utf-8")
    except UnicodeDecodeError:
        raise FormatError(path, "it is not text in UTF-8", accepted) from None


def read_json_list(path: Path, accepted: str) -> list[str]:
    """Read a JSON list of strings; errors as in ``read_list``."""
    text = read_list(path, accepted)
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError):
        entries = None
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        raise FormatError(path, "it is not a list of names in JSON", accepted)
    return entries


def signature(files: Iterable[Path]) -> str:
    """SHA-256 over the names, sizes and modification times of a source's files."""
    digest = hashlib.sha256()
    for path in sorted(files):
        status = path.stat()
        digest.update(os.fsencode(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n"))
    return digest.hexdigest()
