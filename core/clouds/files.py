"""Clouds and meshes in files.

Every reader takes at most 1.5 GB of memory and 10 seconds on two cores, whatever is in the file. A file that would take
more is refused with an error: its cost is computed from its header, before it is read. Open3D's readers are not used:
they ignore what they do not understand, and crash at malformed headers.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.clouds import Cloud, Points, checked, normalise, resample, sample_surface
from core.clouds.readers.arrays import read_npy, read_npz
from core.clouds.readers.hdf5 import read_h5
from core.clouds.readers.pcd import read_pcd
from core.clouds.readers.ply import read_ply, write_ply
from core.clouds.readers.stl import read_stl
from core.clouds.readers.text import read_columns, read_obj, read_off
from core.clouds.readers.unit_sphere import Frame, is_in_unit_sphere, noted_frame, stated_frame, unit_sphere_note
from core.runtime.files import FormatError, atomic_path, readable, reason, require_regular_file

CLOUDS = (".ply", ".pcd", ".xyz", ".txt", ".pts", ".npy", ".npz", ".h5")
MESHES = (".off", ".obj", ".stl", ".ply")
WRITABLE = (".ply", ".xyz", ".npy", ".npz")
READABLE = tuple(dict.fromkeys(CLOUDS + MESHES))

MESH_POINTS = 2048
"""Points sampled from a mesh unless another number is given."""
MOST_POINTS = 5_000_000
"""Most points, and most triangles of a mesh, in a file."""
MOST_DRAWN = 100_000
"""Most points that a caller can request."""
MOST_BYTES = 1 << 29


def read_cloud(path: Path, points: int | None = 1024, rng: np.random.Generator | int = 0) -> Cloud:
    """A file as a cloud in the unit sphere.

    A cloud that ``write_cloud`` wrote is in the unit sphere already and keeps its exact coordinates and its frame; any
    other is normalised, also one whose note contradicts its points. The same file, number and seed give the same cloud.

    Parameters
    ----------
    points
        How many, up to ``MOST_DRAWN``: drawn at random from a cloud that has more or fewer, sampled by area from a
        mesh. None keeps all of a cloud and takes ``MESH_POINTS`` of a mesh.

    Raises
    ------
    FormatError
        Naming the file, what is wrong with it, and what is accepted.
    ValueError
        If more than ``MOST_DRAWN`` points are requested, or fewer than 1.
    """
    path = Path(path)
    drawn, frame, fitting = _read(path, points, rng, path.suffix)
    if frame is not None and is_in_unit_sphere(drawn, frame):
        centre, radius = frame
        return Cloud(drawn, readable(path.stem), centre=centre, radius=radius, fitting=fitting)
    try:
        normalised, centre, radius = normalise(drawn)
    except ValueError as error:
        raise FormatError(path, str(error), "a cloud of 2 or more places is accepted") from None
    return Cloud(normalised, readable(path.stem), centre=centre, radius=radius, fitting=fitting)


def read_points(
    path: Path, points: int | None = None, rng: np.random.Generator | int = 0, suffix: str | None = None
) -> Points:
    """Read points (N, 3) in the frame of the file, otherwise as ``read_cloud``; ``suffix`` overrides the path's."""
    path = Path(path)
    return _read(path, points, rng, suffix or path.suffix)[0]


def _read(
    path: Path, points: int | None, rng: np.random.Generator | int, suffix: str
) -> tuple[Points, Frame | None, str]:
    """The points, the frame of a cloud that is in the unit sphere, and ``Cloud.fitting``."""
    if points is not None and not 1 <= points <= MOST_DRAWN:
        raise ValueError(f"the number of points must be 1 to {MOST_DRAWN:,}, not {points:,}")
    accepted = f"{', '.join(CLOUDS)} clouds and {', '.join(MESHES)} meshes are accepted"
    size = require_regular_file(path, accepted)
    if (reader := _READERS.get(suffix.lower())) is None:
        raise FormatError(path, f"its suffix is {suffix!r}", accepted)
    if not 0 < size <= MOST_BYTES:
        raise FormatError(path, f"it has {size:,} bytes", f"1 to {MOST_BYTES:,} are accepted")
    try:
        vertices, triangles, frame = reader(path)
    except FormatError:
        raise
    except Exception as error:  # a damaged file makes zipfile raise almost anything
        raise FormatError(path, f"it cannot be read{reason(error)}", accepted) from error
    try:
        vertices = checked(vertices)
        if triangles is not None and len(triangles):
            points = MESH_POINTS if points is None else points
            drawn = sample_surface(vertices, triangles, points, rng)
            return drawn, None, f"{points:,} points drawn on {len(triangles):,} triangles"
    except ValueError as error:
        wanted = "a cloud has points with finite x, y and z, a mesh triangles with some area"
        raise FormatError(path, str(error), wanted) from None
    count = len(vertices)
    if points is None or points == count:
        return vertices, frame, ""
    fitting = f"{points:,} of {count:,} points" if points < count else f"{count:,} points, filled up to {points:,}"
    return resample(vertices, points, "random", rng), frame, fitting


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
    """Write a cloud completely or not at all; the suffix chooses the format.

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
        Frame of the file that the cloud came from: the fields of ``Cloud``.
    original
        Write in that frame instead, so that the cloud coincides with the one in its file; reading normalises it again.

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
    lengths = None if displacement is None else _float_array(displacement, shape, "displacement")
    directions = None if normals is None else _float_array(normals, (*shape, 3), "normals")
    frame: Frame | None = (np.asarray(centre, dtype=np.float64), float(radius))
    if original:
        points = checked(points.astype(np.float64) * radius + np.asarray(centre))
        lengths = None if lengths is None else lengths * np.float32(radius)
        frame = None
    with atomic_path(path) as temporary:
        if suffix == ".ply":
            scalars = {} if directions is None else dict(zip(("nx", "ny", "nz"), directions.T, strict=True))
            scalars |= {} if lengths is None else {"displacement": lengths}
            write_ply(temporary, points, scalars, unit_sphere_note(frame) if frame else "")
        elif suffix == ".xyz":
            table = points if directions is None else np.hstack([points, directions])
            # Nine significant digits give back every float32.
            np.savetxt(temporary, table, fmt="%.9g", header=unit_sphere_note(frame) if frame else "")
        elif suffix == ".npy":
            np.save(temporary, points)
        else:
            arrays: dict[str, Any] = {"points": points, "displacement": lengths, "normals": directions}
            arrays |= dict(zip(("centre", "radius"), frame, strict=True)) if frame else {}
            np.savez_compressed(temporary, **{name: array for name, array in arrays.items() if array is not None})


def _float_array(values: ArrayLike, shape: tuple[int, ...], name: str) -> NDArray[np.float32]:
    array = np.asarray(values, dtype=np.float32)
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"the {name} must be finite numbers {shape}, not {array.shape}")
    return array


_Content = tuple[NDArray[Any], NDArray[np.int64] | None, Frame | None]
"""Vertices (V, 3), the triangles (T, 3) of a mesh, and the frame of a cloud that is in the unit sphere."""


def _read_ply(path: Path) -> _Content:
    ply = read_ply(path, MOST_POINTS)
    return ply.points, ply.triangles, noted_frame(ply.comments)


def _read_text(path: Path) -> _Content:
    with path.open(encoding="utf-8", errors="replace") as file:
        frame = noted_frame([file.readline(1000)])
    return read_columns(path, MOST_POINTS), None, frame


def _read_npz(path: Path) -> _Content:
    points, frame = read_npz(path, MOST_POINTS)
    return points, None, stated_frame(frame.get("centre"), frame.get("radius"))


def _cloud_reader(read: Callable[[Path, int], NDArray[Any]]) -> Callable[[Path], _Content]:
    return lambda path: (read(path, MOST_POINTS), None, None)


def _mesh_reader(read: Callable[[Path, int], tuple[NDArray[Any], NDArray[np.int64]]]) -> Callable[[Path], _Content]:
    return lambda path: (*read(path, MOST_POINTS), None)


_READERS: Mapping[str, Callable[[Path], _Content]] = {
    ".ply": _read_ply,
    ".pcd": _cloud_reader(read_pcd),
    **dict.fromkeys((".xyz", ".txt", ".pts"), _read_text),
    ".npy": _cloud_reader(read_npy),
    ".npz": _read_npz,
    ".h5": _cloud_reader(read_h5),
    ".off": _mesh_reader(read_off),
    ".obj": _mesh_reader(read_obj),
    ".stl": _mesh_reader(read_stl),
}
