"""Readers of HDF5 files, in a separate process, because the library does not limit what a malformed file can cost.

A file whose content is in other files (external storage, external links, virtual datasets) is refused: it could make
a cloud of any file that this person can read.
"""

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.clouds.readers.arrays import ARRAY, Check, chosen, cloud_check, size_check
from core.runtime.files import FormatError, reason
from core.runtime.isolation import IsolatedCallError, call_isolated

ELSEWHERE = "a file that holds its numbers itself is accepted"
_MEMORY, _SECONDS = 5 << 28, 10
"""Limits of the reading process: bytes, and seconds of processor time."""
_MOST_BYTES = 300_000_000
"""Largest chunk, and largest field that is read completely."""
_MOST_CHUNKS = 100_000
"""Most chunks of a field; each takes about 4 kB while the field is read."""


def read_h5(path: Path, most: int) -> NDArray[Any]:
    """The first three columns (N, 3) of the dataset that holds the cloud, of up to ``most`` points.

    Raises
    ------
    FormatError
        If there is none, or the file is damaged or would cost too much.
    """
    (points,) = _read(path, None, most)
    return points


def read_h5_fields(path: Path, names: Sequence[str]) -> list[NDArray[Any]]:
    """Whole datasets of numbers by name.

    Raises
    ------
    FormatError
        If one is not there, or the file is damaged or would cost too much.
    """
    return _read(path, tuple(names), 0)


def _read(path: Path, names: tuple[str, ...] | None, most: int) -> list[NDArray[Any]]:
    try:
        result = call_isolated(_read_fields, str(path), names, most, memory=_MEMORY, seconds=_SECONDS)
    except IsolatedCallError as error:
        raise FormatError(path, f"it cannot be read ({error})", "a small HDF5 file is accepted") from None
    header, _, data = result.partition(b"\n")
    facts = json.loads(header)
    if "wrong" in facts:
        raise FormatError(path, facts["wrong"], facts["accepted"])
    arrays, at = [], 0
    for type_, shape in facts["arrays"]:
        arrays.append(np.frombuffer(data, type_, math.prod(shape), at).reshape(shape))
        at += arrays[-1].nbytes
    return arrays


def _read_fields(place: str, names: Sequence[str] | None, most: int) -> bytes:
    """Run in the other process. Returns a line of JSON with the error, or types and shapes; then the numbers."""
    path = Path(place)
    os.environ["HDF5_PLUGIN_PRELOAD"] = "::"  # or a file could name a library that is loaded
    import h5py

    try:
        with h5py.File(path, "r") as file:
            if names is None:
                fields = [name for name in file if _is_link(file, name) or isinstance(file[name], h5py.Dataset)]
                arrays = [_checked_dataset(path, file, chosen(path, fields), cloud_check(path, most))[:, :3]]
            else:
                arrays = [_checked_dataset(path, file, name, size_check(path, _MOST_BYTES))[()] for name in names]
    except FormatError as error:
        return json.dumps({"wrong": error.wrong, "accepted": error.accepted}).encode() + b"\n"
    except MemoryError:
        raise
    except Exception as error:  # a damaged file makes HDF5 raise almost anything
        wrong = f"it cannot be read{reason(error)}"
        return json.dumps({"wrong": wrong, "accepted": "a whole HDF5 file is accepted"}).encode() + b"\n"
    facts = {"arrays": [(array.dtype.str, array.shape) for array in arrays]}
    return b"".join([json.dumps(facts).encode(), b"\n", *(array.tobytes() for array in arrays)])


def _is_link(file: Any, name: str) -> bool:
    """Whether a name is a link to another name, perhaps in another file. Nothing is opened to find out."""
    import h5py

    info = file.id.links.get_info(name.encode("utf-8", "surrogateescape"))
    return bool(info.type != h5py.h5l.TYPE_HARD)


def _checked_dataset(path: Path, file: Any, name: str, check: Check) -> Any:
    """Open a dataset, without reading numbers, and check what reading it would cost and that they are in this file."""
    import h5py

    what = f"field {name!r}"
    try:
        if _is_link(file, name):
            raise FormatError(path, f"{what} is a link", ELSEWHERE)
    except KeyError:
        raise FormatError(path, f"it has no {what}", "it is needed") from None
    if not isinstance(dataset := file[name], h5py.Dataset):
        raise FormatError(path, f"{what} is a group", ARRAY)
    if dataset.external or dataset.is_virtual:
        raise FormatError(path, f"the numbers of {what} are in other files", ELSEWHERE)
    check(what, dataset.shape or (), dataset.dtype)
    if dataset.chunks:
        size = math.prod(dataset.chunks) * dataset.dtype.itemsize
        count = math.prod(math.ceil(n / chunk) for n, chunk in zip(dataset.shape, dataset.chunks, strict=True))
        if size > _MOST_BYTES:
            raise FormatError(path, f"{what} has chunks of {size:,} bytes", f"up to {_MOST_BYTES:,} are accepted")
        if count > _MOST_CHUNKS:
            raise FormatError(path, f"{what} is in {count:,} chunks", f"up to {_MOST_CHUNKS:,} are accepted")
    return dataset
