"""Checks of .pcd and .stl files: Open3D reads them, but in silence half-fills those cut short or malformed."""

import re
from pathlib import Path

from core.clouds.readers.text import content, numbers
from core.runtime.files import FormatError

PCD = (
    "a PCD file has FIELDS (with x, y, z), SIZE, COUNT, POINTS, DATA (ascii, binary, binary_compressed) and its points"
)
STL = "an STL file is ASCII from the word solid to endsolid, or binary with 50 bytes for each triangle that it promises"


def check_pcd(path: Path, most: int) -> int:
    """The number of points that a PCD file promises and has room for."""
    data = path.read_bytes()
    mark = re.search(rb"^DATA +(\w+)\s*?\n", data[:10_000], re.MULTILINE)
    if not mark:
        raise FormatError(path, "its header has no line DATA", PCD)
    header = {}
    for line in data[: mark.start()].decode("latin-1").splitlines():
        if words := line.partition("#")[0].split():
            header[words[0]] = words[1:]
    try:
        (points,) = (int(word) for word in header["POINTS"])
        counts = [int(word) for word in header["COUNT"]]
        row = sum(int(size) * count for size, count in zip(header["SIZE"], counts, strict=True))
    except (KeyError, ValueError):
        raise FormatError(path, "its header lacks numbers for SIZE, COUNT or POINTS", PCD) from None
    if not {"x", "y", "z"} <= set(header.get("FIELDS", [])):
        raise FormatError(path, "its FIELDS lack x, y or z", PCD)
    if points > most:
        raise FormatError(path, f"it promises {points:,} points", f"up to {most:,} are accepted")
    form, left = mark[1], data[mark.end() :]
    if form == b"ascii":
        first = data[: mark.end()].count(b"\n")
        lines = [(number, text) for number, text in content(path) if number > first]
        held = len(numbers(path, lines, PCD)) if lines else 0
    elif form == b"binary":
        held = len(left) // row if row > 0 else 0
    elif form == b"binary_compressed":
        sizes = int.from_bytes(left[:4], "little"), int.from_bytes(left[4:8], "little")
        held = points if sizes[0] <= len(left) - 8 and sizes[1] == points * row else 0
    else:
        raise FormatError(path, f"its DATA is {form.decode('latin-1')}", PCD)
    if held < points:
        raise FormatError(path, f"it promises {points:,} points and holds {held:,}", PCD)
    return points


def check_stl(path: Path, most: int) -> None:
    """That an STL file has room for the triangles it promises."""
    data = path.read_bytes()
    if data.lstrip()[:5] == b"solid" and b"facet" in data[:1000]:
        if b"endsolid" not in data[-1000:]:
            raise FormatError(path, "it ends before the word endsolid", STL)
        return
    triangles = int.from_bytes(data[80:84], "little")
    if len(data) < 84 + 50 * triangles or not triangles:
        raise FormatError(path, f"it promises {triangles:,} triangles and has {len(data):,} bytes", STL)
    if triangles > most:
        raise FormatError(path, f"it promises {triangles:,} triangles", f"up to {most:,} are accepted")
