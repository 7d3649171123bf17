"""The registry of datasets, and opening one of them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from core.clouds.frames import AS_IT_IS, STANDARD_UP, Axis, Orientation
from core.datasets import builtin, digits, folder, image_folder, modelnet40, shapenetpart
from core.datasets.base import Card, Dataset, DatasetError, Source, Split, choose_rows
from core.datasets.cache import cached
from core.events import Event
from core.images import Modality
from core.runtime.files import readable

__all__ = [
    "REGISTRY",
    "Card",
    "Dataset",
    "DatasetError",
    "Spec",
    "Split",
    "check_turnable",
    "choose_rows",
    "open_dataset",
]


@dataclass(frozen=True)
class Spec:
    """A dataset that can be opened."""

    summary: str
    """One line for a list or a tooltip."""
    accepted: str
    """What its root may be; empty if it is built in."""
    find: Callable[[Path, bool], Source]
    """Finds it in a root; the second argument allows that files are missing."""
    modality: Modality = "clouds"

    @property
    def needs_root(self) -> bool:
        return bool(self.accepted)


REGISTRY: Mapping[str, Spec] = {
    "shapes16": Spec(
        "Built in: 16 everyday categories, procedural, scanned with noise.",
        "",
        lambda root, allow_missing: builtin.find(),
    ),
    "modelnet40": Spec(
        "ModelNet40: 12,311 CAD shapes of 40 classes.",
        modelnet40.ACCEPTED,
        lambda root, allow_missing: modelnet40.find("modelnet40", root, allow_missing),
    ),
    "modelnet16": Spec(
        "The 16 classes of ModelNet40 that stand in for ShapeNet's: 6,228 train, 1,360 test.",
        modelnet40.ACCEPTED,
        lambda root, allow_missing: modelnet40.find("modelnet16", root, allow_missing),
    ),
    "shapenetpart": Spec(
        "ShapeNet-Part: 16,881 shapes of 16 categories, the split of Defense-PointNet (12,137 train, 2,874 test).",
        shapenetpart.ACCEPTED,
        shapenetpart.find,
    ),
    "folder": Spec(
        "Your own shapes: a folder for each class.",
        folder.ACCEPTED,
        lambda root, allow_missing: folder.find(root),
    ),
    "digits": Spec(
        "Built in: 1,797 images of handwritten digits, 8 x 8, of scikit-learn.",
        "",
        lambda root, allow_missing: digits.find(),
        "images",
    ),
    "images": Spec(
        "Your own images: a folder for each class, as ImageNet's validation images, or a list of labels.",
        image_folder.ACCEPTED,
        image_folder.find,
        "images",
    ),
}


def check_turnable(name: str) -> None:
    """Check that a dataset has files of clouds, so that an orientation can be given for these.

    Raises
    ------
    DatasetError
        If it is built in, or has images.
    """
    if name in REGISTRY and REGISTRY[name].modality == "images":
        raise DatasetError(f"{name} has images: --up and --turn are for clouds.")
    if name in REGISTRY and not REGISTRY[name].needs_root:
        raise DatasetError(f"{name} is built in and has {STANDARD_UP} up: --up and --turn are for files and folders.")


def open_dataset(
    name: str,
    root: Path | None,
    cache: Path,
    *,
    allow_missing: bool = False,
    orientation: Orientation = AS_IT_IS,
    expected: Axis = STANDARD_UP,
) -> Iterator[Event]:
    """Open a dataset, converting it into its memory-mapped cache the first time.

    Parameters
    ----------
    root
        Folder or file of a dataset that needs one (``REGISTRY[name].accepted``), else None.
    cache
        Folder that holds the caches of all datasets.
    allow_missing
        If some files of an official list are missing, go on with the others.
    orientation
        How the clouds stand in the files; they are turned so that the axis ``expected`` points up.

    Yields
    ------
    ``Note`` and ``Progress``, at last ``Done`` with the ``Dataset``.

    Raises
    ------
    DatasetError, FormatError
        One sentence: what is wrong, where, and what is accepted.
    """
    if (spec := REGISTRY.get(name)) is None:
        raise DatasetError(f"There is no dataset {name!r}; there are {', '.join(REGISTRY)}.")
    if root is None and spec.needs_root:
        raise DatasetError(f"{name} needs a root; accepted are {spec.accepted}.")
    if root is not None and not spec.needs_root:
        raise DatasetError(f"{name} is built in and takes no root.")
    if orientation.given:
        check_turnable(name)
    root = Path(root or ".").resolve()  # so that a relative and an absolute path share a cache
    if not root.exists():
        raise DatasetError(f"{readable(root)} does not exist; accepted for {name} are {spec.accepted}.")
    yield from cached(spec.find(root, allow_missing).turned(orientation, expected), cache)
