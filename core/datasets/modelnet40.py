"""ModelNet40 (Wu et al., 3D ShapeNets, 2015) in the four layouts of its distributions, and its 16-class subset."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.clouds.files import read_points
from core.clouds.readers.arrays import npz_names, read_npz_fields
from core.clouds.readers.hdf5 import read_h5_fields
from core.datasets.base import (
    POINTS,
    DatasetError,
    Listing,
    Shape,
    Source,
    check_folders,
    listing,
    missing,
    read_json_list,
    read_list,
    signature,
    sizes,
)
from core.events import Done, Event
from core.runtime.files import FormatError, reason, require_regular_file

ACCEPTED = (
    "modelnet40*.npz with points, label, split, name, classes; a folder with ply_data_train*.h5 and shape_names.txt; "
    "modelnet40_normal_resampled with its lists; or a folder of class/train/*.off and class/test/*.off"
)
MODELNET16 = (
    *("airplane", "bed", "bookshelf", "bottle", "car", "chair", "cup", "guitar"),
    *("lamp", "laptop", "monitor", "piano", "sofa", "table", "toilet", "vase"),
)
"""The 16 classes used in place of the 16 ShapeNet classes of Defense-PointNet."""

_OFFICIAL = {"modelnet40": {"train": 9843, "test": 2468}, "modelnet16": {"train": 6228, "test": 1360}}
_NPZ = "an archive with points, label, split, name and classes is accepted"
_MOST_BYTES = {"points": 800_000_000, "label": 1 << 24, "split": 1 << 24, "name": 1 << 26, "classes": 1 << 20}
"""Largest fields of such an archive; ModelNet40 with 2,048 points in double precision fits."""
_H5 = "fields data (n, P, 3) and label (n,) are accepted, all data of up to 600 MB together"
_MOST_H5_BYTES = 600_000_000
_STORED = "as stored, in random order"


@dataclass(frozen=True)
class _Layout:
    """One of the file layouts in which ModelNet40 is distributed."""

    files: Sequence[Path]
    up_axis: str
    sampling: str
    read: Callable[[], Listing]
    notes: tuple[str, ...] = ()


def find(name: str, root: Path, allow_missing: bool) -> Source:
    """ModelNet40, or with the name ``modelnet16`` its subset with labels renumbered alphabetically.

    Raises
    ------
    DatasetError
        If the root is none of the layouts, or files it lists are missing.
    """
    only = MODELNET16 if name == "modelnet16" else None
    if root.is_file():
        layout = _npz_layout(root, only)
    elif archives := sorted(root.glob("modelnet40*.npz")):
        layout = _npz_layout(archives[0], only)
    elif (root / "modelnet40_train.txt").is_file():
        layout = _resampled_layout(root, only, allow_missing)
    elif any(root.glob("ply_data_train*.h5")):
        layout = _hdf5_layout(root, only, allow_missing)
    elif any(root.glob("*/train/*.off")):
        layout = _off_layout(root, only)
    else:
        raise DatasetError(f"{root} is not ModelNet40; accepted are {ACCEPTED}.")

    def read() -> Iterator[Event]:
        yield Done(layout.read())

    return Source(
        name=name,
        title="ModelNet40" if only is None else "ModelNet16",
        up_axis=layout.up_axis,
        licence="academic use only",
        origin="Wu et al., 3D ShapeNets, CVPR 2015" + ("" if only is None else "; 16 of the 40 classes"),
        sampling=layout.sampling,
        location=f"{root.resolve()} {allow_missing}",
        signature=signature(layout.files),
        read=read,
        official=_OFFICIAL[name],
        notes=layout.notes,
    )


def is_modelnet_archive(path: Path) -> bool:
    """Whether a file is an .npz archive with the fields of ModelNet."""
    return path.suffix.lower() == ".npz" and _MOST_BYTES.keys() <= npz_names(path)


def _npz_layout(path: Path, only: Sequence[str] | None) -> _Layout:
    def read() -> Listing:
        require_regular_file(path, _NPZ)
        try:
            fields = read_npz_fields(path, _MOST_BYTES)
        except FormatError:
            raise
        except Exception as error:  # a damaged file makes zipfile raise almost anything
            raise FormatError(path, f"it is not ModelNet40{reason(error)}", _NPZ) from error
        if fields["split"].dtype.kind not in "iu" or not np.isin(fields["split"], (0, 1)).all():
            raise DatasetError(f"{path}: its field split holds other numbers than 0 and 1.")
        for name in ("name", "classes"):
            if fields[name].ndim != 1 or fields[name].dtype.kind != "U":
                raise DatasetError(f"{path}: its field {name} is not a row of names.")
        classes, splits = fields["classes"].tolist(), np.where(fields["split"] == 1, "test", "train")
        return _listing(path, fields["points"], fields["label"], splits, fields["name"], classes, only)

    return _Layout([path], "z", _STORED, read)


def _hdf5_layout(root: Path, only: Sequence[str] | None, allow_missing: bool) -> _Layout:
    parts: list[tuple[str, Path]] = []
    for split in ("train", "test"):
        listed = root / f"{split}_files.txt"
        # Its paths begin where the authors of the archive unpacked it.
        paths = [root / Path(line).name for line in _read_lines(listed)] if listed.is_file() else []
        parts += [(split, path) for path in paths or sorted(root.glob(f"ply_data_{split}*.h5"))]
    gone, notes = missing(root, [path for _, path in parts], allow_missing)
    parts = [(split, path) for split, path in parts if path not in gone]

    def read() -> Listing:
        classes = _read_lines(root / "shape_names.txt")
        points: list[NDArray[Any]] = []
        labels, splits, names = [], [], []
        for split, path in parts:
            require_regular_file(path, _H5)
            data, label = read_h5_fields(path, ("data", "label"))
            if data.ndim != 3 or sum(part.nbytes for part in (*points, data)) > _MOST_H5_BYTES:
                raise FormatError(path, f"with it the clouds are {data.shape} of {len(points) + 1} files", _H5)
            points.append(data)
            labels.append(label.ravel())
            _check_labels(path, labels[-1], classes)
            splits += [split] * len(labels[-1])
            names += _hdf5_names(path, labels[-1], classes)
        if len({array.shape[1:] for array in points}) > 1:
            raise DatasetError(f"{root}: its files have clouds of different sizes.")
        return _listing(root, np.concatenate(points), np.concatenate(labels), np.array(splits), names, classes, only)

    lists = [path for pattern in ("*.txt", "*.json") for path in root.glob(pattern)]
    return _Layout([*lists, *(path for _, path in parts)], "y", _STORED, read, notes)


def _hdf5_names(path: Path, labels: NDArray[np.integer], classes: Sequence[str]) -> list[str]:
    """The names in the archive's own index beside the file, else class, file and row."""
    index = path.with_name(f"{path.stem[:-1]}_{path.stem[-1]}_id2file.json")
    if index.is_file():
        names = [Path(name).stem for name in read_json_list(index, "the clouds' names in order are accepted")]
        if len(names) == len(labels):
            return names
    part = path.stem.removeprefix("ply_data_")
    return [f"{classes[label]}_{part}_{row:04d}" for row, label in enumerate(labels)]


def _check_labels(path: Path, labels: NDArray[Any], classes: Sequence[str]) -> None:
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DatasetError(f"{path}: its labels are {labels.dtype} {labels.shape}, not a row of whole numbers.")
    if not labels.size or not 0 <= labels.min() <= labels.max() < len(classes):
        found = f"go from {labels.min()} to {labels.max()}" if labels.size else "are none"
        raise DatasetError(f"{path}: its labels {found} for {len(classes)} classes.")


def _listing(
    path: Path,
    points: NDArray[np.floating],
    labels: NDArray[np.integer],
    splits: NDArray[np.str_],
    names: Sequence[str] | NDArray[np.str_],
    classes: Sequence[str],
    only: Sequence[str] | None,
) -> Listing:
    """The listing of clouds (n, P, 3) in one array, with labels renumbered in the alphabetical order of the classes."""
    _check_labels(path, labels, classes)
    count = len(points) if points.ndim else 0
    if points.ndim != 3 or points.shape[2] != 3 or {len(labels), len(splits), len(names)} != {count}:
        lengths = f"{len(labels):,} labels, {len(splits):,} splits and {len(names):,} names"
        raise DatasetError(f"{path}: it has {count:,} clouds {points.shape}, {lengths}.")
    kept = sorted(only or classes)
    if absent := set(kept) - set(classes):
        raise DatasetError(f"{path} has no class {', '.join(sorted(absent))}.")
    places = {name: place for place, name in enumerate(kept)}
    number = np.array([places.get(name, -1) for name in classes])[labels]
    rows = np.lexsort((np.array(names), number, splits == "test"))
    rows = rows[number[rows] >= 0]
    return Listing(
        classes=tuple(kept),
        splits=sizes(splits[rows].tolist()),
        labels=number[rows],
        names=[str(names[row]) for row in rows],
        points=points.shape[1],
        clouds=(points[row] for row in rows),
    )


def _resampled_layout(root: Path, only: Sequence[str] | None, allow_missing: bool) -> _Layout:
    classes = sorted(only or _read_lines(root / "modelnet40_shape_names.txt"))
    shapes = []
    for split in ("train", "test"):
        for name in _read_lines(root / f"modelnet40_{split}.txt"):
            if Path(name).name != name:
                raise DatasetError(f"{root}: its lists name the shape {name}, which would be in another folder.")
            class_name = name.rpartition("_")[0]
            if only is None or class_name in only:
                shapes.append(Shape(split, class_name, name, root / class_name / f"{name}.txt"))
    if strange := {shape.class_name for shape in shapes} - set(classes):
        raise DatasetError(f"{root}: its lists name the class {min(strange)}, its modelnet40_shape_names.txt does not.")
    gone, notes = missing(root, [shape.path for shape in shapes], allow_missing)
    shapes = [shape for shape in shapes if shape.path not in gone]
    sampling = f"{POINTS:,} drawn at random from the 10,000 of each shape"
    return _Layout(
        [*root.glob("*.txt"), *(shape.path for shape in shapes)],
        "y",
        sampling,
        lambda: listing(shapes, tuple(classes), lambda shape: read_points(shape.path)),
        notes,
    )


def _off_layout(root: Path, only: Sequence[str] | None) -> _Layout:
    check_folders(root, 2)
    shapes = [
        Shape(path.parent.name, path.parent.parent.name, path.stem, path)
        for split in ("train", "test")
        for path in root.glob(f"*/{split}/*.off")
    ]
    classes = sorted(only or {shape.class_name for shape in shapes})
    if absent := set(classes) - {shape.class_name for shape in shapes}:
        raise DatasetError(f"{root} has no class {', '.join(sorted(absent))}.")
    shapes = [shape for shape in shapes if shape.class_name in classes]
    return _Layout(
        [shape.path for shape in shapes],
        "z",
        f"{POINTS:,} drawn uniformly by area from each mesh",
        lambda: listing(shapes, tuple(classes), lambda shape: read_points(shape.path, POINTS, shape.seed)),
    )


def _read_lines(path: Path) -> list[str]:
    return read_list(path, f"accepted are {ACCEPTED}").split()
