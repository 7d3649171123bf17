"""What several commands share: their parameters, and how a dataset is opened."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators
from platformdirs import user_cache_path

from core.clouds.frames import AS_IT_IS, STANDARD_UP, Axis, Orientation
from core.commands.checks import (
    check_dataset,
    check_device,
    check_exists,
    check_figure,
    check_folder,
    check_model,
    check_root,
    check_table,
    validated,
)
from core.commands.console import follow
from core.datasets import Dataset, open_dataset
from core.defenses import DEFENSES, names
from core.events import Cancel, Event
from core.runtime.devices import DeviceName

Flat = Parameter(name="*")
ModelName = Annotated[str, validated(check_model)]
DefenseName = Annotated[
    str | None,
    validated(
        names.parse,
        help=f"Input defence before the model: {', '.join(DEFENSES)}; with settings as sor:k=2,alpha=1.1.",
    ),
]
DatasetName = Annotated[str, validated(check_dataset)]
Count = Annotated[int | None, Parameter(validator=validators.Number(gte=1))]
FigureFile = Annotated[Path | None, validated(check_figure)]
TableFile = Annotated[Path | None, validated(check_table)]
Folder = Annotated[Path, validated(check_folder)]
DataRoot = Annotated[
    Path | None,
    validated(check_exists, help="Where the dataset's files are, for those that are not built in."),
]
Device = Annotated[DeviceName, validated(check_device, help="Where to compute.")]
Seed = Annotated[int, Parameter(validator=validators.Number(gte=0, lt=2**31))]
AllowMissing = Annotated[
    bool, Parameter(negative="", help="Go on where some files of a dataset's official list are missing.")
]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print the result as one JSON object.")]


def cache_folder() -> Path:
    """Where converted datasets are kept."""
    return user_cache_path("pointward")


def find_dataset(
    name: str,
    root: Path | None,
    allow_missing: bool = False,
    orientation: Orientation = AS_IT_IS,
    expected: Axis = STANDARD_UP,
) -> Dataset:
    """Open a dataset by name, with a progress bar if that takes long.

    Parameters
    ----------
    orientation, expected
        How the clouds stand in the files, and the axis that points up after they have been turned.

    Raises
    ------
    UsageError
        As ``check_root``.
    DatasetError, FormatError
        If it cannot be opened.
    """
    check_root(name, root)

    def opening(cancel: Cancel) -> Iterator[Event]:
        for event in open_dataset(
            name, root, cache_folder(), allow_missing=allow_missing, orientation=orientation, expected=expected
        ):
            if cancel.requested:  # half a dataset is of no use
                raise KeyboardInterrupt
            yield event

    dataset: Dataset = follow(opening, f"opening {name}")[0]
    return dataset
