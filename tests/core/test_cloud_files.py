"""Cloud and mesh files: exact in and out, and one sentence for whatever is wrong with a file."""

import os
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.clouds import files, normalise
from core.clouds.files import CLOUDS, MESHES, READABLE, WRITABLE, FormatError, read_cloud, read_points, write_cloud
from core.runtime.files import atomic_path

TETRAHEDRON = np.array([[0, 0, 0], [2, 0, 0], [0, 2, 0], [0, 0, 2]], dtype=np.float32)
FACES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
OFF = "OFF\n4 4 6\n0 0 0\n2 0 0\n0 2 0\n0 0 2\n3 0 2 1\n3 0 1 3\n3 0 3 2\n3 1 2 3\n"
PCD = (
    "# .PCD v0.7\nVERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH {n}\nHEIGHT 1\n"
    "VIEWPOINT 0 0 0 1 0 0 0\nPOINTS {n}\nDATA {form}\n"
)


def some_points(n: int = 100, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)


def on_tetrahedron(points: np.ndarray) -> np.ndarray:
    """Whether each point is on the surface of the tetrahedron."""
    on_plane = np.abs(np.column_stack([points, points.sum(axis=1) - 2])) < 1e-5
    return on_plane.any(axis=1) & (points > -1e-5).all(axis=1) & (points.sum(axis=1) < 2 + 1e-5)


def refused(path: Path, **options) -> str:
    """The sentence with which a file is refused."""
    with pytest.raises(FormatError) as caught:
        read_cloud(path, **options)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}: ")
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence.removeprefix(f"{path}: ")


# Written and read again


@pytest.mark.parametrize("suffix", [".ply", ".xyz", ".npz"])
def test_a_written_cloud_is_read_again_bit_by_bit_with_the_frame_of_its_file(tmp_path, suffix):
    points, centre, radius = normalise(some_points() * 13 + 5)
    adversarial = points + np.float32(0.05)  # neither centred nor in the sphere: it must not be normalised again
    path = tmp_path / f"adv{suffix}"
    write_cloud(path, adversarial, centre=centre, radius=radius)
    cloud = read_cloud(path, points=None)
    assert cloud.points.tobytes() == adversarial.tobytes()
    np.testing.assert_array_equal(cloud.centre, centre)
    assert cloud.radius == radius
    assert cloud.name == "adv"


@given(arrays(np.float32, (5, 3), elements=st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_every_float32_survives_every_format(tmp_path_factory, points):
    for suffix in WRITABLE:
        path = tmp_path_factory.mktemp("exact") / f"cloud{suffix}"
        write_cloud(path, points)
        np.testing.assert_array_equal(read_points(path), points)


@pytest.mark.parametrize("suffix", WRITABLE)
def test_a_cloud_in_the_original_frame_lies_over_its_file_and_is_normalised_when_read(tmp_path, suffix):
    original = some_points() * 13 + 5
    points, centre, radius = normalise(original)
    path = tmp_path / f"adv{suffix}"
    write_cloud(path, points, centre=centre, radius=radius, original=True)
    np.testing.assert_allclose(read_points(path), original, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(read_cloud(path).points[: len(points)].mean(), points.mean(), atol=0.2)
    np.testing.assert_allclose(read_cloud(path, points=None).points, points, atol=1e-6)


def test_open3d_reads_the_points_and_normals_of_a_written_ply_and_its_displacement_as_a_scalar(tmp_path):
    import open3d

    points, normals, displacement = some_points(), some_points(seed=1), np.linspace(0, 1, 100, dtype=np.float32)
    write_cloud(tmp_path / "a.ply", points, displacement, normals)
    theirs = open3d.t.io.read_point_cloud(tmp_path / "a.ply").point
    np.testing.assert_array_equal(theirs["positions"].numpy(), points)
    np.testing.assert_array_equal(theirs["normals"].numpy(), normals)
    np.testing.assert_array_equal(theirs["displacement"].numpy().ravel(), displacement)


def test_the_displacement_is_in_the_units_of_the_points_beside_it(tmp_path):
    points, displacement = normalise(some_points())[0], np.linspace(0, 1, 100, dtype=np.float32)
    write_cloud(tmp_path / "a.npz", points, displacement, radius=10, original=True)
    with np.load(tmp_path / "a.npz") as archive:
        np.testing.assert_allclose(archive["displacement"], displacement * 10, rtol=1e-6)


def test_a_written_xyz_holds_the_normals_in_three_more_columns(tmp_path):
    write_cloud(tmp_path / "a.xyz", some_points(), normals=some_points(seed=1))
    np.testing.assert_array_equal(np.loadtxt(tmp_path / "a.xyz", dtype=np.float32)[:, 3:], some_points(seed=1))


def test_a_cloud_cannot_be_written_as_a_mesh_or_with_values_that_do_not_fit(tmp_path):
    with pytest.raises(FormatError, match=r"its suffix is '.stl'; .ply, .xyz, .npy, .npz can be written\."):
        write_cloud(tmp_path / "a.stl", some_points())
    with pytest.raises(ValueError, match=r"displacement must be finite numbers \(100,\), not \(3,\)"):
        write_cloud(tmp_path / "a.ply", some_points(), displacement=[1, 2, 3])
    with pytest.raises(ValueError, match="point 1 of 1 is not finite"):
        write_cloud(tmp_path / "a.ply", [[0, 0, np.inf]])
    assert not list(tmp_path.iterdir())


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("old")

    def killed_half_way() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed_half_way()
    assert path.read_text() == "old"
    with atomic_path(path) as temporary:
        assert temporary.parent == path.parent
        assert temporary.suffix == ".txt"
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_replaced_whole_too(tmp_path):
    for text in ("old", "new"):
        with atomic_path(tmp_path / "deep" / "folder") as temporary:
            temporary.mkdir()
            (temporary / "file").write_text(text)
    assert (tmp_path / "deep" / "folder" / "file").read_text() == "new"
    assert len(list((tmp_path / "deep").iterdir())) == 1


def test_a_folder_that_cannot_be_replaced_stays(tmp_path, monkeypatch):
    folder, replace = tmp_path / "folder", os.replace
    folder.mkdir()
    (folder / "file").write_text("old")

    def no_space(source: Path, target: Path) -> None:
        if target == folder and not Path(source).name.endswith(".replaced"):
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", no_space)
    with pytest.raises(OSError, match="No space"), atomic_path(folder) as temporary:
        temporary.mkdir()
    assert (folder / "file").read_text() == "old"
    assert list(tmp_path.iterdir()) == [folder]


# What is read


def test_a_cloud_that_is_not_ours_is_put_into_the_unit_sphere(tmp_path):
    np.save(tmp_path / "a.npy", some_points() * 40 + 7)
    cloud = read_cloud(tmp_path / "a.npy", points=None)
    assert np.linalg.norm(cloud.points, axis=1).max() == pytest.approx(1)
    np.testing.assert_allclose(cloud.points * cloud.radius + cloud.centre, some_points() * 40 + 7, rtol=1e-4)


@pytest.mark.parametrize("points", [64, 100, 250])
def test_any_number_of_points_can_be_asked_for_and_a_seed_gives_the_same_again(tmp_path, points):
    np.save(tmp_path / "a.npy", some_points(100))
    cloud = read_cloud(tmp_path / "a.npy", points, rng=3)
    assert cloud.points.shape == (points, 3)
    np.testing.assert_array_equal(cloud.points, read_cloud(tmp_path / "a.npy", points, rng=3).points)


@pytest.mark.parametrize("name", ["a.npy", "a.off"])
def test_no_points_cannot_be_asked_for(tmp_path, name):
    np.save(tmp_path / "a.npy", some_points(100))
    (tmp_path / "a.off").write_text(OFF)
    with pytest.raises(ValueError, match="1 to 100,000, not 0"):
        read_cloud(tmp_path / name, 0)


def test_as_many_points_as_the_file_has_keep_its_order(tmp_path):
    np.save(tmp_path / "a.npy", some_points(100))
    np.testing.assert_array_equal(read_points(tmp_path / "a.npy", 100), some_points(100))


@pytest.mark.parametrize(
    "text",
    [
        "1 2 3\n4 5 6\n7 8 10\n",
        "1,2,3\n4, 5, 6\r\n7,8,10",
        "\ufeff# by a scanner\n\n 1\t2\t3 # first\n4 5 6\n7 8 10\n\n",
        "1;2;3\n4;5;6\n7;8;10\n",
        "3\n1 2 3\n4 5 6\n7 8 10\n",
        "1 2 3 0 0 1 7.0\n4 5 6 0 0 1 7.0\n7 8 10 0 0 1 7.0\n",
        "1e0 +2. 3\n4 5 6\n7 8 1E1\n",
    ],
    ids=["spaces", "commas", "comments", "semicolons", "count", "shapenet part", "exponents"],
)
@pytest.mark.parametrize("suffix", [".xyz", ".txt", ".pts", ".TXT"])
def test_columns_of_text_are_read_however_they_are_parted(tmp_path, text, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_text(text, encoding="utf-8")
    np.testing.assert_array_equal(read_points(path), [[1, 2, 3], [4, 5, 6], [7, 8, 10]])


def test_arrays_are_read_from_the_field_that_holds_the_cloud(tmp_path):
    points = some_points()
    wide = np.hstack([points, points])
    np.savez(tmp_path / "a.npz", normals=wide, points=points.astype(np.float64))
    np.savez(tmp_path / "b.npz", anything=wide)
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["data"], file["label"] = wide, np.zeros(5)
    np.save(tmp_path / "d.npy", np.asfortranarray(points))
    for name in ("a.npz", "b.npz", "c.h5", "d.npy"):
        np.testing.assert_array_equal(read_points(tmp_path / name), points)


@pytest.mark.parametrize("options", [{"write_ascii": True}, {"write_ascii": False}, {"compressed": True}])
@pytest.mark.parametrize("suffix", [".ply", ".pcd"])
def test_clouds_written_by_open3d_are_read(tmp_path, suffix, options):
    import open3d

    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(some_points().astype(np.float64)))
    cloud.normals = cloud.points
    open3d.io.write_point_cloud(tmp_path / f"a{suffix}", cloud, **options)
    np.testing.assert_allclose(read_points(tmp_path / f"a{suffix}"), some_points(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", ["ascii", "binary", "binary_compressed"])
def test_fields_of_a_pcd_may_be_of_any_type_size_count_and_order(tmp_path, form):
    columns = {
        "rgb": np.arange(60, dtype="<u1").reshape(20, 3),
        "z": np.arange(20, dtype="<i2")[:, None] - 9,
        "x": np.random.default_rng(0).normal(size=(20, 1)),
        "label": np.arange(20, dtype="<u8")[:, None],
        "y": np.random.default_rng(1).normal(size=(20, 2)).astype("<f4"),
    }
    kinds = {"f": "F", "i": "I", "u": "U"}
    head = (
        f"VERSION .7\nFIELDS {' '.join(columns)}\nSIZE {' '.join(str(c.itemsize) for c in columns.values())}\n"
        f"TYPE {' '.join(kinds[c.dtype.kind] for c in columns.values())}\n"
        f"COUNT {' '.join(str(c.shape[1]) for c in columns.values())}\nWIDTH 4\nHEIGHT 5\nPOINTS 20\nDATA {form}\n"
    )
    if form == "ascii":
        body = "".join(f"{' '.join(str(v) for c in columns.values() for v in c[row])}\n" for row in range(20)).encode()
    elif form == "binary":
        body = b"".join(c[row].tobytes() for row in range(20) for c in columns.values())
    else:
        plain = b"".join(column.tobytes() for column in columns.values())
        packed = b"".join(
            bytes([len(plain[at : at + 32]) - 1]) + plain[at : at + 32] for at in range(0, len(plain), 32)
        )
        body = struct.pack("<II", len(packed), len(plain)) + packed
    (tmp_path / "a.pcd").write_bytes(head.encode() + body)
    expected = np.stack([columns[axis][:, 0] for axis in "xyz"], axis=1).astype(np.float32)
    np.testing.assert_array_equal(read_points(tmp_path / "a.pcd"), expected)


def test_repeated_bytes_of_a_compressed_pcd_are_read(tmp_path):
    head = PCD.format(n=30, form="binary_compressed").encode()
    # x is one float, 29 times repeated from 4 bytes before; y and z are zeros, repeated from 1 byte before
    packed = b"\x03\0\0\x80\x3f" + b"\xe0" + bytes([116 - 9]) + b"\x03" + b"\0\0" + b"\xe0" + bytes([239 - 9]) + b"\0"
    (tmp_path / "a.pcd").write_bytes(head + struct.pack("<II", len(packed), 360) + packed)
    np.testing.assert_array_equal(read_points(tmp_path / "a.pcd"), [[1, 0, 0]] * 30)


@pytest.mark.parametrize(
    ("suffix", "write_ascii"),
    [(".off", False), (".obj", False), (".stl", False), (".stl", True), (".ply", False), (".ply", True)],
)
def test_meshes_are_sampled_by_area(tmp_path, suffix, write_ascii):
    import open3d

    mesh = open3d.geometry.TriangleMesh(
        open3d.utility.Vector3dVector(TETRAHEDRON.astype(np.float64)), open3d.utility.Vector3iVector(FACES)
    )
    mesh.compute_triangle_normals()
    if suffix == ".stl" and write_ascii:  # which Open3D does not write
        corners = ("".join(f"vertex {x} {y} {z}\n" for x, y, z in TETRAHEDRON[face]) for face in FACES)
        facets = "".join(f"facet normal 0 0 0\nouter loop\n{text}endloop\nendfacet\n" for text in corners)
        (tmp_path / "a.stl").write_text(f"solid tetrahedron\n{facets}endsolid tetrahedron\n")
    else:
        open3d.io.write_triangle_mesh(tmp_path / f"a{suffix}", mesh, write_ascii=write_ascii)
    points = read_points(tmp_path / f"a{suffix}", 4000, rng=1)
    assert on_tetrahedron(points).all()
    # The slanted face has sqrt(3) times the area of each of the other three.
    slanted = np.abs(points.sum(axis=1) - 2) < 1e-5
    assert slanted.mean() == pytest.approx(np.sqrt(3) / (3 + np.sqrt(3)), abs=0.03)
    np.testing.assert_array_equal(points, read_points(tmp_path / f"a{suffix}", 4000, rng=1))
    assert len(read_cloud(tmp_path / f"a{suffix}", points=None).points) == files.MESH_POINTS


@pytest.mark.parametrize(
    "header", ["OFF\n4 4 6\n", "OFF4 4 6\n", "OFF 4 4 0\n", "# made\nOFF\n\n4 4 6 # counts\n", "off\n4 4\n"]
)
def test_off_headers_are_read_as_broken_as_modelnet_has_them(tmp_path, header):
    (tmp_path / "a.off").write_text(header + OFF.partition("6\n")[2])
    points = read_points(tmp_path / "a.off", 500)
    assert on_tetrahedron(points).all()


def test_polygons_become_triangles_in_every_mesh_format_that_has_them(tmp_path):
    (tmp_path / "a.off").write_text("OFF 5 2 0\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n2 0 0\n4 0 1 2 3 255 0 0\n3 1 4 2\n")
    (tmp_path / "a.obj").write_text(
        "mtllib no.mtl\no box\nv 0 0 0\nv 1 0 0\nv 1 1 0\nvn 0 0 1\nf 1/1/1 2/2/2 -1//\n"
        "v 0 1 0\nv 2 0 0\nf 1 3 4\nf 2 5 3\n"
    )
    header = (
        "ply\nformat {form} 1.0\nelement vertex 5\nproperty float x\nproperty float y\nproperty float z\n"
        "property uchar red\nelement face 2\nproperty list uchar int vertex_indices\nproperty uchar flags\nend_header\n"
    )
    (tmp_path / "a.ply").write_text(
        header.format(form="ascii") + "0 0 0 9\n1 0 0 9\n1 1 0 9\n0 1 0 9\n2 0 0 9\n4 0 1 2 3 7\n3 1 4 2 7\n"
    )
    for form, order in (("binary_little_endian", "<"), ("binary_big_endian", ">")):
        corners = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (2, 0, 0)]
        body = b"".join(struct.pack(f"{order}fffB", *corner, 9) for corner in corners)
        body += struct.pack(f"{order}BiiiiB", 4, 0, 1, 2, 3, 7) + struct.pack(f"{order}BiiiB", 3, 1, 4, 2, 7)
        (tmp_path / f"{form}.ply").write_bytes(header.format(form=form).encode() + body)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 5
    for path in files:
        points = read_points(path, 3000)
        assert (points >= 0).all()
        assert (points[:, 0] + points[:, 1] <= 2 + 1e-5).all()
        assert (points[:, 0] > 1).mean() == pytest.approx(1 / 3, abs=0.04), path.name


def test_a_mesh_without_faces_is_a_cloud_of_its_vertices(tmp_path):
    (tmp_path / "a.off").write_text("OFF\n4 0 0\n0 0 0\n2 0 0\n0 2 0\n0 0 2\n")
    (tmp_path / "a.obj").write_text("v 0 0 0\nv\t2 0 0\nv 0 2 0\nv 0 0 2\n")
    for name in ("a.off", "a.obj"):
        np.testing.assert_array_equal(read_points(tmp_path / name), TETRAHEDRON)


# What is refused


def test_paths_that_are_no_readable_file_are_named_with_what_is_accepted(tmp_path):
    accepted = "; .ply, .pcd, .xyz, .txt, .pts, .npy, .npz, .h5 clouds and .off, .obj, .stl, .ply meshes are accepted."
    (tmp_path / "a.glb").write_bytes(b"glTF")
    (tmp_path / "folder.ply").mkdir()
    assert refused(tmp_path / "none.ply") == "there is no such file" + accepted
    assert refused(tmp_path / "a.glb") == "its suffix is '.glb'" + accepted
    assert refused(tmp_path / "folder.ply") == "it is a folder" + accepted
    assert set(CLOUDS + MESHES) == set(READABLE)


@pytest.mark.parametrize("suffix", READABLE)
def test_an_empty_file_is_refused_in_every_format(tmp_path, suffix):
    (tmp_path / f"a{suffix}").write_bytes(b"")
    assert refused(tmp_path / f"a{suffix}").startswith("it has 0 bytes; 1 to 536,870,912 are accepted")


@pytest.mark.parametrize("suffix", READABLE)
def test_a_picture_is_refused_in_every_format_without_a_word_on_the_console(tmp_path, suffix, capfd):
    (tmp_path / f"a{suffix}").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 5)
    refused(tmp_path / f"a{suffix}")
    assert capfd.readouterr() == ("", "")


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory) -> list[Path]:
    """A small good file of every kind."""
    import open3d

    folder = tmp_path_factory.mktemp("whole")
    for suffix in WRITABLE:
        write_cloud(folder / f"a{suffix}", some_points(9), normals=some_points(9))
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(some_points(9).astype(np.float64)))
    for name, options in {"b": {}, "c": {"write_ascii": True}, "d": {"compressed": True}}.items():
        open3d.io.write_point_cloud(folder / f"{name}.pcd", cloud, **options)
    mesh = open3d.geometry.TriangleMesh.create_tetrahedron()
    mesh.compute_triangle_normals()
    for name in ("e.ply", "f.stl", "g.obj", "h.off"):
        open3d.io.write_triangle_mesh(folder / name, mesh)
    open3d.io.write_triangle_mesh(folder / "i.ply", mesh, write_ascii=True)
    with h5py.File(folder / "j.h5", "w") as file:
        file["data"] = some_points(9)
    return sorted(folder.iterdir())


@given(data=st.data())
def test_a_file_damaged_anywhere_is_still_a_cloud_or_refused_in_a_sentence(whole_files, tmp_path_factory, data):
    whole = data.draw(st.sampled_from(whole_files))
    content = bytearray(whole.read_bytes())
    for place, byte in data.draw(
        st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=4)
    ):
        content[place] = byte
    damaged = tmp_path_factory.getbasetemp() / f"damaged{whole.suffix}"
    damaged.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    try:
        assert np.isfinite(read_cloud(damaged).points).all()
    except FormatError as error:
        assert "\n" not in str(error)  # noqa: PT017


PARTIAL_NORMALS = (
    "FIELDS x y z normal_x\nSIZE 4 4 4 4\nTYPE F F F F\nCOUNT 1 1 1 1\nWIDTH 2\nHEIGHT 1\nPOINTS 2\nDATA ascii\n"
)
"""A header that ended Open3D's reader, and the program with it."""


def test_a_pcd_of_partial_normals_is_read(tmp_path):
    (tmp_path / "a.pcd").write_text(PARTIAL_NORMALS.replace("WIDTH 2\n", "") + "1 2 3 nan\n4 5 6 7\n")
    np.testing.assert_array_equal(read_points(tmp_path / "a.pcd"), [[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.xyz", "1 2 3\n\n4 x 6\n", "line 3 holds 'x'; a line holds 3 to 7 numbers"),
        ("a.txt", "1,2,3\n4,,6\n", "line 2 holds ''"),
        ("a.pts", "1 2 3\n4 5\n", "line 2 has 2 columns and line 1 has 3"),
        ("a.txt", "1 2\n3 4\n", "line 1 has 2 columns"),
        ("a.txt", "1 2 3 4 5 6 7 8\n", "line 1 has 8 columns"),
        ("a.pts", "3\n1 2 3\n4 5 6\n", "its first line promises 3 points and it holds 2"),
        ("a.pts", "3\n", "it holds no points"),
        ("a.xyz", "# nothing\n", "it holds no points"),
        ("a.xyz", "1 2 3\n4 nan 6\n", "point 2 of 2 is not finite"),
        ("a.xyz", "1 2 3\n4 1e60 6\n", "point 2 of 2 is not finite"),
        ("a.xyz", "1 2 3\n1 2 3\n", "all points of the cloud are in one place"),
        ("a.off", "4 4 6\n0 0 0\n", "it does not begin with the word OFF; an OFF file holds"),
        ("a.off", "OFF\n", "it ends after the word OFF"),
        ("a.off", "OFF\nfour 4 6\n", "line 2 does not hold the numbers of vertices and faces"),
        ("a.off", "OFF\n4 4 6\n0 0 0\n", "line 2 promises 4 vertices and 4 faces, 1 lines follow"),
        ("a.off", OFF.replace("0 2 0\n", "0 b 0\n"), "line 5 holds 'b'"),
        ("a.off", OFF.replace("3 1 2 3", "3 1 2 4"), "line 10 is not a face of vertices from 0 to 3"),
        ("a.off", OFF.replace("3 1 2 3", "3 1 2"), "line 10 is not a face of vertices from 0 to 3"),
        ("a.off", OFF.replace("2", "0"), "the mesh has no area to sample points from"),
        ("a.obj", "o nothing\n", "it holds no vertices"),
        ("a.obj", "v 0 0 0\nv 1 0 x\nv 0 1 0\nf 1 2 3\n", "line 2 holds 'x'"),
        ("a.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", "line 4 is not a face of vertices from 1 to 3"),
        ("a.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 0 1 2\n", "line 4 is not a face of vertices from 1 to 3"),
        ("a.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 c\n", "line 4 is not a vertex or a face"),
        ("a.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2\n", "line 4 is not a vertex or a face"),
        ("a.obj", "v\nv 1\n", "line 1 is not a vertex or a face"),
        ("a.stl", "solid a\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\n", "it ends before the word endsolid"),
        ("a.stl", "solid a\nfacet normal\nendsolid a\n", "it holds no triangle"),
        ("a.stl", b"\0" * 80 + b"\x05\0\0\0" + b"\0" * 50, "it promises 5 triangles and has 134 bytes"),
        ("a.pcd", PCD.format(n=3, form="ascii") + "1 2 3\n4 5 6\n", "it promises 3 points and holds 2"),
        ("a.pcd", PCD.format(n=2, form="ascii") + "1 2 3\n4 x 6\n", "line 13 holds 'x'"),
        ("a.pcd", PCD.format(n=3, form="binary") + "0123456789ab", "it promises 3 points and holds 1"),
        ("a.pcd", PCD.format(n=3, form="binary_compressed") + "0123456789ab", "it promises 3 points and holds 0"),
        ("a.pcd", PCD.format(n=3, form="zipped"), "its DATA is zipped"),
        ("a.pcd", PCD.format(n=10**9, form="ascii"), "it promises 1,000,000,000 points; up to 5,000,000 are accepted"),
        ("a.pcd", PCD.format(n=1, form="ascii").replace("x y z", "a b c") + "1 2 3\n", "its FIELDS lack x, y or z"),
        ("a.pcd", "VERSION 0.7\nDATA ascii\n1 2 3\n", "its FIELDS lack x, y or z"),
        ("a.pcd", PARTIAL_NORMALS + "1 2 3\n4 5 6\n", "line 9 has 3 columns, not 4"),
        ("a.pcd", PARTIAL_NORMALS.replace("COUNT 1 1 1 1", "COUNT 1 1 1 -1") + "1 2 3 4\n", "its header lacks numbers"),
        (
            "a.pcd",
            PARTIAL_NORMALS.replace("COUNT 1 1 1 1", "COUNT 1 1 1 0") + "1 2 3 4\n",
            "line 9 has 4 columns, not 3",
        ),
        ("a.pcd", PARTIAL_NORMALS.replace("COUNT 1 1 1 1", "COUNT 0 1 1 1") + "1 2 3 4\n", "its header lacks numbers"),
        (
            "a.pcd",
            PARTIAL_NORMALS.replace("1 1 1\nW", "1 1 999999999999999999\nW") + "1 2 3 4\n",
            "line 9 has 4 columns",
        ),
        (
            "a.pcd",
            PARTIAL_NORMALS.replace("F F F F", "F F F"),
            "its header lacks numbers for TYPE, SIZE, COUNT or POINTS",
        ),
        (
            "a.pcd",
            PARTIAL_NORMALS.replace("SIZE 4", "SIZE 3"),
            "its header lacks numbers for TYPE, SIZE, COUNT or POINTS",
        ),
    ],
)
def test_a_malformed_file_is_refused_with_its_line_or_field(tmp_path, name, content, sentence, capfd):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert refused(tmp_path / name).startswith(sentence)
    assert capfd.readouterr() == ("", "")


NO_VERTICES = "it holds no vertices with properties x, y and z"
PLY = "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\nend_header\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("plyformat", "it has no PLY header; a PLY file is"),
        (PLY + "1 2 3\n4 5 6\n", "it ends before its 3 of vertex do"),
        (PLY + "1 2 3\n4 5 6\n7 8 q\n", "line 10 holds 'q'"),
        (PLY + "1 2\n4 5\n7 8\n", "line 8 has 2 columns, not 3"),
        (PLY.replace("ascii", "binary_little_endian") + "0" * 35, "it ends before its 3 of vertex do"),
        (PLY.replace("vertex 3", "vertex three"), "line 3 of its header is 'element vertex three'"),
        (PLY.replace("vertex 3", "vertex -3"), "line 3 of its header is 'element vertex -3'"),
        (PLY.replace("ascii", "utf-8"), "line 2 of its header is 'format utf-8 1.0'"),
        (PLY.replace("format ascii 1.0\n", ""), "its header names no format"),
        (PLY.replace("float z", "float16 z"), "line 6 of its header is 'property float16 z'"),
        (
            PLY.replace("float z", "float w") + "1 2 3\n4 5 6\n7 8 9\n",
            NO_VERTICES,
        ),
        (PLY.replace("vertex", "corner") + "1 2 3\n4 5 6\n7 8 9\n", NO_VERTICES),
        (PLY.replace("vertex 3", "vertex 0"), NO_VERTICES),
        (PLY.replace("vertex 3", "vertex 9000000"), "it promises 9,000,000 of vertex; up to 5,000,000 are accepted"),
    ],
)
def test_a_malformed_ply_is_refused_with_its_line(tmp_path, text, sentence, capfd):
    (tmp_path / "a.ply").write_text(text)
    assert refused(tmp_path / "a.ply").startswith(sentence)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("face", ["3 0 1 3", "3 0 1", "x"])
def test_a_face_of_a_ply_that_does_not_fit_is_refused(tmp_path, face):
    header = PLY.replace("end_header", "element face 1\nproperty list uchar int vertex_indices\nend_header")
    (tmp_path / "a.ply").write_text(f"{header}0 0 0\n1 0 0\n0 1 0\n{face}\n")
    assert refused(tmp_path / "a.ply").startswith(
        ("a face has a vertex outside 0 to 2", "line 13 is not a row of face")
    )


def test_a_binary_ply_whose_faces_are_cut_short_is_refused(tmp_path):
    header = PLY.replace("ascii", "binary_little_endian")
    header = header.replace("end_header", "element face 2\nproperty list uchar int vertex_indices\nend_header")
    body = np.eye(3, dtype="<f4").tobytes() + struct.pack("<Biii", 3, 0, 1, 2)
    (tmp_path / "a.ply").write_bytes(header.encode() + body)
    assert refused(tmp_path / "a.ply").startswith("it ends before its 2 of face do")


def test_arrays_that_are_no_cloud_are_refused_with_their_field(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((4, 2)))
    assert refused(tmp_path / "a.npy").startswith("its array is (4, 2) of float64; an array (N, 3) to (N, 7) of real")
    np.save(tmp_path / "b.npy", np.zeros((2, 4, 3)))
    assert refused(tmp_path / "b.npy").startswith("its array is (2, 4, 3) of float64")
    np.save(tmp_path / "c.npy", np.zeros((4, 3), dtype=complex))
    assert refused(tmp_path / "c.npy").startswith("its array is (4, 3) of complex128")
    np.save(tmp_path / "d.npy", np.array([[{}, 1, 2]], dtype=object), allow_pickle=True)
    assert refused(tmp_path / "d.npy").startswith("its array is (1, 3) of object")
    np.savez(tmp_path / "e.npz", a=np.zeros((4, 3)), b=np.zeros((4, 3)))
    assert refused(tmp_path / "e.npz").startswith("it holds the fields a, b; a field points or data, or only one")
    np.savez(tmp_path / "f.npz", points=np.zeros(4))
    assert refused(tmp_path / "f.npz").startswith("field 'points' is (4,) of float64")
    with h5py.File(tmp_path / "g.h5", "w") as file:
        file["data"] = np.zeros((8, 2048, 3))
    assert refused(tmp_path / "g.h5").startswith("field 'data' is (8, 2048, 3) of float64")
    with h5py.File(tmp_path / "h.h5", "w") as file:
        file.create_group("deep")["points"] = np.zeros((8, 3))
    assert refused(tmp_path / "h.h5").startswith("it holds no field")


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".h5"])
def test_arrays_that_are_cut_short_are_refused(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    if suffix == ".h5":
        with h5py.File(path, "w") as file:
            file["data"] = some_points()
    else:
        write_cloud(path, some_points())
    path.write_bytes(path.read_bytes()[:-100])
    wrong = {".npy": "its array ends before its 300 numbers do", ".npz": "it cannot be read (File is not a zip file)"}
    assert refused(path).startswith(wrong.get(suffix, "it cannot be read ("))


def test_huge_files_are_refused_before_they_are_read(tmp_path, monkeypatch):
    with (tmp_path / "a.xyz").open("wb") as file:
        os.truncate(file.fileno(), files.MOST_BYTES + 1)
    assert refused(tmp_path / "a.xyz").startswith("it has 536,870,913 bytes; 1 to 536,870,912 are accepted")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("data", (10**8, 3), dtype="f4")  # no byte of it is stored
    assert refused(tmp_path / "a.h5").startswith("field 'data' has 100,000,000 points; up to 5,000,000 are accepted")
    monkeypatch.setattr(files, "MOST_POINTS", 99)
    for suffix in (*WRITABLE, ".pcd"):
        path = tmp_path / f"b{suffix}"
        if suffix == ".pcd":
            path.write_text(PCD.format(n=100, form="ascii") + "1 2 3\n" * 100)
        else:
            write_cloud(path, some_points())
        assert "up to 99" in refused(path)


@pytest.mark.parametrize("suffix", [".ply", ".xyz", ".npz"])
def test_a_note_of_the_unit_sphere_is_checked_against_the_points_and_the_frame(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    points = normalise(some_points())[0]
    for content, centre, radius in (
        (points * np.float32(1e30), 0, 1),
        (points * np.float32(5), 0, 1),
        (points * np.float32(0.001), 0, 1),
        (points + np.float32(100), 0, 1),
        (points, 1e300, 1),
        (points, 0, 1e300),
        (points, 0, 1e-300),
    ):
        write_cloud(path, content, centre=[centre] * 3, radius=radius)
        cloud = read_cloud(path, points=None)
        np.testing.assert_allclose(cloud.points, points, atol=1e-4)
        assert (cloud.radius, *cloud.centre) != (radius, centre, centre, centre)
        original = cloud.points * cloud.radius + cloud.centre
        np.testing.assert_allclose(original, content, rtol=1e-5, atol=1e-5 * cloud.radius)
    write_cloud(path, np.ones((9, 3)) * 0.5)
    assert refused(path, points=None).startswith("all points of the cloud are in one place")
    attacked = points + np.float32(2.0)  # the largest budget that an attack has
    write_cloud(path, attacked, centre=(1, 2, 3), radius=4)
    assert read_cloud(path, points=None).points.tobytes() == attacked.tobytes()


def test_a_frame_that_was_tampered_with_is_not_believed(tmp_path):
    write_cloud(tmp_path / "a.xyz", some_points())
    text = (tmp_path / "a.xyz").read_text()
    for radius in ("0.0", "nan", "-1", "inf", "wide"):
        (tmp_path / "a.xyz").write_text(text.replace("radius 1.0", f"radius {radius}"))
        cloud = read_cloud(tmp_path / "a.xyz", points=None)
        assert np.linalg.norm(cloud.points, axis=1).max() == pytest.approx(1)
