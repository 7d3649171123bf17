import numpy as np
import pytest

from tests.qt_fixtures import dark_theme, gl, no_leftovers, private_settings, qapp_args, shot

__all__ = ["dark_theme", "gl", "no_leftovers", "private_settings", "qapp_args", "shot"]


@pytest.fixture(scope="session")
def chair() -> np.ndarray:
    """A chair of 2,048 points in the unit sphere, facing +x."""
    rng = np.random.default_rng(1)
    boxes = [((0.0, 0.0, -0.17), (1.0, 1.0, 0.1)), ((-0.46, 0.0, 0.35), (0.08, 1.0, 0.75))]
    boxes += [((x, y, -0.55), (0.09, 0.09, 0.7)) for x in (-0.42, 0.42) for y in (-0.42, 0.42)]
    centres, sizes = np.array([box[0] for box in boxes]), np.array([box[1] for box in boxes])
    areas = np.stack([sizes[:, [1, 2]].prod(1), sizes[:, [0, 2]].prod(1), sizes[:, [0, 1]].prod(1)], axis=1)
    face = rng.choice(areas.size, 2048, p=(areas / areas.sum()).ravel())
    box, axis = np.divmod(face, 3)
    within = rng.uniform(-0.5, 0.5, (2048, 3))
    within[np.arange(2048), axis] = rng.choice((-0.5, 0.5), 2048)
    points = centres[box] + within * sizes[box]
    points -= points.mean(0)
    return (points / np.linalg.norm(points, axis=1).max()).astype(np.float32)
