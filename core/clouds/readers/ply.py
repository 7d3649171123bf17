"""PLY files (Turk, The PLY polygon file format, 1994): exact float32 points, meshes, extra scalars, comments."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.clouds.readers.text import Line, check_corners, content, fans, first_outside, numbers, whole_number
from core.runtime.files import FormatError

ACCEPTED = "a PLY file is ASCII or binary, version 1.0, with an element vertex of x, y and z and maybe an element face"
_TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4",
    "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4",
    "float32": "f4", "float64": "f8",
}  # fmt: skip
_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": ""}
_LONGEST_HEADER = 1 << 16
_LISTS = ("vertex_indices", "vertex_index")
"""The two names of a face's corners."""


@dataclass(frozen=True)
class _Property:
    name: str
    type: str
    length: str | None = None
    """Type of a list's length; None for a scalar."""
    wanted: bool = False
    """Whether its values are read."""


@dataclass
class _Element:
    name: str
    count: int
    properties: list[_Property] = field(default_factory=list)

    def add(self, name: str, type_: str, length: str | None = None) -> None:
        """Add a property; ValueError if there is one of this name."""
        if any(name == p.name for p in self.properties):
            raise ValueError(f"there are two properties {name}")
        wanted = name in ("x", "y", "z") if self.name == "vertex" else self.name == "face" and name in _LISTS
        self.properties.append(_Property(name, type_, length, wanted and bool(length) == (self.name == "face")))


@dataclass(frozen=True)
class Ply:
    """What is read of a PLY file."""

    points: NDArray[np.floating[Any]]
    """(N, 3), in the precision of the file."""
    triangles: NDArray[np.int64]
    """(T, 3), none in a cloud; polygons are split as fans."""
    comments: tuple[str, ...]


def write_ply(path: Path, points: NDArray[np.float32], scalars: dict[str, NDArray[np.float32]], comment: str) -> None:
    """Write a binary little-endian cloud: points (N, 3) and further properties (N,) by name, all exact float32."""
    columns = dict(zip("xyz", points.T, strict=True)) | scalars
    table = np.empty(len(points), dtype=[(name, "<f4") for name in columns])
    for name, column in columns.items():
        table[name] = column
    header = ["ply", "format binary_little_endian 1.0", *([f"comment {comment}"] if comment else [])]
    header += [f"element vertex {len(points)}", *(f"property float {name}" for name in columns), "end_header\n"]
    path.write_bytes("\n".join(header).encode("ascii") + table.tobytes())


def read_ply(path: Path, most: int) -> Ply:
    """Read the vertices and faces of a PLY file.

    Raises
    ------
    FormatError
        If it is no PLY file, is cut short, or promises more than ``most`` vertices or faces.
    """
    order, elements, comments, start, lines = _read_header(path)
    for element in elements:
        if element.count > most:
            raise FormatError(path, f"it promises {element.count:,} of {element.name}", f"up to {most:,} are accepted")
    if (rows := sum(element.count for element in elements)) > 2 * most:
        raise FormatError(path, f"it promises {rows:,} rows of all elements", f"up to {2 * most:,} are accepted")
    body = _Binary(path, start, order, most) if order else _Ascii(path, start, lines, most)
    tables: dict[str, dict[str, Any]] = {}
    for element in elements:
        tables[element.name] = body.read(element) if element.count else {}
        if {"vertex", "face"} <= tables.keys():
            break
    vertex, face = tables.get("vertex", {}), tables.get("face", {})
    if not all(axis in vertex for axis in "xyz"):
        raise FormatError(path, "it holds no vertices with properties x, y and z", ACCEPTED)
    points = np.stack([vertex[axis] for axis in "xyz"], axis=-1)
    nothing = np.empty(0, np.int64), np.empty(0, np.int64)
    corners, sizes = next((face[name] for name in _LISTS if name in face), nothing)
    del body  # and with it the bytes of the file
    if first_outside(corners, len(points)) is not None:
        raise FormatError(path, f"a face has a vertex outside 0 to {len(points) - 1}", ACCEPTED)
    return Ply(points, fans(path, corners, sizes, most), comments)


def _read_header(path: Path) -> tuple[str, list[_Element], tuple[str, ...], int, int]:
    """Byte order ('' for ASCII), elements, comments, and how many bytes and lines there are before the data."""
    with path.open("rb") as file:
        head = file.read(_LONGEST_HEADER)
    end = head.find(b"end_header")
    start = head.find(b"\n", end) + 1
    if not head.startswith(b"ply") or end < 0 or start == 0:
        raise FormatError(path, "it has no PLY header", ACCEPTED)
    order, elements, comments = None, [], []
    for number, line in enumerate(head[:end].decode("latin-1").splitlines(), 1):
        words = line.split()
        try:
            match words:
                case ["format", form, "1.0"]:
                    order = _ORDERS[form]
                case ["element", name, count]:
                    elements.append(_Element(name, whole_number(count)))
                case ["property", "list", length, kind, name] if _TYPES[length] not in ("f4", "f8"):
                    elements[-1].add(name, _TYPES[kind], _TYPES[length])
                case ["property", kind, name]:
                    elements[-1].add(name, _TYPES[kind])
                case ["comment", *_]:
                    comments.append(line.partition(" ")[2])
                case [] | ["ply"] | ["obj_info", *_]:
                    pass
                case _:
                    raise ValueError
        except (KeyError, IndexError, ValueError):
            raise FormatError(path, f"line {number} of its header is {line[:60]!r}", ACCEPTED) from None
    if order is None:
        raise FormatError(path, "its header names no format", ACCEPTED)
    return order, elements, tuple(comments), start, head.count(b"\n", 0, start)


class _Binary:
    """The values after the header of a binary file, element after element."""

    def __init__(self, path: Path, start: int, order: str, most: int) -> None:
        self._path, self._data, self._at, self._order = path, path.read_bytes(), start, order
        self._steps, self._most_steps, self._most = 0, 2 * most, most

    def read(self, element: _Element) -> dict[str, Any]:
        """By property that is read: the numbers (N,), or of a list the numbers of all rows and the lengths (N,)."""
        if not element.properties:
            return {}
        row = self._first_row(element)
        if len(self._data) - self._at >= row.itemsize * element.count:
            table = np.frombuffer(self._data, row, element.count, self._at)
            lists = [p for p in element.properties if p.length]
            if all((table[f"{p.name} length"] == row[p.name].shape[0]).all() for p in lists):
                self._at += table.nbytes
                return {
                    p.name: self._corners(table[p.name].ravel(), np.full(element.count, row[p.name].shape[0]))
                    if p.length
                    else table[p.name]
                    for p in element.properties
                    if p.wanted
                }
        return self._read_rows(element)

    def _first_row(self, element: _Element) -> np.dtype[Any]:
        """Layout of the next row, with its lists as long as they are in it."""
        fields: list[Any] = []
        at = self._at
        for p in element.properties:
            kind = np.dtype(self._order + p.type)
            if p.length:
                prefix = np.dtype(self._order + p.length)
                length = self._read_integer(at, prefix.itemsize)
                fields += [(f"{p.name} length", prefix), (p.name, kind, (length,))]
                at += prefix.itemsize + length * kind.itemsize
            else:
                fields.append((p.name, kind))
                at += kind.itemsize
            self._check_end(at, element)
        return np.dtype(fields)

    def _read_rows(self, element: _Element) -> dict[str, Any]:
        """As ``read``, row by row, for lists of different lengths."""
        self._steps += element.count * len(element.properties)
        if self._steps > self._most_steps:
            wrong = f"its {element.count:,} of {element.name} have lists of different lengths"
            raise FormatError(self._path, wrong, f"up to {self._most_steps:,} values in such rows are accepted")
        parts: dict[str, list[bytes]] = {p.name: [] for p in element.properties if p.wanted}
        lengths: dict[str, list[int]] = {p.name: [] for p in element.properties if p.wanted}
        plan = [
            (p.name if p.wanted else "", np.dtype(p.type).itemsize, np.dtype(p.length).itemsize if p.length else 0)
            for p in element.properties
        ]
        at, corners = self._at, 0
        for _ in range(element.count):
            for name, size, prefix in plan:
                length = self._read_integer(at, prefix) if prefix else 1
                at += prefix
                if name:
                    corners += length if prefix else 0
                    check_corners(self._path, corners, self._most)
                    parts[name].append(self._data[at : at + length * size])
                    lengths[name].append(length)
                at += length * size
            if at > len(self._data):
                break
        self._check_end(at, element)
        self._at = at
        columns: dict[str, Any] = {}
        for p in element.properties:
            if p.wanted:
                values = np.frombuffer(b"".join(parts[p.name]), self._order + p.type)
                columns[p.name] = self._corners(values, np.array(lengths[p.name])) if p.length else values
        return columns

    def _corners(self, values: NDArray[Any], lengths: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The corners of faces, of which a byte can be each."""
        check_corners(self._path, len(values), self._most)
        return values.astype(np.int64), lengths

    def _read_integer(self, at: int, size: int) -> int:
        return int.from_bytes(self._data[at : at + size], "big" if self._order == ">" else "little")

    def _check_end(self, end: int, element: _Element) -> None:
        if end > len(self._data):
            wrong = f"it ends before its {element.count:,} of {element.name} do"
            raise FormatError(self._path, wrong, ACCEPTED)


class _Ascii:
    """The values after the header of an ASCII file, a line for each row of an element."""

    def __init__(self, path: Path, start: int, lines_before: int, most: int) -> None:
        self._path, self._most = path, most
        self._lines = content(path, start, lines_before)

    def read(self, element: _Element) -> dict[str, Any]:
        """By property that is read: the numbers (N,), or of a list the numbers of all rows and the lengths (N,)."""
        lines = islice(self._lines, element.count)
        wanted = [p for p in element.properties if p.wanted]
        width = len(element.properties)
        columns: dict[str, Any] = {}
        if not wanted:
            held = sum(1 for _ in lines)
        elif any(p.length for p in element.properties):
            if element.count > self._most // 2:  # each takes much longer than a row of a binary file
                wrong = f"it promises {element.count:,} of {element.name}"
                raise FormatError(self._path, wrong, f"up to {self._most // 2:,} are accepted in text, more in binary")
            held, columns = self._read_rows(element, lines)
        else:
            table = numbers(self._path, lines, ACCEPTED, self._most, range(width, width + 1))
            held, columns = len(table), {p.name: table[:, element.properties.index(p)] for p in wanted}
        if held < element.count:
            raise FormatError(self._path, f"it ends before its {element.count:,} of {element.name} do", ACCEPTED)
        return columns

    def _read_rows(self, element: _Element, lines: Iterator[Line]) -> tuple[int, dict[str, Any]]:
        """The number of rows, and as ``read``, row by row, for elements with lists."""
        values: dict[str, array[Any]] = {
            p.name: array("q" if p.length else "d") for p in element.properties if p.wanted
        }
        lengths = {p.name: array("q") for p in element.properties if p.wanted and p.length}
        held = 0
        for number, line in lines:
            held += 1
            words, at = line.split(), 0
            try:
                for p in element.properties:
                    end = at + 1 + (whole_number(words[at]) if p.length else 0)
                    if p.wanted and p.length:
                        values[p.name].extend([int(word) for word in words[at + 1 : end]])
                        lengths[p.name].append(end - at - 1)
                        check_corners(self._path, len(values[p.name]), self._most)
                    elif p.wanted:
                        values[p.name].append(float(words[at]))
                    at = end
                if at > len(words):
                    raise ValueError
            except FormatError:
                raise
            except (IndexError, OverflowError, ValueError):
                raise FormatError(self._path, f"line {number} is not a row of {element.name}", ACCEPTED) from None
        columns = {name: np.array(column) for name, column in values.items()}
        return held, {
            name: (column, np.array(lengths[name])) if name in lengths else column for name, column in columns.items()
        }
