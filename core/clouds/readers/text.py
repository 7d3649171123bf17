"""Readers of the text formats: columns of numbers (.xyz, .txt, .pts), and the meshes .off and .obj."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.runtime.files import FormatError

COLUMNS = "a line holds 3 to 7 numbers (x y z first) parted by white space, commas or semicolons"
OFF = "an OFF file holds the word OFF, the numbers of vertices, faces and edges, then a line for each vertex and face"
OBJ = 'an OBJ file holds lines "v x y z" and "f" with 3 or more vertex numbers'

Line = tuple[int, str]
"""The number of a line in its file, from 1, and its text."""


def read_columns(path: Path) -> NDArray[np.float64]:
    """The points (N, 3): the first three of the 3 to 7 columns of a text file.

    ``#`` begins a comment; a first line of one whole number, as .pts files have, is the count of points.
    """
    lines = content(path)
    promised = int(lines.pop(0)[1]) if lines and lines[0][1].isdecimal() else None
    if not lines:
        raise FormatError(path, "it holds no points", COLUMNS)
    rows = numbers(path, lines, COLUMNS)
    if not 3 <= rows.shape[1] <= 7:
        raise FormatError(path, f"line {lines[0][0]} has {rows.shape[1]} columns", COLUMNS)
    if promised is not None and promised != len(rows):
        raise FormatError(path, f"its first line promises {promised:,} points and it holds {len(rows):,}", COLUMNS)
    return rows[:, :3]


def read_off(path: Path) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Vertices (V, 3) and triangles (T, 3) of an OFF mesh; polygons become fans of triangles.

    The counts may follow on the line of the word OFF, even without a space as in some files of ModelNet40.
    """
    lines = content(path)
    if not lines or not lines[0][1].upper().startswith("OFF"):
        raise FormatError(path, "it does not begin with the word OFF", OFF)
    number, first = lines.pop(0)
    if first[3:].strip():
        lines.insert(0, (number, first[3:].strip()))
    if not lines:
        raise FormatError(path, "it ends after the word OFF", OFF)
    number, counts = lines.pop(0)
    try:
        vertex_count, face_count = (int(word) for word in counts.split()[:2])
    except ValueError:
        raise FormatError(path, f"line {number} does not hold the numbers of vertices and faces", OFF) from None
    if min(vertex_count, face_count) < 0 or len(lines) < vertex_count + face_count:
        wrong = (
            f"line {number} promises {vertex_count:,} vertices and {face_count:,} faces, {len(lines):,} lines follow"
        )
        raise FormatError(path, wrong, OFF)
    vertices = numbers(path, lines[:vertex_count], OFF) if vertex_count else np.empty((0, 3))
    if vertices.shape[1] < 3:
        raise FormatError(path, f"line {lines[0][0]} has {vertices.shape[1]} columns", OFF)
    faces = lines[vertex_count : vertex_count + face_count]
    return vertices[:, :3], _off_triangles(path, faces, vertex_count)


def _off_triangles(path: Path, lines: list[Line], vertex_count: int) -> NDArray[np.int64]:
    polygons = []
    for number, line in lines:
        try:
            words = line.split()
            corners = [int(word) for word in words[1 : 1 + int(words[0])]]
            if len(corners) != int(words[0]) or (corners and not 0 <= min(corners) <= max(corners) < vertex_count):
                raise ValueError
        except ValueError:
            wrong = f"line {number} is not a face of vertices from 0 to {vertex_count - 1}"
            raise FormatError(path, wrong, OFF) from None
        polygons.append(corners)
    return fans(polygons)


def read_obj(path: Path) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Vertices (V, 3) and triangles (T, 3) of an OBJ mesh; polygons become fans of triangles."""
    vertices: list[Line] = []
    polygons = []
    for number, line in content(path):
        kind, *rest = line.split()
        if kind == "v" and rest:
            vertices.append((number, " ".join(rest)))
        elif kind in ("v", "f"):
            try:
                corners = [int(word.partition("/")[0]) for word in rest]
            except ValueError:
                corners = []
            if len(corners) < 3:
                raise FormatError(path, f"line {number} is not a vertex or a face", OBJ)
            # Numbers count from 1, or, where negative, back from the last vertex so far.
            corners = [corner - 1 if corner >= 0 else len(vertices) + corner for corner in corners]
            polygons.append((number, corners))
    if not vertices:
        raise FormatError(path, "it holds no vertices", OBJ)
    for number, corners in polygons:
        if not 0 <= min(corners) <= max(corners) < len(vertices):
            raise FormatError(path, f"line {number} is not a face of vertices from 1 to {len(vertices)}", OBJ)
    positions = numbers(path, vertices, OBJ)
    if positions.shape[1] < 3:
        raise FormatError(path, f"line {vertices[0][0]} has {positions.shape[1]} coordinates", OBJ)
    return positions[:, :3], fans([corners for _, corners in polygons])


def fans(polygons: Sequence[Sequence[int]] | NDArray[Any]) -> NDArray[np.int64]:
    """The triangles (T, 3) of convex polygons, each split as a fan about its first corner."""
    by_size: dict[int, list[Any]] = {}
    for polygon in polygons:
        by_size.setdefault(len(polygon), []).append(polygon)
    triangles = [np.empty((0, 3), dtype=np.int64)]
    for size, group in sorted(by_size.items()):
        corners = np.array(group, dtype=np.int64)
        triangles += [corners[:, [0, i, i + 1]] for i in range(1, size - 1)]
    return np.concatenate(triangles)


def content(path: Path) -> list[Line]:
    """The lines of a text file that hold more than a comment, stripped, each with its number."""
    text = path.read_bytes().decode("utf-8", errors="replace").lstrip("\ufeff")
    stripped = (line.partition("#")[0].strip() for line in text.splitlines())
    return [(number, line) for number, line in enumerate(stripped, 1) if line]


def numbers(path: Path, lines: list[Line], accepted: str) -> NDArray[np.float64]:
    """The table (N, columns) of lines of numbers, as many in each line as in the first.

    Raises
    ------
    FormatError
        Naming the first line that is not so.
    """
    delimiter = next((mark for mark in ",;" if mark in lines[0][1]), None)
    try:
        return np.loadtxt([line for _, line in lines], delimiter=delimiter, ndmin=2, comments=None)
    except ValueError:
        width = len(lines[0][1].split(delimiter))
        for number, line in lines:
            words = line.split(delimiter)
            for word in words:
                try:
                    float(word)
                except ValueError:
                    raise FormatError(path, f"line {number} holds {word.strip()[:40]!r}", accepted) from None
            if len(words) != width:
                wrong = f"line {number} has {len(words)} columns and line {lines[0][0]} has {width}"
                raise FormatError(path, wrong, accepted) from None
        raise
