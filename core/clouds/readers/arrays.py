"""Readers of the array formats: .npy, .npz and .h5. Nothing is ever unpickled."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.runtime.files import FormatError

ARRAY = "an array (N, 3) to (N, 7) of real numbers is accepted"


def read_npy(path: Path, most: int) -> NDArray[Any]:
    """The first three columns (N, 3) of an array of up to ``most`` rows."""
    return _first_columns(path, "its array", np.load(path, mmap_mode="r", allow_pickle=False), most)


def read_npz(path: Path, most: int) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
    """The first three columns (N, 3) of the field that holds the cloud, and the small fields (up to three numbers)."""
    with zipfile.ZipFile(path) as archive:
        sizes = {info.filename.removesuffix(".npy"): info.file_size for info in archive.infolist()}
    with path.open("rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as archive:
        name = _chosen(path, archive.files)
        if sizes[name] > 8 * 7 * most + 1000:  # double precision, 7 columns and the header
            raise FormatError(path, f"field {name!r} has {sizes[name]:,} bytes", f"up to {most:,} points are accepted")
        rest = {other: archive[other] for other, size in sizes.items() if other != name and size < 1000}
        return _first_columns(path, f"field {name!r}", archive[name], most), rest


def read_h5(path: Path, most: int) -> NDArray[Any]:
    """The first three columns (N, 3) of the dataset that holds the cloud."""
    import h5py

    with h5py.File(path, "r") as file:
        name = _chosen(path, [name for name, item in file.items() if isinstance(item, h5py.Dataset)])
        return _first_columns(path, f"field {name!r}", file[name], most)


def _chosen(path: Path, names: list[str]) -> str:
    """Which of a file's fields holds the cloud."""
    name = next((name for name in ("points", "data") if name in names), names[0] if len(names) == 1 else None)
    if name is None:
        wrong = f"it holds the fields {', '.join(names)}" if names else "it holds no field"
        raise FormatError(path, wrong, f"a field points or data, or only one, is needed, and {ARRAY}")
    return name


def _first_columns(path: Path, what: str, array: Any, most: int) -> NDArray[Any]:
    """The first three columns of an array, or of an HDF5 dataset of which no more is read."""
    if array.ndim != 2 or not 3 <= array.shape[1] <= 7 or array.dtype.kind not in "fiu":
        raise FormatError(path, f"{what} is {array.shape} of {array.dtype}", ARRAY)
    if len(array) > most:
        raise FormatError(path, f"{what} has {len(array):,} points", f"up to {most:,} are accepted")
    return np.asarray(array[:, :3])
