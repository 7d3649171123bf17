"""Readers of NumPy's formats, .npy and .npz. Nothing is unpickled, and nothing is mapped into memory: a file that
another program cuts short while it is mapped ends this one.
"""

import io
import math
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from core.runtime.files import FormatError

ARRAY = "an array (N, 3) to (N, 7) of real numbers is accepted"
_AT_ONCE = 1 << 24
"""Bytes read at a time; with more, a compressed field would be in memory three times."""
_LONGEST_HEADER = 10_000
"""Longest header of an array, in bytes; NumPy refuses longer ones unless told to trust the file."""
_LONGEST_TEXT = 4096
"""Longest text in an array, in bytes; even an empty array of longer texts can take gigabytes when converted."""
_MOST_MEMBERS = 1000
"""Most members of a zip archive, whose list alone can otherwise take gigabytes."""

Check = Callable[[str, tuple[int, ...], np.dtype[Any]], None]
"""Called with name, shape and type of an array before it is read; raises a FormatError to refuse it."""


def read_npy(path: Path, most: int) -> NDArray[Any]:
    """The first three columns (N, 3) of an array of up to ``most`` rows."""
    with path.open("rb") as file:
        return _read_array(path, "its array", file, cloud_check(path, most))[:, :3]


def read_npz(path: Path, most: int) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
    """The first three columns (N, 3) of the field that holds the cloud, and the fields centre and radius."""
    with path.open("rb") as file, _open_archive(path, file) as archive:
        members = _members(archive)
        name = chosen(path, list(members))
        points = _read_member(path, archive, members[name], name, cloud_check(path, most))
        small = size_check(path, 1000)
        frame: dict[str, NDArray[Any]] = {
            field: _read_member(path, archive, members[field], field, small)
            for field in ("centre", "radius")
            if field in members
        }
        return points[:, :3], frame


def read_npz_fields(path: Path, most_bytes: Mapping[str, int]) -> dict[str, NDArray[Any]]:
    """Read fields of numbers or text, each with its limit in bytes.

    Raises
    ------
    FormatError
        If it is no .npz archive, is damaged, or a field is missing or too large.
    """
    with path.open("rb") as file, _open_archive(path, file) as archive:
        members = _members(archive)
        if absent := [name for name in most_bytes if name not in members]:
            raise FormatError(path, f"it has no field {absent[0]}", f"the fields {', '.join(most_bytes)} are needed")
        return {
            name: _read_member(path, archive, members[name], name, size_check(path, most, "fiuU"))
            for name, most in most_bytes.items()
        }


def npz_names(path: Path) -> frozenset[str]:
    """Names of the fields of an .npz archive; none if it is damaged."""
    try:
        with path.open("rb") as file, _open_archive(path, file) as archive:
            return frozenset(_members(archive))
    except (OSError, ValueError, zipfile.BadZipFile):
        return frozenset()


def chosen(path: Path, names: list[str]) -> str:
    """Name of the field that holds the cloud."""
    name = next((name for name in ("points", "data") if name in names), names[0] if len(names) == 1 else None)
    if name is None:
        wrong = f"it holds the fields {', '.join(names)}" if names else "it holds no field"
        raise FormatError(path, wrong, f"a field points or data, or only one, is needed, and {ARRAY}")
    return name


def cloud_check(path: Path, most: int) -> Check:
    """A check that an array is a cloud of up to ``most`` points."""

    def check(what: str, shape: tuple[int, ...], type_: np.dtype[Any]) -> None:
        if len(shape) != 2 or not 3 <= shape[1] <= 7 or type_.kind not in "fiu":
            raise FormatError(path, f"{what} is {shape} of {type_}", ARRAY)
        if shape[0] > most:
            raise FormatError(path, f"{what} has {shape[0]:,} points", f"up to {most:,} are accepted")

    return check


def size_check(path: Path, most_bytes: int, kinds: str = "fiu") -> Check:
    """A check that an array has up to ``most_bytes`` and a type of these ``kinds`` (NumPy's letters)."""

    def check(what: str, shape: tuple[int, ...], type_: np.dtype[Any]) -> None:
        if type_.kind not in kinds or type_.itemsize > _LONGEST_TEXT:
            raise FormatError(path, f"{what} is of {type_}", "numbers and short names are accepted")
        if (size := math.prod(shape) * type_.itemsize) > most_bytes:
            raise FormatError(path, f"{what} has {size:,} bytes", f"up to {most_bytes:,} are accepted")

    return check


def _open_archive(path: Path, file: IO[bytes]) -> zipfile.ZipFile:
    """Open the archive, after counting the signatures of its entries, so that its list cannot take too much memory."""
    entries = sum(block.count(b"PK\1\2") for block in iter(lambda: file.read(1 << 20), b""))
    if entries > _MOST_MEMBERS:
        raise FormatError(path, f"it holds {entries:,} fields", f"up to {_MOST_MEMBERS:,} are accepted")
    return zipfile.ZipFile(file)


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The fields of an .npz archive by name."""
    infos = archive.infolist()
    return {info.filename.removesuffix(".npy"): info for info in infos if info.filename.endswith(".npy")}


def _read_member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, check: Check) -> NDArray[Any]:
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others expand without a bound
        raise FormatError(path, f"field {name!r} is neither stored nor deflated", ARRAY)
    with archive.open(info) as stream:
        return _read_array(path, f"field {name!r}", stream, check)


def _read_array(path: Path, what: str, stream: IO[bytes], check: Check) -> NDArray[Any]:
    """Read an array in NumPy's format; before the check, only its header is read."""
    try:
        shape, by_columns, type_ = _read_header(stream)
    except Exception:  # NumPy raises almost anything, and advises to trust the file
        raise FormatError(path, f"{what} is not an array in NumPy's format", ARRAY) from None
    if not all(0 <= size < 1 << 40 for size in shape):
        raise FormatError(path, f"{what} is {shape}", ARRAY)
    check(what, shape, type_)
    count = math.prod(shape)
    data = np.empty(count * type_.itemsize, np.uint8)
    held = 0
    while piece := stream.read(min(_AT_ONCE, len(data) - held)):
        data[held : held + len(piece)] = np.frombuffer(piece, np.uint8)
        held += len(piece)
    if held < len(data):
        raise FormatError(path, f"{what} ends before its {count:,} numbers do", ARRAY)
    return data.view(type_).reshape(shape, order="F" if by_columns else "C")


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether it is stored column by column, and type."""
    form = np.lib.format
    version = form.read_magic(io.BytesIO(stream.read(form.MAGIC_LEN)))
    width, parse = {(1, 0): (2, form.read_array_header_1_0), (2, 0): (4, form.read_array_header_2_0)}[version]
    size = stream.read(width)
    if (length := int.from_bytes(size, "little")) > _LONGEST_HEADER:
        raise ValueError(f"the header has {length} bytes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about files of Python 2
        return parse(io.BytesIO(size + stream.read(length)))
