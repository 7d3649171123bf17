"""Readers of text: columns of numbers (.xyz, .txt, .pts), the meshes .off and .obj, and what other text formats need.

Lines are read one by one, so that memory is needed only for what is kept of them; limits on bytes, lines and the length
of a line limit the time.
"""

import io
from array import array
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.runtime.files import FormatError

COLUMNS = "a line holds 3 to 7 numbers (x y z first) separated by white space, commas or semicolons"
OFF = "an OFF file holds the word OFF, the numbers of vertices, faces and edges, then a line for each vertex and face"
OBJ = 'an OBJ file holds lines "v x y z" and "f" with 3 or more vertex numbers'

MOST_BYTES = 1 << 27
"""Largest text file, in bytes; it is read in a few seconds."""
MOST_LINES = 6_000_000
MOST_CHARACTERS = 1 << 20
"""Longest line, in characters."""

Line = tuple[int, str]
"""The number of a line in its file, from 1, and its text."""


def read_columns(path: Path, most: int) -> NDArray[np.float64]:
    """The points (N, 3): the first three of the 3 to 7 columns of a text file of up to ``most`` points.

    ``#`` begins a comment; a first line of one whole number, as .pts files have, is the count of points.
    """
    lines = content(path)
    first, promised = next(lines, None), None
    with suppress(ValueError):
        promised = whole_number(first[1] if first else "")
        first = next(lines, None)
    if first is None:
        raise FormatError(path, "it holds no points", COLUMNS)
    rows = numbers(path, chain([first], lines), COLUMNS, most, range(3, 8))
    if promised is not None and promised != len(rows):
        raise FormatError(path, f"its first line promises {promised:,} points and it holds {len(rows):,}", COLUMNS)
    return rows[:, :3]


def read_off(path: Path, most: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Vertices (V, 3) and triangles (T, 3) of an OFF mesh of up to ``most`` of each; polygons become fans of triangles.

    The counts may follow on the line of the word OFF, even without a space as in some files of ModelNet40.
    """
    lines = content(path)
    number, first = next(lines, (0, ""))
    if not first.upper().startswith("OFF"):
        raise FormatError(path, "it does not begin with the word OFF", OFF)
    if counts := first[3:].strip():
        lines = chain([(number, counts)], lines)
    number, counts = next(lines, (0, ""))
    if not counts:
        raise FormatError(path, "it ends after the word OFF", OFF)
    try:
        vertex_count, face_count = (whole_number(word) for word in counts.split()[:2])
    except ValueError:
        raise FormatError(path, f"line {number} does not hold the numbers of vertices and faces", OFF) from None
    promise = f"line {number} promises {vertex_count:,} vertices and {face_count:,} faces"
    if vertex_count > most or face_count > most // 2:
        raise FormatError(path, promise, f"up to {most:,} and {most // 2:,} are accepted, more in binary")
    vertices = numbers(path, islice(lines, vertex_count), OFF, most) if vertex_count else np.empty((0, 3))
    polygons, followed = Polygons(path, OFF, most), len(vertices)
    for number, line in islice(lines, face_count):
        followed += 1
        words = line.split()
        try:
            corners = [int(word) for word in words[1 : 1 + whole_number(words[0])]]
            if len(corners) != int(words[0]):
                raise ValueError
            polygons.add(number, corners)
        except FormatError:
            raise
        except (ValueError, OverflowError):
            wrong = f"line {number} is not a face of vertices from 0 to {vertex_count - 1}"
            raise FormatError(path, wrong, OFF) from None
    if followed < vertex_count + face_count:
        raise FormatError(path, f"{promise}, {followed:,} lines follow", OFF)
    return vertices[:, :3], polygons.triangles(vertex_count, 0)


def read_obj(path: Path, most: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Vertices (V, 3) and triangles (T, 3) of an OBJ mesh of up to ``most`` of each; polygons become fans."""
    polygons, count = Polygons(path, OBJ, most), 0

    def vertices() -> Iterator[Line]:
        """The vertices' coordinates; the faces are collected on the way."""
        nonlocal count
        for number, line in content(path):
            kind, *rest = line.split(None, 1)
            if kind == "v" and rest:
                count += 1
                yield number, rest[0]
            elif kind in ("v", "f"):
                try:
                    corners = [int(word.partition("/")[0]) for word in rest[0].split()]
                    if len(corners) < 3:
                        raise ValueError
                    # Numbers count from 1, or, where negative, back from the last vertex so far.
                    polygons.add(number, [corner - 1 if corner >= 0 else count + corner for corner in corners])
                except FormatError:
                    raise
                except (IndexError, ValueError, OverflowError):
                    raise FormatError(path, f"line {number} is not a vertex or a face", OBJ) from None

    lines = vertices()
    if (first := next(lines, None)) is None:
        raise FormatError(path, "it holds no vertices", OBJ)
    positions = numbers(path, chain([first], lines), OBJ, most)
    return positions[:, :3], polygons.triangles(len(positions), 1)


class Polygons:
    """The faces of a text file, collected line by line in the least memory.

    Raises
    ------
    FormatError
        From ``add`` at more than half of ``most`` faces, because text takes much longer than a binary file; from
        ``triangles`` at more than ``most``, and if a corner is none of the vertices.
    """

    def __init__(self, path: Path, accepted: str, most: int) -> None:
        self._path, self._accepted, self._most = path, accepted, most // 2
        self._lines, self._sizes, self._corners = array("q"), array("q"), array("q")

    def add(self, line: int, corners: list[int]) -> None:
        """A face, in the line of this number; OverflowError if a corner is no 64-bit number."""
        self._lines.append(line)
        self._sizes.append(len(corners))
        self._corners.extend(corners)
        check_corners(self._path, len(self._corners), self._most)
        if len(self._sizes) > self._most:
            wrong = f"it has more than {self._most:,} faces"
            raise FormatError(self._path, wrong, "so many are accepted in text, more in binary")

    def triangles(self, vertices: int, first: int) -> NDArray[np.int64]:
        """The triangles (T, 3); of vertices that the file numbers from ``first``."""
        corners, sizes = np.array(self._corners), np.array(self._sizes)
        if (wrong := first_outside(corners, vertices)) is not None:
            line = self._lines[int(np.searchsorted(np.cumsum(sizes), wrong, side="right"))]
            where = f"vertices from {first} to {vertices - 1 + first}"
            raise FormatError(self._path, f"line {line} is not a face of {where}", self._accepted)
        return fans(self._path, corners, sizes, 2 * self._most)


def check_corners(path: Path, corners: int, faces: int) -> None:
    """Check that there are at most three corners for each of at most ``faces`` faces.

    Raises
    ------
    FormatError
        If there are more.
    """
    if corners > 3 * faces:
        raise FormatError(path, f"its faces have {corners:,} corners", f"up to {3 * faces:,} are accepted")


def first_outside(corners: NDArray[np.int64], vertices: int) -> int | None:
    """The index of the first corner that is none of 0 to ``vertices`` - 1."""
    if not len(corners) or 0 <= corners.min() <= corners.max() < vertices:
        return None
    return int(np.argmax((corners < 0) | (corners >= vertices)))


def fans(path: Path, corners: NDArray[np.int64], sizes: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """The triangles (T, 3) of convex polygons, each split as a fan about its first corner.

    Parameters
    ----------
    corners, sizes
        (C,) the corners of all polygons, one after the other, and (P,) how many each has; fewer than 3 are no triangle.

    Raises
    ------
    FormatError
        If they are more than ``most``.
    """
    counts = np.maximum(sizes - 2, 0)
    if (total := int(counts.sum())) > most:
        raise FormatError(path, f"it has {total:,} triangles", f"up to {most:,} are accepted")
    polygon_start = np.repeat(np.cumsum(sizes) - sizes, counts)
    second = polygon_start + 1 + np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    return corners[np.stack([polygon_start, second, second + 1], axis=1)]


def content(path: Path, start: int = 0, lines_before: int = 0) -> Iterator[Line]:
    """The lines of a text file that hold more than a comment, stripped.

    Parameters
    ----------
    start, lines_before
        Begin at this byte, before which there are so many lines.

    Raises
    ------
    FormatError
        At a size, a line or a number of lines that would cost too much.
    """
    if (size := path.stat().st_size) > MOST_BYTES:
        raise FormatError(path, f"it has {size:,} bytes of text", f"up to {MOST_BYTES:,} are accepted, more in binary")
    # from memory: a file would stay open if the caller does not read all lines
    file = io.TextIOWrapper(io.BytesIO(path.read_bytes()), encoding="utf-8-sig", errors="replace")
    file.seek(start)
    for number in range(lines_before + 1, MOST_LINES + 1):
        if not (line := file.readline(MOST_CHARACTERS + 1)):
            return
        if len(line) > MOST_CHARACTERS:
            raise FormatError(path, f"line {number} is too long", f"up to {MOST_CHARACTERS:,} letters are accepted")
        if text := (line.partition("#")[0] if "#" in line else line).strip():
            yield number, text
    if file.readline(1):
        raise FormatError(path, "it has too many lines", f"up to {MOST_LINES:,} are accepted, more in binary")


def numbers(
    path: Path, lines: Iterator[Line], accepted: str, most: int, widths: range = range(3, 65)
) -> NDArray[np.float64]:
    """The table (N, columns) of up to ``most`` lines of numbers, as many in each line as in the first.

    Parameters
    ----------
    widths
        The numbers of columns that are accepted.

    Raises
    ------
    FormatError
        If a line has another number of columns or is not numbers; it names the first such line.
    """
    if (start := next(lines, None)) is None:
        return np.empty((0, widths[0]))
    delimiter = next((mark for mark in ",;" if mark in start[1]), None)
    first, width = start[0], len(start[1].split(delimiter))
    if width not in widths:
        wanted = f", not {widths[0]}" if len(widths) == 1 else ""
        raise FormatError(path, f"line {first} has {width} columns{wanted}", accepted)

    line = start

    def texts() -> Iterator[str]:
        nonlocal line
        for count, line in enumerate(chain([start], lines), 1):
            if count > most:
                raise FormatError(path, f"it has more than {most:,} points", f"up to {most:,} are accepted")
            yield line[1]

    try:
        return np.loadtxt(texts(), delimiter=delimiter, ndmin=2, comments=None)
    except FormatError:
        raise
    except ValueError:  # at the line that was handed over last
        number, text = line
    words = text.split(delimiter)
    if len(words) != width:
        raise FormatError(path, f"line {number} has {len(words)} columns and line {first} has {width}", accepted)
    wrong = next((word.strip() for word in words if not _is_number(word)), text)
    raise FormatError(path, f"line {number} holds {wrong[:40]!r}", accepted)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def whole_number(word: str) -> int:
    """A count that is not negative.

    Raises
    ------
    ValueError
        If the word is none, or one of more than 18 digits.
    """
    if not (word.isascii() and word.isdecimal() and len(word) < 19):
        raise ValueError(f"{word!r} is not a count")
    return int(word)
