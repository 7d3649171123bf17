"""PLY files (Turk, The PLY polygon file format, 1994): exact float32 points, meshes, extra scalars, comments."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.clouds.readers.text import Line, fans, numbers
from core.runtime.files import FormatError

ACCEPTED = "a PLY file is ASCII or binary, version 1.0, with an element vertex of x, y and z and maybe an element face"
_TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4",
    "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4",
    "float32": "f4", "float64": "f8",
}  # fmt: skip
_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": ""}


@dataclass(frozen=True)
class _Property:
    name: str
    type: str
    length: str | None = None
    """Type of a list's length; None for a scalar."""


@dataclass
class _Element:
    name: str
    count: int
    properties: list[_Property] = field(default_factory=list)


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
    data = path.read_bytes()
    order, elements, comments, start = _header(path, data)
    body = _Ascii(path, data, start) if order == "" else _Binary(path, data, start, order)
    tables: dict[str, dict[str, Any]] = {}
    for element in elements:
        if element.count > most:
            raise FormatError(path, f"it promises {element.count:,} of {element.name}", f"up to {most:,} are accepted")
        tables[element.name] = body.read(element) if element.count else {}
        if {"vertex", "face"} <= tables.keys():
            break
    vertex, face = tables.get("vertex", {}), tables.get("face", {})
    if not all(isinstance(vertex.get(axis), np.ndarray) and vertex[axis].ndim == 1 for axis in "xyz"):
        raise FormatError(path, "it holds no vertices with properties x, y and z", ACCEPTED)
    points = np.stack([vertex[axis] for axis in "xyz"], axis=-1)
    triangles = fans(face.get("vertex_indices", face.get("vertex_index", [])))
    if triangles.size and not 0 <= triangles.min() <= triangles.max() < len(points):
        raise FormatError(path, f"a face has a vertex outside 0 to {len(points) - 1}", ACCEPTED)
    return Ply(points, triangles, comments)


def _header(path: Path, data: bytes) -> tuple[str, list[_Element], tuple[str, ...], int]:
    """Byte order ('' for ASCII), elements, comments, and where the data begin."""
    end = data.find(b"end_header")
    start = data.find(b"\n", end) + 1
    if not data.startswith(b"ply") or end < 0 or start == 0:
        raise FormatError(path, "it has no PLY header", ACCEPTED)
    order, elements, comments = None, [], []
    for number, line in enumerate(data[:end].decode("latin-1").splitlines(), 1):
        words = line.split()
        try:
            match words:
                case ["format", form, "1.0"]:
                    order = _ORDERS[form]
                case ["element", name, count] if int(count) >= 0:
                    elements.append(_Element(name, int(count)))
                case ["property", "list", length, kind, name]:
                    elements[-1].properties.append(_Property(name, _TYPES[kind], _TYPES[length]))
                case ["property", kind, name]:
                    elements[-1].properties.append(_Property(name, _TYPES[kind]))
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
    return order, elements, tuple(comments), start


class _Binary:
    """The values after the header of a binary file, element after element."""

    def __init__(self, path: Path, data: bytes, start: int, order: str) -> None:
        self.path, self.data, self.at, self.order = path, data, start, order

    def read(self, element: _Element) -> dict[str, Any]:
        """By property: an array (N,), (N, k) where all lists have the length k, else a list of arrays."""
        row = self._row(element)
        if len(self.data) - self.at >= row.itemsize * element.count:
            table = np.frombuffer(self.data, row, element.count, self.at)
            if all((table[f"{p.name} length"] == row[p.name].shape[0]).all() for p in element.properties if p.length):
                self.at += table.nbytes
                return {p.name: table[p.name] for p in element.properties}
        columns: dict[str, Any] = {p.name: [] for p in element.properties}
        for _ in range(element.count):
            row = self._row(element)
            values = np.frombuffer(self.data, row, 1, self.at)[0]
            self.at += row.itemsize
            for name, column in columns.items():
                column.append(values[name])
        return columns

    def _row(self, element: _Element) -> np.dtype[Any]:
        """Layout of the next row, with its lists as long as they are in it."""
        fields: list[Any] = []
        at = self.at
        for p in element.properties:
            kind = np.dtype(self.order + p.type)
            if p.length:
                prefix = np.dtype(self.order + p.length)
                length = int.from_bytes(self.data[at : at + prefix.itemsize], "big" if self.order == ">" else "little")
                fields += [(f"{p.name} length", prefix), (p.name, kind, (length,))]
                at += prefix.itemsize + length * kind.itemsize
            else:
                fields.append((p.name, kind))
                at += kind.itemsize
            if at > len(self.data):
                raise FormatError(self.path, f"it ends before its {element.count:,} of {element.name} do", ACCEPTED)
        return np.dtype(fields)


class _Ascii:
    """The values after the header of an ASCII file, a line for each row of an element."""

    def __init__(self, path: Path, data: bytes, start: int) -> None:
        header = data[:start].count(b"\n")
        lines = enumerate(data[start:].decode("latin-1").split("\n"), header + 1)
        self.path = path
        self.lines: list[Line] = [(number, line.strip()) for number, line in lines if line.strip()]

    def read(self, element: _Element) -> dict[str, Any]:
        """By property: an array (N,), or a list of lists."""
        lines, self.lines = self.lines[: element.count], self.lines[element.count :]
        if len(lines) < element.count:
            raise FormatError(self.path, f"it ends before its {element.count:,} of {element.name} do", ACCEPTED)
        if not any(p.length for p in element.properties):
            table = numbers(self.path, lines, ACCEPTED)
            if table.shape[1] != len(element.properties):
                wrong = f"line {lines[0][0]} has {table.shape[1]} columns and the header {len(element.properties)}"
                raise FormatError(self.path, wrong, ACCEPTED)
            return {p.name: table[:, i] for i, p in enumerate(element.properties)}
        columns: dict[str, Any] = {p.name: [] for p in element.properties}
        for number, line in lines:
            words = iter(line.split())
            try:
                for p in element.properties:
                    values = [int(float(next(words))) for _ in range(int(next(words)))] if p.length else next(words)
                    columns[p.name].append(values)
            except (ValueError, StopIteration, RuntimeError):
                raise FormatError(self.path, f"line {number} is not a row of {element.name}", ACCEPTED) from None
        return columns
