"""PCD files (the format of the Point Cloud Library, version 0.7): ascii, binary and binary_compressed.

Read here and not by Open3D, whose parser a malformed header crashes, nor by pypcd4, which needs a C compiler to be
installed and lets a header of a few bytes ask for any amount of memory.
"""

import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.clouds.readers.text import content, numbers, whole_number
from core.runtime.files import FormatError

ACCEPTED = (
    "a PCD file has FIELDS (with x, y, z), SIZE, COUNT, POINTS, DATA (ascii, binary, binary_compressed) and its points"
)
_TYPES = {
    ("F", "4"): "<f4", ("F", "8"): "<f8", ("I", "1"): "<i1", ("I", "2"): "<i2", ("I", "4"): "<i4", ("I", "8"): "<i8",
    ("U", "1"): "<u1", ("U", "2"): "<u2", ("U", "4"): "<u4", ("U", "8"): "<u8",
}  # fmt: skip
_LONGEST_HEADER = 1 << 16
_MOST_DECOMPRESSED = 1 << 28
"""Most bytes that are decompressed to reach x, y and z."""
_MOST_STEPS = 10_000_000
"""Most pieces of compressed data; decompressing as many takes a few seconds."""


@dataclass(frozen=True)
class _Header:
    """The header of a PCD file."""

    columns: list[int]
    """For x, y and z: how many numbers are before it in a point."""
    offsets: list[int]
    """For x, y and z: how many bytes are before it in a point."""
    types: list[np.dtype[Any]]
    """For x, y and z: its type."""
    counts: list[int]
    """For x, y and z: how many numbers it has."""
    width: int
    """Numbers in a point."""
    size: int
    """Bytes in a point."""
    points: int


def read_pcd(path: Path, most: int) -> NDArray[np.floating[Any]]:
    """The points (N, 3) of a PCD file of up to ``most``; of an x, y or z of several numbers, the first.

    Raises
    ------
    FormatError
        If the header is malformed or the file holds fewer points than it promises.
    """
    with path.open("rb") as file:
        head = file.read(_LONGEST_HEADER)
    if not (mark := re.search(rb"^DATA[ \t]+(\S+)[ \t\r]*\n", head, re.MULTILINE)):
        raise FormatError(path, "its header has no line DATA", ACCEPTED)
    header, start = _parse_header(path, head[: mark.start()].decode("latin-1")), mark.end()
    if header.points > most:
        raise FormatError(path, f"it promises {header.points:,} points", f"up to {most:,} are accepted")
    match mark[1]:
        case b"ascii":
            lines = islice(content(path, start, head.count(b"\n", 0, start)), header.points)
            table = numbers(path, lines, ACCEPTED, most, range(header.width, header.width + 1))
            columns = [table[:, column] for column in header.columns]
        case b"binary":
            columns = _read_interleaved(header, path.read_bytes(), start)
        case b"binary_compressed":
            columns = _read_compressed(path, header, memoryview(path.read_bytes())[start:])
        case form:
            raise FormatError(path, f"its DATA is {form.decode('latin-1')}", ACCEPTED)
    if (held := len(columns[0])) < header.points:
        raise FormatError(path, f"it promises {header.points:,} points and holds {held:,}", ACCEPTED)
    return np.stack(columns, axis=-1)


def _parse_header(path: Path, text: str) -> _Header:
    lines: dict[str, list[str]] = {}
    for line in text.splitlines():
        if words := line.partition("#")[0].split():
            lines[words[0]] = words[1:]
    names = lines.get("FIELDS", [])
    if not {"x", "y", "z"} <= set(names):
        raise FormatError(path, "its FIELDS lack x, y or z", ACCEPTED)
    try:
        (points,) = (whole_number(word) for word in lines["POINTS"])
        counts = [whole_number(word) for word in lines.get("COUNT", ["1"] * len(names))]
        types = [np.dtype(_TYPES[described]) for described in zip(lines["TYPE"], lines["SIZE"], strict=True)]
        sizes = [type_.itemsize * count for type_, count in zip(types, counts, strict=True)]
        axes = [names.index(axis) for axis in "xyz"]
        if len(names) != len(types) or not all(counts[axis] for axis in axes):
            raise ValueError
    except (KeyError, ValueError):
        wrong = "its header lacks numbers for TYPE, SIZE, COUNT or POINTS, or they do not fit its FIELDS"
        raise FormatError(path, wrong, ACCEPTED) from None
    return _Header(
        columns=[sum(counts[:axis]) for axis in axes],
        offsets=[sum(sizes[:axis]) for axis in axes],
        types=[types[axis] for axis in axes],
        counts=[counts[axis] for axis in axes],
        width=sum(counts),
        size=sum(sizes),
        points=points,
    )


def _read_interleaved(header: _Header, data: bytes, start: int) -> list[NDArray[Any]]:
    """x, y and z, (N,) each, of data that are stored point by point."""
    held = min((len(data) - start) // header.size, header.points)
    if not held:
        return [np.empty(0)] * 3
    return [
        np.ndarray((held,), type_, data, start + offset, (header.size,))
        for type_, offset in zip(header.types, header.offsets, strict=True)
    ]


def _read_compressed(path: Path, header: _Header, data: memoryview) -> list[NDArray[Any]]:
    """x, y and z, (N,) each, of compressed data that are stored field by field."""
    compressed, plain = (int.from_bytes(data[at : at + 4], "little") for at in (0, 4))
    if len(data) < 8 + compressed or plain != header.points * header.size:
        return [np.empty(0)] * 3
    starts = [offset * header.points for offset in header.offsets]
    sizes = [type_.itemsize * count * header.points for type_, count in zip(header.types, header.counts, strict=True)]
    needed = max(start + size for start, size in zip(starts, sizes, strict=True))
    if needed > _MOST_DECOMPRESSED:
        wrong = f"its x, y and z end after {needed:,} bytes"
        raise FormatError(path, wrong, f"up to {_MOST_DECOMPRESSED:,} are accepted, more where DATA is binary")
    if (fields := _decompress_lzf(data[8 : 8 + compressed], needed)) is None:
        raise FormatError(path, "its compressed data are damaged or in too many pieces", ACCEPTED)
    return [
        np.frombuffer(fields, type_, count * header.points, start)[::count]
        for type_, count, start in zip(header.types, header.counts, starts, strict=True)
    ]


def _decompress_lzf(data: memoryview, size: int) -> bytearray | None:
    """The first ``size`` bytes of LZF-compressed data (Lehmann, LibLZF, 2005); None if the data are damaged."""
    plain, at = bytearray(), 0
    try:
        for _ in range(_MOST_STEPS):
            if len(plain) >= size:
                return plain
            control = data[at]
            if control < 32:  # so many bytes and one follow as they are
                plain += data[at + 1 : at + control + 2]
                at += control + 2
                continue
            length, at = (control >> 5) + 2, at + 1  # of a piece that is repeated
            if length == 9:
                length, at = length + data[at], at + 1
            start = len(plain) - ((control & 31) << 8) - data[at] - 1
            at += 1
            if start < 0:
                return None
            piece = plain[start : start + length]
            plain += piece if len(piece) == length else (piece * length)[:length]
    except IndexError:
        pass
    return None
