"""Clouds and meshes in files. The only module that knows Open3D, imported at the first file that needs it.

Open3D returns an empty or half-filled cloud where it fails, and its PLY and OBJ readers pass over what they do not
understand; so it is asked only for .pcd and .stl, whose headers are checked here first.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.clouds import Cloud, Points, checked, normalise, resample, sample_surface
from core.clouds.readers.arrays import read_h5, read_npy, read_npz
from core.clouds.readers.checks import PCD, STL, check_pcd, check_stl
from core.clouds.readers.ply import read_ply, write_ply
from core.clouds.readers.text import read_columns, read_obj, read_off
from core.runtime.files import FormatError, atomic_path, readable

CLOUDS = (".ply", ".pcd", ".xyz", ".txt", ".pts", ".npy", ".npz", ".h5")
MESHES = (".off", ".obj", ".stl", ".ply")
WRITABLE = (".ply", ".xyz", ".npy", ".npz")
READABLE = tuple(dict.fromkeys(CLOUDS + MESHES))

MESH_POINTS = 2048
"""Sampled from a mesh where no number is asked for."""
MOST_POINTS = 5_000_000
MOST_BYTES = 1 << 30

Frame = tuple[NDArray[np.float64], float]


def read_cloud(path: Path, points: int | None = 1024, rng: np.random.Generator | int = 0) -> Cloud:
    """A file as a cloud in the unit sphere.

    A cloud that ``write_cloud`` wrote is in the unit sphere already and keeps its exact coordinates and its frame; any
    other is normalised. The same file, number and seed give the same cloud.

    Parameters
    ----------
    points
        How many: drawn at random from a cloud that has more or fewer, sampled by area from a mesh. None keeps all of a
        cloud and takes ``MESH_POINTS`` of a mesh.

    Raises
    ------
    FormatError
        Naming the file, what is wrong with it, and what is accepted.
    """
    path = Path(path)
    drawn, frame = _read(path, points, rng, path.suffix)
    if frame is not None:
        centre, radius = frame
        return Cloud(drawn, readable(path.stem), centre=centre, radius=radius)
    try:
        normalised, centre, radius = normalise(drawn)
    except ValueError as error:
        raise FormatError(path, str(error), "a cloud of 2 or more places is accepted") from None
    return Cloud(normalised, readable(path.stem), centre=centre, radius=radius)


def read_points(
    path: Path, points: int | None = None, rng: np.random.Generator | int = 0, suffix: str | None = None
) -> Points:
    """A file's points (N, 3) in its own frame, otherwise as ``read_cloud``; ``suffix`` overrides that of the path."""
    path = Path(path)
    return _read(path, points, rng, suffix or path.suffix)[0]


def _read(path: Path, points: int | None, rng: np.random.Generator | int, suffix: str) -> tuple[Points, Frame | None]:
    if points is not None and points < 1:
        raise ValueError(f"the number of points must be 1 or more, not {points}")
    accepted = f"{', '.join(CLOUDS)} clouds and {', '.join(MESHES)} meshes are accepted"
    if not path.exists():
        raise FormatError(path, "there is no such file", accepted)
    if not path.is_file():
        raise FormatError(path, "it is not a file", accepted)
    if (reader := _READERS.get(suffix.lower())) is None:
        raise FormatError(path, f"its suffix is {suffix!r}", accepted)
    if not 0 < (size := path.stat().st_size) <= MOST_BYTES:
        raise FormatError(path, f"it has {size:,} bytes", f"1 to {MOST_BYTES:,} are accepted")
    try:
        vertices, triangles, frame = reader(path)
    except FormatError:
        raise
    except Exception as error:  # a damaged file makes numpy, zipfile and HDF5 raise almost anything
        reason = " ".join(str(error).split()).rstrip(".")
        raise FormatError(path, f"it cannot be read ({reason})", accepted) from error
    if len(vertices) > MOST_POINTS:
        raise FormatError(path, f"it has {len(vertices):,} points", f"up to {MOST_POINTS:,} are accepted")
    try:
        vertices = checked(vertices)
        if triangles is not None and len(triangles):
            return sample_surface(vertices, triangles, MESH_POINTS if points is None else points, rng), None
    except ValueError as error:
        wanted = "a cloud has points with finite x, y and z, a mesh triangles with some area"
        raise FormatError(path, str(error), wanted) from None
    if points is None or points == len(vertices):
        return vertices, frame
    return resample(vertices, points, "random", rng), frame


def write_cloud(
    path: Path,
    points: ArrayLike,
    displacement: ArrayLike | None = None,
    normals: ArrayLike | None = None,
    *,
    centre: ArrayLike = (0.0, 0.0, 0.0),
    radius: float = 1.0,
    original: bool = False,
) -> None:
    """Write a cloud, whole or not at all; the suffix chooses the format.

    The points are written as they are, float32 and exact, with a note of the frame they came from, by which
    ``read_cloud`` gives back the very same cloud; .npy has no room for the note. The displacement goes into .ply and
    .npz, the normals also into .xyz.

    Parameters
    ----------
    points
        (N, 3) in unit-sphere radii.
    displacement, normals
        (N,) lengths in unit-sphere radii, and (N, 3) directions.
    centre, radius
        Frame of the file the cloud came from, as a ``Cloud`` remembers it.
    original
        Write in that frame instead, so that the cloud lies over the file it came from; reading normalises it again.

    Raises
    ------
    FormatError
        If the suffix is not one of ``WRITABLE``.
    ValueError
        If an array has a wrong shape or is not finite.
    """
    path = Path(path)
    if (suffix := path.suffix.lower()) not in WRITABLE:
        raise FormatError(path, f"its suffix is {suffix!r}", f"{', '.join(WRITABLE)} can be written")
    points = checked(points)
    shape = (len(points),)
    lengths = None if displacement is None else _column(displacement, shape, "displacement")
    directions = None if normals is None else _column(normals, (*shape, 3), "normals")
    frame: Frame | None = (np.asarray(centre, dtype=np.float64), float(radius))
    if original:
        points = checked(points.astype(np.float64) * radius + np.asarray(centre))
        lengths = None if lengths is None else lengths * np.float32(radius)
        frame = None
    with atomic_path(path) as temporary:
        if suffix == ".ply":
            scalars = {} if directions is None else dict(zip(("nx", "ny", "nz"), directions.T, strict=True))
            scalars |= {} if lengths is None else {"displacement": lengths}
            write_ply(temporary, points, scalars, _note(frame) if frame else "")
        elif suffix == ".xyz":
            table = points if directions is None else np.hstack([points, directions])
            # Nine significant digits give back every float32.
            np.savetxt(temporary, table, fmt="%.9g", header=_note(frame) if frame else "")
        elif suffix == ".npy":
            np.save(temporary, points)
        else:
            arrays: dict[str, Any] = {"points": points, "displacement": lengths, "normals": directions}
            arrays |= dict(zip(("centre", "radius"), frame, strict=True)) if frame else {}
            np.savez_compressed(temporary, **{name: array for name, array in arrays.items() if array is not None})


def _column(values: ArrayLike, shape: tuple[int, ...], name: str) -> NDArray[np.float32]:
    array = np.asarray(values, dtype=np.float32)
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"the {name} must be finite numbers {shape}, not {array.shape}")
    return array


_NOTE = re.compile(r"pointward unit sphere: centre (\S+) (\S+) (\S+) radius (\S+)")


def _note(frame: Frame) -> str:
    (x, y, z), radius = frame[0].tolist(), frame[1]
    return f"pointward unit sphere: centre {x!r} {y!r} {z!r} radius {radius!r}"


def _noted(comments: Iterable[str]) -> Frame | None:
    """The frame in the first comment that has one."""
    for comment in comments:
        if match := _NOTE.search(comment):
            return _believed(match.groups()[:3], match[4])
    return None


def _believed(centre: Any, radius: Any) -> Frame | None:
    """A frame from a file, unless it is nonsense."""
    try:
        frame = np.array(centre, dtype=np.float64).reshape(3), float(radius)
    except (TypeError, ValueError):
        return None
    return frame if np.isfinite(frame[0]).all() and 0 < frame[1] < np.inf else None


_Read = tuple[NDArray[Any], NDArray[np.int64] | None, Frame | None]
"""Vertices (V, 3), the triangles (T, 3) of a mesh, and the frame of a cloud that is in the unit sphere."""


def _ply(path: Path) -> _Read:
    ply = read_ply(path, MOST_POINTS)
    return ply.points, ply.triangles, _noted(ply.comments)


def _text(path: Path) -> _Read:
    with path.open(encoding="utf-8", errors="replace") as file:
        frame = _noted([file.readline(1000)])
    return read_columns(path), None, frame


def _off(path: Path) -> _Read:
    return *read_off(path), None


def _obj(path: Path) -> _Read:
    return *read_obj(path), None


def _npy(path: Path) -> _Read:
    return read_npy(path, MOST_POINTS), None, None


def _npz(path: Path) -> _Read:
    points, rest = read_npz(path, MOST_POINTS)
    return points, None, _believed(rest.get("centre"), rest.get("radius"))


def _h5(path: Path) -> _Read:
    return read_h5(path, MOST_POINTS), None, None


def _pcd(path: Path) -> _Read:
    import open3d

    promised = check_pcd(path, MOST_POINTS)
    with open3d.utility.VerbosityContextManager(open3d.utility.VerbosityLevel.Error):
        cloud = open3d.io.read_point_cloud(path, format="pcd")
    if len(cloud.points) != promised:
        raise FormatError(path, f"Open3D reads {len(cloud.points):,} of its {promised:,} points", PCD)
    return np.asarray(cloud.points), None, None


def _stl(path: Path) -> _Read:
    import open3d

    check_stl(path, MOST_POINTS)
    with open3d.utility.VerbosityContextManager(open3d.utility.VerbosityLevel.Error):
        mesh = open3d.io.read_triangle_mesh(path)
    if not len(mesh.triangles):
        raise FormatError(path, "Open3D finds no triangle in it", STL)
    return np.asarray(mesh.vertices), np.asarray(mesh.triangles), None


_READERS: Mapping[str, Callable[[Path], _Read]] = {
    ".ply": _ply,
    ".pcd": _pcd,
    **dict.fromkeys((".xyz", ".txt", ".pts"), _text),
    ".npy": _npy,
    ".npz": _npz,
    ".h5": _h5,
    ".off": _off,
    ".obj": _obj,
    ".stl": _stl,
}
