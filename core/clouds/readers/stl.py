"""STL files, binary and text: triangles, each with corners of its own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.clouds.readers.text import Line, content, numbers
from core.runtime.files import FormatError

ACCEPTED = (
    "an STL file is text from the word solid to endsolid, or binary with 50 bytes for each triangle that it promises"
)
_WORDS = {"solid", "facet", "outer", "endloop", "endfacet", "endsolid"}
_HEADER = 84
_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


def read_stl(path: Path, most: int) -> tuple[NDArray[np.floating[Any]], NDArray[np.int64]]:
    """Corners (3T, 3) and triangles (T, 3) of an STL mesh of up to ``most`` triangles.

    Raises
    ------
    FormatError
        If it is cut short or holds something else.
    """
    with path.open("rb") as file:
        head = file.read(1000)
    # binary files may begin with the word solid, too
    if head.lstrip()[:5].lower() == b"solid" and b"facet" in head.lower():
        corners: NDArray[np.floating[Any]] = _text_corners(path, most)
    else:
        corners = _binary_corners(path, most)
    if not len(corners):
        raise FormatError(path, "it holds no triangle", ACCEPTED)
    return corners, np.arange(len(corners)).reshape(-1, 3)


def _binary_corners(path: Path, most: int) -> NDArray[np.float32]:
    with path.open("rb") as file:
        count = int.from_bytes(file.read(_HEADER)[-4:], "little")
        if count > most:
            raise FormatError(path, f"it promises {count:,} triangles", f"up to {most:,} are accepted")
        data = file.read(count * _TRIANGLE.itemsize)
    if len(data) < count * _TRIANGLE.itemsize:
        size = path.stat().st_size
        raise FormatError(path, f"it promises {count:,} triangles and has {size:,} bytes", ACCEPTED)
    return np.frombuffer(data, _TRIANGLE)["corners"].reshape(-1, 3)


def _text_corners(path: Path, most: int) -> NDArray[np.float64]:
    last = ""

    def corners() -> Iterator[Line]:
        nonlocal last
        for number, line in content(path):
            first, *rest = line.split(None, 1)
            last = first.lower()
            if last == "vertex":
                yield number, "".join(rest)
            elif last not in _WORDS:
                raise FormatError(path, f"line {number} begins with {first[:40]!r}", ACCEPTED)

    table = numbers(path, corners(), ACCEPTED, 3 * most, range(3, 4))
    if last != "endsolid":
        raise FormatError(path, "it ends before the word endsolid", ACCEPTED)
    if len(table) % 3:
        raise FormatError(path, f"its {len(table):,} corners are not three for each triangle", ACCEPTED)
    return table
