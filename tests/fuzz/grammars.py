"""Good small files of every format that is read, and files made from scratch by the format's grammar."""

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

from tests.fuzz.mutators import EXTREMES, NUMBERS, WORDS

CORNERS = np.array([[0, 0, 0], [2, 0, 0], [0, 2, 0], [0, 0, 2]], dtype=np.float32)
FACES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
POINTS = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)


def seeds(suffix: str) -> list[bytes]:
    """Good files of a format."""
    return _SEEDS[suffix]()


def generate(suffix: str, rng: random.Random) -> bytes:
    """A file with the format's outline and anything in it."""
    return _GRAMMARS[suffix](rng)


def _lines(*rows: Any, separator: str = " ") -> bytes:
    return "".join(separator.join(map(str, row)) + "\n" for row in rows).encode()


def _columns() -> list[bytes]:
    wide = np.hstack([POINTS, POINTS, np.ones((20, 1))])
    return [
        _lines(*POINTS), _lines(*wide), _lines(*POINTS, separator=", "), b"20\n" + _lines(*POINTS),
        b"# pointward unit sphere: centre 1.0 2.0 3.0 radius 4.0\n" + _lines(*POINTS / 5),
    ]  # fmt: skip


def _ply() -> list[bytes]:
    files = []
    for form, order in (("ascii", ""), ("binary_little_endian", "<"), ("binary_big_endian", ">")):
        head = f"ply\nformat {form} 1.0\ncomment pointward unit sphere: centre 0 0 0 radius 2\nelement vertex 4\n"
        head += "property float x\nproperty float y\nproperty float z\nproperty uchar red\n"
        faces = "element face 4\nproperty list uchar int vertex_indices\nproperty uchar flags\n"
        body, lists = b"", b""
        for corner in CORNERS:
            body += struct.pack(f"{order}fffB", *corner, 7) if order else _lines((*corner, 7))
        for face in FACES:
            lists += struct.pack(f"{order}BiiiB", 3, *face, 1) if order else _lines((3, *face, 1))
        files += [head.encode() + b"end_header\n" + body, (head + faces).encode() + b"end_header\n" + body + lists]
    return files


def _pcd() -> list[bytes]:
    head = "# .PCD v0.7\nVERSION 0.7\nFIELDS x y z rgb\nSIZE 4 4 4 1\nTYPE F F F U\nCOUNT 1 1 1 2\nWIDTH 20\nHEIGHT 1\n"
    head += "VIEWPOINT 0 0 0 1 0 0 0\nPOINTS 20\nDATA {}\n"
    rows = b"".join(struct.pack("<fffBB", *point, 1, 2) for point in POINTS)
    columns = POINTS.T.astype("<f4").tobytes() + b"\1\2" * 20
    pieces = [columns[at : at + 32] for at in range(0, 256, 32)]
    packed = b"".join(bytes([len(piece) - 1]) + piece for piece in pieces)
    packed += b"\xe0\x0f\1"  # the last 24 bytes repeat what is 2 bytes before them
    return [
        head.format("ascii").encode() + _lines(*((*point, 1, 2) for point in POINTS)),
        head.format("binary").encode() + rows,
        head.format("binary_compressed").encode() + struct.pack("<II", len(packed), len(columns)) + packed,
    ]


def _npy(array: Any = POINTS) -> list[bytes]:
    files = []
    for content in (array, array.astype(np.float64), np.asfortranarray(array), array.astype(">i2")):
        buffer = io.BytesIO()
        np.save(buffer, content)
        files.append(buffer.getvalue())
    return files


def _npz() -> list[bytes]:
    plain, packed = io.BytesIO(), io.BytesIO()
    np.savez(plain, points=POINTS, normals=POINTS)
    np.savez_compressed(packed, points=POINTS / 5, centre=np.zeros(3), radius=2.0)
    return [plain.getvalue(), packed.getvalue()]


def _h5() -> list[bytes]:
    files = []
    for options in ({}, {"chunks": (4, 3), "compression": "gzip"}, {"chunks": (7, 3), "maxshape": (None, 3)}):
        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as file:
            file.create_dataset("data", data=POINTS, **options)
            file["label"] = np.zeros(5, dtype=np.uint8)
        files.append(buffer.getvalue())
    return files


def _off() -> list[bytes]:
    faces = _lines(*((3, *face) for face in FACES))
    return [
        b"OFF\n4 4 6\n" + _lines(*CORNERS) + faces,
        b"OFF4 2 0\n" + _lines(*CORNERS) + b"4 0 1 2 3 255 0\n3 0 1 2\n",
    ]


def _obj() -> list[bytes]:
    vertices = _lines(*(("v", *corner) for corner in CORNERS))
    return [
        b"o box\n" + vertices + _lines(*(("f", *face + 1) for face in FACES)),
        vertices + b"vn 0 0 1\nf 1/1/1 2//1 3/1\nf -1 -2 -3 -4\n",
        vertices,
    ]


def _stl() -> list[bytes]:
    text, binary = "solid a\n", b"\0" * 80 + struct.pack("<I", 4)
    for face in FACES:
        corners = CORNERS[face]
        loop = "".join(f"vertex {x} {y} {z}\n" for x, y, z in corners)
        text += f"facet normal 0 0 0\nouter loop\n{loop}endloop\nendfacet\n"
        binary += struct.pack("<12fH", 0, 0, 0, *corners.ravel(), 0)
    return [(text + "endsolid a\n").encode(), binary]


def _any(rng: random.Random) -> str:
    return rng.choice(NUMBERS) if rng.random() < 0.5 else str(rng.randrange(6))


def _make_ply(rng: random.Random) -> bytes:
    types = ("char", "uchar", "short", "uint", "float", "double", "int", "float16")
    form = rng.choice(("ascii", "binary_little_endian", "binary_big_endian"))
    head = f"ply\nformat {form} 1.0\n"
    for _ in range(rng.randrange(1, 6)):
        count = rng.choice((1, 2, 3, 5_000_000, 10**9)) if rng.random() < 0.9 else _any(rng)
        head += f"element {rng.choice(('vertex', 'face', 'edge'))} {count}\n"
        for name in rng.sample(("x", "y", "z", "vertex_indices", "vertex_index", "nx"), rng.randrange(7)):
            kind = rng.choice(types) if rng.random() < 0.6 else f"list {rng.choice(types)} {rng.choice(types)}"
            head += f"property {kind} {name}\n"
    body = b" ".join(rng.choice((b"0", b"1", b"3", b"\n")) for _ in range(rng.choice((10, 300, 5000))))
    if form != "ascii":
        body = rng.choice((rng.randbytes(2000), b"\0" * 100_000, b"\1\0\0\0" * 500))
    return f"{head}end_header\n".encode() + body


def _make_pcd(rng: random.Random) -> bytes:
    fields = rng.sample(("x", "y", "z", "normal_x", "rgb", "_"), rng.randrange(3, 7))
    numbers = {
        "SIZE": [rng.choice(("1", "2", "4", "8", _any(rng))) for _ in fields],
        "TYPE": [rng.choice(("F", "F", "I", "U", "X")) for _ in fields],
        "COUNT": [rng.choice(("1", "1", "1", "2", _any(rng))) for _ in fields],
        "POINTS": [rng.choice(("1", "2", "5000000", _any(rng)))],
    }
    head = f"FIELDS {' '.join(fields)}\n" + "".join(f"{key} {' '.join(words)}\n" for key, words in numbers.items())
    head += f"DATA {rng.choice(('ascii', 'binary', 'binary_compressed'))}\n"
    sizes = struct.pack("<II", rng.choice(EXTREMES) % 2**32, rng.choice(EXTREMES) % 2**32)
    return head.encode() + rng.choice((b"1 2 3 4 5 6\n" * 10, rng.randbytes(400), sizes + rng.randbytes(400)))


def _make_npy(rng: random.Random) -> bytes:
    kinds = ("<f4", "<f8", "|O", ">i4", "<U9999999", "|V100000", "<M8[s]", "<c16", "|b1", "<f16")
    shape = tuple(rng.choice((0, 1, 3, 7, 20, *EXTREMES)) for _ in range(rng.randrange(5)))
    head = repr({"descr": rng.choice(kinds), "fortran_order": rng.random() < 0.5, "shape": shape})
    head = rng.choice((head, head, "(" * 300, "-" * 5000 + "1", head.replace("'", '"'))).ljust(118) + "\n"
    magic = b"\x93NUMPY" + bytes(rng.choice(((1, 0), (1, 0), (2, 0), (3, 0), (9, 9))))
    size = len(head) if rng.random() < 0.9 else rng.choice(EXTREMES)
    size = (size % 2**16).to_bytes(2, "little") if magic[6] == 1 else (size % 2**32).to_bytes(4, "little")
    return magic + size + head.encode() + rng.randbytes(rng.choice((0, 240, 2000)))


def _make_npz(rng: random.Random) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in rng.choices(("points.npy", "points", "data.npy", "centre.npy", "radius.npy", "x.npy"), k=4):
            packing = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
            content = rng.choice((_make_npy(rng), rng.choice(_npy()), b"\0" * rng.choice((10, 2_000_000))))
            if name not in archive.namelist():
                archive.writestr(name, content, packing)
    return buffer.getvalue()


def _make_h5(rng: random.Random) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", track_order=rng.random() < 0.5) as file:
        for name in rng.sample(("points", "data", "label", "x"), rng.randrange(1, 4)):
            shape = (rng.choice((1, 20, 1000, 5_000_000, 10**9)), rng.choice((1, 3, 7, 100)))
            match rng.randrange(8):
                case 0:
                    file[name] = h5py.SoftLink(rng.choice(("/data", "/x", f"/{name}")))
                case 1:
                    file[name] = h5py.ExternalLink("/dev/zero", "/data")
                case 2:
                    file.create_dataset(name, (1000, 3), "u1", external=[("/etc/hostname", 0, h5py.h5f.UNLIMITED)])
                case 3:
                    layout = h5py.VirtualLayout((20, 3), "f4")
                    layout[:] = h5py.VirtualSource("/dev/zero", "data", (20, 3))
                    file.create_virtual_dataset(name, layout)
                case 4:
                    file.create_group(name)["data"] = POINTS
                case 5:
                    chunks = (rng.choice((1, 7, 100_000, 50_000_000)), shape[1])
                    options = {"maxshape": (None, shape[1]), "compression": rng.choice((None, "gzip", "lzf"))}
                    file.create_dataset(name, shape, rng.choice(("f4", "f8", "i1")), chunks=chunks, **options)
                case 6:
                    data = file.create_dataset(name, (100, 3), "f4", chunks=(100, 3), compression="gzip")
                    data.id.write_direct_chunk((0, 0), zlib.compress(b"\0" * rng.choice((10, 1200, 20_000_000)), 1))
                case 7:
                    file.create_dataset(name, shape, rng.choice(("f4", "S5", "c8", h5py.string_dtype())))
    return buffer.getvalue()


def _make_lines(heads: tuple[str, ...], words: tuple[str, ...]) -> Callable[[random.Random], bytes]:
    def make(rng: random.Random) -> bytes:
        text = rng.choice(heads)
        for _ in range(rng.choice((3, 20, 200))):
            row = [rng.choice(words), *(str(rng.randrange(5)) for _ in range(rng.choice((3, 3, 3, 3, 4, 2, 40))))]
            if rng.random() < 0.05:
                row[rng.randrange(len(row))] = rng.choice((*NUMBERS, *WORDS))
            text += " ".join(row).strip() + "\n"
        return text.encode("utf-8", "surrogatepass")

    return make


def _make_stl(rng: random.Random) -> bytes:
    count = rng.choice(EXTREMES) % 2**32
    return rng.choice((b"\0", b"solid", b"solid facet")).ljust(80) + struct.pack("<I", count) + rng.randbytes(500)


_TEXT = (".xyz", ".txt", ".pts")
_SEEDS: dict[str, Callable[[], list[bytes]]] = {
    ".ply": _ply, ".pcd": _pcd, **dict.fromkeys(_TEXT, _columns), ".npy": _npy, ".npz": _npz, ".h5": _h5, ".off": _off,
    ".obj": _obj, ".stl": _stl,
}  # fmt: skip
_GRAMMARS: dict[str, Callable[[random.Random], bytes]] = {
    ".ply": _make_ply, ".pcd": _make_pcd, **dict.fromkeys(_TEXT, _make_lines(("", "20\n", "# a\n"), ("", "1,2"))),
    ".npy": _make_npy, ".npz": _make_npz, ".h5": _make_h5,
    ".off": _make_lines(("OFF\n4 4 0\n", "OFF 20 180 0\n", "OFF\n3 0\n"), ("", "", "3")),
    ".obj": _make_lines(("", "v 0 0 0\n"), ("v", "v", "f", "vn", "f -1/2")), ".stl": _make_stl,
}  # fmt: skip


def archive(suffix: str, fields: dict[str, Any]) -> list[bytes]:
    """Files .npz or .h5 that hold these fields."""
    buffer = io.BytesIO()
    if suffix == ".npz":
        np.savez_compressed(buffer, **fields)
    else:
        with h5py.File(buffer, "w") as file:
            file["data"], file["label"] = fields["points"], fields["label"]
    return [buffer.getvalue()]
