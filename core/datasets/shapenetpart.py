"""ShapeNet-Part (Yi et al., A scalable active framework for region annotation, 2016), whole shapes with their category.

The split is that of the official lists: 12,137 train, 1,870 val, 2,874 test; Defense-PointNet uses train and test. The
lists name 35 shapes in two splits each; they are kept so, since published results include them.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from core.clouds import Points
from core.clouds.files import read_points
from core.datasets.base import (
    SPLITS,
    DatasetError,
    Shape,
    Source,
    check_folders,
    listing,
    missing,
    read_json_list,
    read_list,
    signature,
)
from core.events import Done, Event

ACCEPTED = (
    "shapenetcore_partanno_segmentation_benchmark_v0_normal (category/*.txt) or its older form (category/points/*.pts) "
    "with train_test_split; or the older train_data, val_data and test_data with category/*.pts"
)
OFFICIAL = {"train": 12137, "val": 1870, "test": 2874}
POINTS = 2500
"""Points of every shape: as many as the first paper draws, with replacement."""


def find(root: Path, allow_missing: bool) -> Source:
    """ShapeNet-Part in one of its official layouts.

    Raises
    ------
    DatasetError
        If the root is none of them, or shapes of the official split are missing and that is not allowed.
    """
    categories = _categories(root)
    check_folders(root, 2)
    shapes = (
        _shapes_in_lists(root, categories)
        if (root / "train_test_split").is_dir()
        else _shapes_in_folders(root, categories)
    )
    short = [
        f"{count:,} of {OFFICIAL[split]:,} {split}"
        for split in SPLITS
        if (count := sum(shape.split == split for shape in shapes)) != OFFICIAL[split]
    ]
    if not shapes or (short and not allow_missing):
        counts = f"{root} has {', '.join(short)} shapes of the official split"
        raise DatasetError(f"{counts}; complete it, or allow missing files to go on with those that are there.")
    lists = [root / "synsetoffset2category.txt", *root.glob("train_test_split/*.json")]
    gone, notes = missing(root, [shape.path for shape in shapes], allow_missing)
    shapes = [shape for shape in shapes if shape.path not in gone]

    def read() -> Iterator[Event]:
        found = listing(shapes, tuple(sorted(categories.values())), _read_shape)
        yield Done(replace(found, points=POINTS))

    return Source(
        name="shapenetpart",
        title="ShapeNet-Part",
        up_axis="y",
        licence="ShapeNet terms of use: non-commercial research and education",
        origin="Yi et al., A scalable active framework for region annotation in 3D shape collections, 2016",
        sampling=f"{POINTS:,} drawn at random from the points of each shape",
        location=f"{root.resolve()} {allow_missing}",
        signature=signature([*lists, *(shape.path for shape in shapes)]),
        read=read,
        official=OFFICIAL,
        notes=notes,
    )


def _read_shape(shape: Shape) -> Points:
    return read_points(shape.path, suffix=".pts")


def _categories(root: Path) -> dict[str, str]:
    """Class name by synset offset; all of the file, so that labels do not depend on which shapes are there."""
    path = root / "synsetoffset2category.txt"
    lines = [line.split() for line in read_list(path, f"accepted are {ACCEPTED}").splitlines() if line.strip()]
    try:
        return {synset: name.lower() for name, synset in lines}
    except ValueError:
        raise DatasetError(f"{path} is not lines of a category and its synset; accepted are {ACCEPTED}.") from None


def _shapes_in_lists(root: Path, categories: dict[str, str]) -> list[Shape]:
    """The shapes of the lists, whether their files are there or not."""
    older = any(root.glob("*/points"))
    shapes = []
    for split in SPLITS:
        path = root / "train_test_split" / f"shuffled_{split}_file_list.json"
        entries = read_json_list(path, "a list of shape_data/SYNSET/NAME is accepted")
        try:
            for entry in entries:
                _, synset, name = entry.split("/")
                file = root / synset / "points" / f"{name}.pts" if older else root / synset / f"{name}.txt"
                shapes.append(Shape(split, categories[synset], f"{categories[synset]}_{name}", file))
        except (ValueError, KeyError):
            raise DatasetError(f"{path} is not a list of shape_data/SYNSET/NAME with known synsets.") from None
    return shapes


def _shapes_in_folders(root: Path, categories: dict[str, str]) -> list[Shape]:
    """The shapes of the layout without lists: SPLIT_data/SYNSET/NAME.pts, or pts/SYNSET/NAME.pts.SPLIT."""
    return [
        Shape(split, categories[synset], f"{categories[synset]}_{path.name.partition('.')[0]}", path)
        for split in SPLITS
        for synset in sorted(categories)
        for path in (*root.glob(f"{split}_data/{synset}/*.pts"), *root.glob(f"pts/{synset}/*.pts.{split}"))
    ]
