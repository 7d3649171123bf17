"""What hostile files cost: each is read by a process of its own, whose memory is measured."""

import json
import os
import socket
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import Mock
from zipfile import ZIP_DEFLATED, ZipFile

import h5py
import numpy as np
import pytest

from core.clouds import files
from core.clouds.files import MOST_DRAWN, READABLE, FormatError, read_cloud
from core.clouds.readers import text
from core.commands import run
from core.datasets import DatasetError, open_dataset

ROOT = Path(__file__).resolve().parents[2]
MOST_MEMORY = 1_500
"""MB that are resident in a process that reads, or in the one that it starts."""

READ = """
import json, resource, sys
from pathlib import Path
from core.clouds.files import read_cloud

points = json.loads(sys.argv[2])
try:
    answer = f"{len(read_cloud(Path(sys.argv[1]), points).points):,} points"
except ValueError as error:
    answer = str(error)
# not the maximum that getrusage knows of this process: it began as a copy of a larger one
status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
own, child = int(status["VmHWM"].split()[0]), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps([answer, max(own, child) / 1024]))
"""

PLY = "ply\nformat binary_little_endian 1.0\n"
VERTEX = "element vertex 3\nproperty float x\nproperty float y\nproperty float z\n"


def answer(path: Path, points: int | None = 64, most_memory: float = MOST_MEMORY) -> str:
    """What comes of reading a file; that it costs no more than is promised."""
    # so that a reader without bounds ends neither the machine nor the patience: 8 GB, 60 seconds of processor time
    limits = 'ulimit -v 8000000 -t 60; exec "$@"'
    command = ["bash", "-c", limits, "bash", sys.executable, "-c", READ, str(path), json.dumps(points)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, f"exit code {done.returncode}: {done.stderr[-500:]}"
    assert not done.stderr
    sentence, memory = json.loads(done.stdout)
    assert memory < most_memory, f"{memory} MB"
    return str(sentence).removeprefix(f"{path}: ")


@contextmanager
def removed(path: Path) -> Iterator[None]:
    """pytest keeps the folders of its last runs, and some of these files are of hundreds of megabytes."""
    try:
        yield
    finally:
        path.unlink()


def zeros(count: int) -> bytes:
    """``count`` million zeros, compressed with zlib at once however many they are."""
    packer = zlib.compressobj(9)
    million = bytes(1_000_000)
    first = packer.compress(million) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(million) + packer.flush(zlib.Z_FULL_FLUSH)  # after a full flush each is the same
    total = count * 1_000_000
    check = (total % 65_521) << 16 | 1  # Adler-32 of zeros
    return first + block * (count - 1) + packer.copy().flush()[:-4] + struct.pack(">I", check)


# Cost


def test_an_h5_file_of_millions_of_chunks_is_refused(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("points", (5_000_000, 7), "f8", chunks=(1, 7))
    assert path.stat().st_size < 2000
    assert answer(path) == "field 'points' is in 5,000,000 chunks; up to 100,000 are accepted."


def test_an_h5_file_of_one_huge_chunk_is_refused(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        chunks = (350_000_000, 3)
        file.create_dataset("points", (1000, 3), "f4", maxshape=(None, 3), chunks=chunks, compression="gzip")
    assert answer(path) == "field 'points' has chunks of 4,200,000,000 bytes; up to 300,000,000 are accepted."


def test_an_h5_file_whose_small_chunk_expands_to_gigabytes_ends_in_its_own_process(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("points", (100, 3), "f4", chunks=(100, 3), compression="gzip")
        data.id.write_direct_chunk((0, 0), zeros(6000))
    assert answer(path).startswith("it cannot be read (")


@pytest.mark.long
def test_lists_of_a_ply_before_its_vertices_are_not_gone_through_without_end(tmp_path):
    path = tmp_path / "a.ply"
    for count, size in ((5_000_000, 1), (2_499_000, 2)):
        lists = "".join(f"element e{i} {count}\nproperty list uchar uchar a\n" for i in range(4))
        # in the second file lists of different lengths, each of which says where the next begins
        rows = b"\0" * 24_000_000 if size == 1 else b"\0\1\0" * 5_000_000
        path.write_bytes(f"{PLY}{lists}{VERTEX}end_header\n".encode() + rows)
        sentence = answer(path)
        assert sentence.startswith(
            ("it promises 20,000,003 rows of all elements; up to 10,000,000 are accepted", "all points of the cloud")
        )


def test_rows_of_a_ply_with_many_different_lists_are_refused(tmp_path):
    path = tmp_path / "a.ply"
    lists = "element face 200000\n" + "".join(f"property list uchar uchar a{i}\n" for i in range(100))
    row = bytes(100) + b"\1\0" * 100
    path.write_bytes(f"{PLY}{lists}{VERTEX}end_header\n".encode() + row * 100_000)
    assert answer(path).startswith("its 200,000 of face have lists of different lengths")


@pytest.mark.long
def test_too_many_lines_of_text_are_refused(tmp_path):
    path = tmp_path / "a.xyz"
    path.write_bytes(b"0 0 1\n" * 50_000_000)
    with removed(path):
        assert answer(path) == "it has 300,000,000 bytes of text; up to 134,217,728 are accepted, more in binary."
        os.truncate(path, 6 * 5_000_001)
        assert answer(path) == "it has more than 5,000,000 points; up to 5,000,000 are accepted."
        path.write_bytes(b"\n" * 100_000_000)
        assert answer(path) == "it has too many lines; up to 6,000,000 are accepted, more in binary."
        path.write_bytes(b"0 " * 50_000_000)
        assert answer(path) == "line 1 is too long; up to 1,048,576 letters are accepted."


@pytest.mark.long
def test_the_largest_accepted_text_costs_no_more_than_is_promised(tmp_path):
    path = tmp_path / "a.xyz"
    path.write_bytes(b"1.5 2.5 3.5 0 0 1 7\n" * 4_999_999 + b"1.5 2.5 4.5 0 0 1 7\n")
    with removed(path):
        assert answer(path, None) == "5,000,000 points"


@pytest.mark.long
@pytest.mark.parametrize("suffix", [".off", ".obj"])
def test_the_largest_accepted_mesh_in_text_costs_no_more_than_is_promised(tmp_path, suffix):
    path, count = tmp_path / f"a{suffix}", 2_500_000
    corners, face = ["0 0 0\n", "1 0 0\n", "0 1 0\n"], "3 0 1 2\n" if suffix == ".off" else "f 1 2 3\n"
    if suffix == ".off":
        vertices = f"OFF\n3000000 {count} 0\n" + "".join(corners) * 1_000_000
    else:
        vertices = "".join(f"v {corner}" for corner in corners) * 1_000_000
    path.write_text(vertices + face * count)
    with removed(path):
        assert answer(path, 2048) == "2,048 points"


def test_a_mesh_in_text_of_more_faces_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MOST_POINTS", 9)
    (tmp_path / "a.off").write_text("OFF\n3 5 0\n0 0 0\n1 0 0\n0 1 0\n" + "3 0 1 2\n" * 5)
    assert sentence(tmp_path / "a.off").startswith("line 2 promises 3 vertices and 5 faces; up to 9 and 4 are accepted")
    (tmp_path / "a.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\n" + "f 1 2 3\n" * 5)
    assert sentence(tmp_path / "a.obj").startswith("its faces have 15 corners; up to 12 are accepted")
    (tmp_path / "a.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\n" + "f 1 2 3 1 2 3 1 2 3 1 2 3\n")
    assert sentence(tmp_path / "a.obj").startswith("it has 10 triangles; up to 8 are accepted")
    faces = "element face {}\nproperty list uchar uchar vertex_index\n"
    for lists, corners in ((b"\x1e" + bytes(30), 30), (b"\x0a" + bytes(10) + b"\x14" + bytes(20), 30)):
        head = f"{PLY}{VERTEX}{faces.format(1 if lists[0] == 30 else 2)}end_header\n"
        (tmp_path / "a.ply").write_bytes(head.encode() + bytes(36) + lists)
        assert sentence(tmp_path / "a.ply").startswith(f"its faces have {corners} corners; up to 27 are accepted")
    (tmp_path / "a.ply").write_text(
        f"ply\nformat ascii 1.0\n{VERTEX}{faces.format(5)}end_header\n0 0 0\n1 0 0\n0 1 0\n"
    )
    assert sentence(tmp_path / "a.ply").startswith("it promises 5 of face; up to 4 are accepted in text")


@pytest.mark.long
def test_polygons_of_thousands_of_sizes_become_triangles(tmp_path):
    path = tmp_path / "a.obj"
    faces = (f"f {'1 2 3 ' * (size // 3)}{'1 2 3 '[: 2 * (size % 3)]}\n" for size in range(1000, 3500))
    path.write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\n" + "".join(faces))
    assert path.stat().st_size > 11_000_000
    assert answer(path).startswith("it has 5,618,750 triangles")
    text_of_fewer = path.read_text().splitlines()[:2000]
    path.write_text("\n".join(text_of_fewer))
    assert answer(path) == "64 points"


@pytest.mark.long
def test_the_largest_binary_meshes_cost_no_more_than_is_promised(tmp_path):
    count = 5_000_000
    path = tmp_path / "a.stl"
    triangle = struct.pack("<12fH", 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0)
    path.write_bytes(bytes(80) + struct.pack("<I", count) + triangle * count)
    with removed(path):
        assert answer(path) == "64 points"
    path = tmp_path / "a.ply"
    vertices = VERTEX.replace("vertex 3", f"vertex {count}").replace("float", "double")
    faces = f"element face {count // 2}\nproperty list uchar int vertex_indices\n"
    lists = struct.pack("<B3i", 3, 0, 1, 2) + struct.pack("<B4i", 4, 0, 1, 2, 0)  # of two lengths
    points = np.tile(np.eye(3), (count // 3 + 1, 1))[:count]
    path.write_bytes(f"{PLY}{vertices}{faces}end_header\n".encode() + points.tobytes() + lists * (count // 4))
    with removed(path):
        assert answer(path) == "64 points"


@pytest.mark.long
def test_the_largest_arrays_cost_no_more_than_is_promised(tmp_path):
    points = np.tile(np.eye(7), (714_286, 1))[:5_000_000]
    np.save(tmp_path / "a.npy", points)
    np.savez(tmp_path / "a.npz", points=points)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("points", data=points, chunks=points.shape, compression="gzip", compression_opts=1)
    for suffix in (".npy", ".npz", ".h5"):
        with removed(tmp_path / f"a{suffix}"):
            assert answer(tmp_path / f"a{suffix}", None) == "5,000,000 points"


def test_a_member_of_an_npz_that_shadows_its_points_is_not_read(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, points=np.eye(4)[:, :3])
    with ZipFile(path, "a", ZIP_DEFLATED, compresslevel=1) as archive, archive.open("points", "w") as member:
        for _ in range(40):
            member.write(bytes(10_000_000))
    assert answer(path, most_memory=150) == "64 points"


def test_a_frame_of_no_numbers_at_all_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, points=np.eye(4)[:, :3], centre=np.empty((0, 1_000_000), dtype="<U9999999"))
    assert answer(path, most_memory=150) == "field 'centre' is of <U9999999; numbers and short names are accepted."


def test_a_member_of_an_npz_whose_header_expands_to_hundreds_of_megabytes_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    with ZipFile(path, "w", ZIP_DEFLATED, compresslevel=1) as archive, archive.open("points.npy", "w") as member:
        member.write(b"\x93NUMPY\2\0" + struct.pack("<I", 400_000_000))
        for _ in range(40):
            member.write(bytes(10_000_000))
    assert answer(path, most_memory=150).startswith("field 'points' is not an array in NumPy's format")


@pytest.mark.long
def test_an_npz_of_hundreds_of_thousands_of_members_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    with ZipFile(path, "w") as archive:
        for number in range(100_000):
            archive.writestr(str(number), b"")
    assert answer(path) == "it holds 100,000 fields; up to 1,000 are accepted."


@pytest.mark.parametrize("header", ["(5000000, 3)", "(10**12, 3)", "(9" + "9" * 30 + ", 3)", "(-1, 3)", "(2, 3, 4)"])
def test_a_npy_that_promises_more_than_it_has_is_refused(tmp_path, header):
    path = tmp_path / "a.npy"
    head = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {header}}}".ljust(117) + "\n"
    path.write_bytes(b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head.encode() + bytes(100))
    assert answer(path).startswith("its array ")


@pytest.mark.parametrize("step", [b"\0\1", b"\x1f" + bytes(32), b"\xe0\xff\0"], ids=["bytes", "runs", "repetitions"])
def test_a_compressed_pcd_costs_no_more_than_is_promised(tmp_path, step):
    path, points = tmp_path / "a.pcd", 5_000_000
    head = f"FIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nPOINTS {points}\nDATA binary_compressed\n"
    packed = b"\0\0" + step * (12 * points // max(1, len(step) - 1))
    path.write_bytes(head.encode() + struct.pack("<II", len(packed), 12 * points) + packed)
    with removed(path):
        assert answer(path).startswith(("its compressed data are damaged or in too many pieces", "all points of"))


@pytest.mark.parametrize("points", [MOST_DRAWN + 1, pytest.param(10**9, marks=pytest.mark.long), 10**12])
def test_more_points_than_any_model_takes_cannot_be_asked_for(tmp_path, points):
    np.save(tmp_path / "a.npy", np.eye(3))
    (tmp_path / "a.off").write_text("OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n")
    for name in ("a.npy", "a.off"):
        assert answer(tmp_path / name, points) == f"the number of points must be 1 to 100,000, not {points:,}"
        assert answer(tmp_path / name, MOST_DRAWN) == "100,000 points"


def test_the_command_line_says_how_many_points_can_be_asked_for(tmp_path, capsys):
    np.save(tmp_path / "a.npy", np.eye(3))
    assert run(["attack", str(tmp_path / "a.npy"), "--points", "1000000000"]) != 0
    out, error = capsys.readouterr()
    assert out == ""
    assert " ".join(error.split()) == "error: the number of points must be 1 to 100,000, not 1,000,000,000"


# Other files, and files that are none


def sentence(path: Path) -> str:
    with pytest.raises(FormatError) as caught:
        read_cloud(path)
    return str(caught.value).removeprefix(f"{path}: ")


def test_an_h5_file_that_names_other_files_is_refused(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(range(250)) * 6)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["points"] = np.random.default_rng(0).normal(size=(100, 3))
    with h5py.File(tmp_path / "external.h5", "w") as file:
        file.create_dataset("points", (500, 3), "u1", external=[(str(secret), 0, 1500)])
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        layout = h5py.VirtualLayout((100, 3), "f8")
        layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "points", (100, 3))
        file.create_virtual_dataset("points", layout)
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["points"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/points")
    with h5py.File(tmp_path / "soft.h5", "w") as file:
        file["deep/points"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/points")
        file["points"] = h5py.SoftLink("/deep/points")
    assert read_cloud(tmp_path / "other.h5").points.shape == (1024, 3)
    accepted = "; a file that holds its numbers itself is accepted."
    for name in ("external", "virtual"):
        assert sentence(tmp_path / f"{name}.h5") == "the numbers of field 'points' are in other files" + accepted
    for name in ("link", "soft"):
        assert sentence(tmp_path / f"{name}.h5") == "field 'points' is a link" + accepted


def test_a_link_of_an_h5_file_is_not_followed_to_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["points"] = h5py.ExternalLink(str(tmp_path / "pipe"), "/points")
        file["x"] = h5py.ExternalLink(str(tmp_path / "pipe"), "/points")
    assert sentence(tmp_path / "a.h5").startswith("field 'points' is a link")


@pytest.mark.parametrize("suffix", READABLE)
def test_what_is_no_regular_file_is_refused_in_every_format(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.symlink_to("/dev/zero")
    assert sentence(path).startswith("it is a device; ")
    path.unlink()
    os.mkfifo(path)  # opening it would wait for ever
    assert sentence(path).startswith("it is a named pipe; ")
    path.unlink()
    path.mkdir()
    assert sentence(path).startswith("it is a folder; ")
    path.rmdir()
    path.symlink_to(path)
    assert sentence(path).startswith("it cannot be opened (Too many levels of symbolic links); ")
    path.unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        os.chdir(tmp_path)  # an address has room for a hundred letters
        listening.bind(path.name)
        os.chdir(ROOT)
        assert sentence(path).startswith("it is a socket; ")


def test_names_that_no_file_can_have_are_refused(tmp_path):
    assert "a\\x00.ply: no file can have this name; .ply, .pcd, " in sentence(tmp_path / "a\0.ply")
    assert "it cannot be opened (File name too long)" in sentence(tmp_path / ("a" * 300 + ".ply"))
    (tmp_path / "a.ply").write_text("ply")
    assert sentence(tmp_path / "a.ply" / "b.ply").startswith("there is no such file")


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("modelnet40", "modelnet40.npz"),
        ("modelnet40", "modelnet40_train.txt"),
        ("modelnet40", "ply_data_train0.h5"),
        ("shapenetpart", "synsetoffset2category.txt"),
        ("folder", "cup/a.xyz"),
    ],
)
def test_a_pipe_in_a_dataset_is_not_waited_for(tmp_path, name, file):
    path = tmp_path / "root" / file
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    with pytest.raises((DatasetError, FormatError)):
        list(open_dataset(name, tmp_path / "root", tmp_path / "cache", allow_missing=True))


def test_lists_of_a_dataset_are_not_larger_than_any_known_one(tmp_path):
    with (tmp_path / "synsetoffset2category.txt").open("wb") as file:
        os.truncate(file.fileno(), 1 << 40)
    with pytest.raises(FormatError, match="it has 1,099,511,627,776 bytes, more than 16,777,216"):
        list(open_dataset("shapenetpart", tmp_path, tmp_path / "cache"))


# The sentence


def test_a_sentence_is_short_and_printable_whatever_the_file_is_called_and_holds(tmp_path):
    folder = tmp_path / ("long" * 50) / "\x1b[2Jname"
    folder.mkdir(parents=True)
    path = folder / "a\nb\x07\udcff.npz"
    np.savez(path, **{f"\x1b[31mfield{number}": np.eye(3) for number in range(100)})
    with pytest.raises(FormatError) as caught:
        read_cloud(path)
    text_of_it = str(caught.value)
    assert len(text_of_it) <= 300
    assert text_of_it.isprintable()
    assert "a\\nb\\x07\\xff.npz: it holds the fields \\x1b[31mfield0, " in text_of_it
    assert text_of_it.endswith(".")


@pytest.mark.parametrize("head", ["{'descr': '<f8', 'x': 1}", "(" * 5000, "-" * 9000 + "1", "{" * 60_000, "\0" * 50])
def test_no_sentence_advises_to_trust_the_file(tmp_path, head):
    content = b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head.encode()
    (tmp_path / "a.npy").write_bytes(content)
    assert sentence(tmp_path / "a.npy").startswith("its array is not an array in NumPy's format; ")
    with ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("points.npy", content)
    assert sentence(tmp_path / "a.npz").startswith("field 'points' is not an array in NumPy's format; ")


def test_a_library_that_says_nothing_is_not_quoted(tmp_path, monkeypatch):
    path = tmp_path / "a.xyz"
    path.write_text("1 2 3\n")

    for failure, wrong in (
        (KeyError(), "it cannot be read; "),
        (OSError(()), "it cannot be read; "),
        (MemoryError(), "it cannot be read (there is not enough memory); "),
        (RuntimeError("use allow_pickle=True"), "it cannot be read; "),
    ):
        monkeypatch.setattr(text.np, "loadtxt", Mock(side_effect=failure))
        assert sentence(path).startswith(wrong)
