"""The built-in dataset: surfaces against closed forms, then every category and style as a cloud."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from core.datasets import shapes16
from core.datasets.shapes16 import CATEGORIES, COUNTS, STYLES, generate, make_shape
from core.datasets.shapes16.mesh import Surface, sample, volume
from core.datasets.shapes16.outlines import (
    aerofoil,
    fill,
    inside_outline,
    monotone,
    placed,
    rounded,
    spline,
    superellipse,
)
from core.datasets.shapes16.surfaces import (
    box,
    cylinder,
    ellipsoid,
    extrude,
    hull,
    loft,
    plate,
    revolve,
    sheet,
    torus,
    tube,
)
from core.events import Done, Progress

STAR = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [1.0, 0.5], [0.0, 1.0]])  # concave, of area 1.5
EVERY_STYLE = [(category, style) for category, styles in STYLES.items() for style in styles]

CLOSED = {
    "box": (box(1, 2, 3), 6.0, 22.0),
    "cylinder": (cylinder(1, 2, segments=96), 2 * np.pi, 6 * np.pi),
    "lying cylinder": (cylinder(1, 2, axis="x", segments=96), 2 * np.pi, 6 * np.pi),
    "sphere": (ellipsoid(1, rings=48, segments=96), 4 / 3 * np.pi, 4 * np.pi),
    "torus": (torus(2, 0.5, segments=96, around=48), np.pi**2, 4 * np.pi**2),
    "concave prism": (extrude(STAR, 2, axis="y"), 3.0, 3 + 2 * (4 + np.sqrt(5))),
    "pierced prism": (extrude(4 * (STAR - 0.5), 1, holes=[superellipse(0.5, 0.5, count=96)]), 24 - np.pi / 4, None),
    "bevelled prism": (extrude(STAR, 1, axis="x", bevel=1e-4), 1.5, None),
    "straight tube": (tube([(0, 0, 0), (1, 2, 2)], 0.5, segments=96), 0.75 * np.pi, 3.5 * np.pi),
    "wing": (loft([placed(superellipse(1, 0.5, count=96), "y", y) for y in (0, 2)]), np.pi, None),
    "bowl": (revolve([(0, 0), (1, 0), (1, 1), (0.8, 1), (0.8, 0.5), (0, 0.5)], segments=96), 0.68 * np.pi, None),
    "hull": (hull([(-1, 1, 1, 0), (1, 1, 1, 0)], count=96), 2 * np.pi, 6 * np.pi),
}


def area(surface: Surface) -> float:
    a, b, c = (surface.vertices[surface.faces[:, k]] for k in range(3))
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


def winding(surface: Surface, points: np.ndarray) -> np.ndarray:
    """Times the mesh goes round each point: 1 inside, 0 outside (van Oosterom and Strackee's solid angles)."""
    a, b, c = (surface.vertices[surface.faces[:, k]] - points[:, None] for k in range(3))
    la, lb, lc = (np.linalg.norm(v, axis=2) for v in (a, b, c))
    triple = (a * np.cross(b, c)).sum(axis=2)
    scale = la * lb * lc + (a * b).sum(axis=2) * lc + (b * c).sum(axis=2) * la + (c * a).sum(axis=2) * lb
    return np.arctan2(triple, scale).sum(axis=1) / (2 * np.pi)


def draw(category: str, style: str, seed: int) -> list[Surface]:
    return STYLES[category][style](np.random.default_rng(seed))


@pytest.mark.parametrize("name", CLOSED)
def test_a_closed_surface_has_the_volume_and_area_of_its_formula(name):
    surface, expected_volume, expected_area = CLOSED[name]
    assert volume(surface) == pytest.approx(expected_volume, rel=4e-3)
    if expected_area is not None:
        assert area(surface) == pytest.approx(expected_area, rel=4e-3)


@pytest.mark.parametrize("name", CLOSED)
def test_the_inside_of_a_closed_surface_is_where_its_mesh_winds_round_even_after_motions(name):
    surface = CLOSED[name][0].mirrored("x").rotated("y", 30).moved(1, 2, 3).scaled(1, 2, 0.5)
    low, high = surface.vertices.min(axis=0), surface.vertices.max(axis=0)
    points = np.random.default_rng(0).uniform(low, high, (60, 3))
    assert volume(surface) > 0
    assert np.count_nonzero(surface.solid(points) != (winding(surface, points) > 0.5)) <= 1


def test_a_tapered_surface_shrinks_towards_one_end():
    cone = cylinder(1, 2, segments=96).tapered("z", 1, 0.5)
    assert volume(cone) == pytest.approx(2 * np.pi * (1 + 0.5 + 0.25) / 3, rel=4e-3)
    assert cone.solid(np.array([[0.9, 0, -0.9], [0.9, 0, 0.9], [0.45, 0, 0.9]])).tolist() == [True, False, True]


def test_points_fall_on_a_surface_in_proportion_to_area():
    points, _ = sample([ellipsoid(2, rings=60, segments=90)], 20_000, np.random.default_rng(0))
    assert np.linalg.norm(points, axis=1) == pytest.approx(2, rel=2e-3)
    assert np.mean(points[:, 2] > 1) == pytest.approx(0.25, abs=0.01)  # Archimedes: caps go with their height
    points, labels = sample([box(1, 1, 1), box(2, 2, 2).moved(5)], 20_000, np.random.default_rng(0))
    assert np.mean(labels == 0) == pytest.approx(0.2, abs=0.01)
    assert np.mean(points[labels == 1][:, 2] > 0.999) == pytest.approx(1 / 6, abs=0.01)


def test_density_multiplies_the_share_of_a_surface():
    _, labels = sample([box(1, 1, 1).weighted(3), box(1, 1, 1).moved(5)], 20_000, np.random.default_rng(0))
    assert np.mean(labels == 0) == pytest.approx(0.75, abs=0.01)


def test_where_surfaces_touch_or_overlap_no_point_is_left_inside():
    low, high = box(2, 2, 2), box(1, 1, 1).moved(z=1.5)
    points, labels = sample([low, high], 4000, np.random.default_rng(0))
    contact = (np.abs(points[:, :2]) < 0.499).all(axis=1) & (np.abs(points[:, 2] - 1) < 1e-3)
    assert not contact.any()
    assert np.mean(labels == 1) == pytest.approx(5 / 28, abs=0.02)
    with pytest.raises(ValueError, match="hide each other"):
        sample(
            [box(1, 1, 1).moved(z=s * 0.1) for s in (0, 0)] + [box(3, 3, 3).weighted(0)], 100, np.random.default_rng(0)
        )


def test_an_open_shell_hides_nothing():
    shell = ellipsoid(3, low=-90, high=80)
    assert shell.solid is None
    assert plate(sheet(np.linspace(0, 1, 5), np.linspace(0, 1, 5), lambda x, y: x * y), 0.1).solid is None
    _, labels = sample([shell, box(1, 1, 1)], 2000, np.random.default_rng(0))
    assert (labels == 1).any()


def test_curves_pass_through_their_nodes_without_overshoot():
    nodes = np.array([[0.0, 0.0, 1.0], [1.0, 2.0, 0.0], [3.0, 1.0, 1.0]])
    assert spline(nodes, 5)[::2] == pytest.approx(nodes)
    assert spline(nodes, 6, closed=True)[::2] == pytest.approx(nodes)
    at = np.linspace(0, 4, 201)
    step = monotone(at, [0, 1, 2, 3, 4], [0, 0, 1, 1, 0.5])
    assert step.min() >= 0
    assert step.max() <= 1
    assert monotone([0.0, 2.5, 4.0], [0, 4], [1, 9]) == pytest.approx([1, 6, 9])


def test_an_aerofoil_has_the_thickness_of_its_name():
    section = aerofoil(2.0, thickness=0.12, camber=0.0, count=80)
    assert np.ptp(section[:, 1]) == pytest.approx(0.24, rel=0.01)
    assert (section[:, 0].min(), section[:, 0].max()) == pytest.approx((0, 2), abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0.2, 2.0), min_size=3, max_size=24), st.integers(0, 2**32 - 1))
def test_any_star_shaped_outline_is_filled_exactly(radii, seed):
    angle = np.arange(len(radii)) * 2 * np.pi / len(radii)
    outline = np.array(radii)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    vertices, faces = fill([outline])
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    pieces = ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2
    after = np.roll(outline, -1, axis=0)
    shoelace = (outline[:, 0] * after[:, 1] - outline[:, 1] * after[:, 0]).sum() / 2
    assert pieces.min() > -1e-9
    assert pieces.sum() == pytest.approx(shoelace, rel=1e-9)
    weight = np.random.default_rng(seed).dirichlet([1, 1, 1], len(faces))
    large = pieces > 1e-6
    assert inside_outline((weight[:, :1] * a + weight[:, 1:2] * b + weight[:, 2:] * c)[large], [outline]).all()


def test_rounded_corners_stay_within_their_polygon():
    corners = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 3.0], [0.0, 3.0]])
    soft = rounded(corners, 0.5, 6)
    assert len(soft) == 24
    assert soft.min(axis=0) == pytest.approx(corners.min(axis=0))
    assert soft.max(axis=0) == pytest.approx(corners.max(axis=0))


def test_the_sixteen_categories_are_those_of_shapenet_part():
    assert ", ".join(CATEGORIES) == (
        "airplane, bag, cap, car, chair, earphone, guitar, knife, "
        "lamp, laptop, motorbike, mug, pistol, rocket, skateboard, table"
    )
    assert tuple(COUNTS) == CATEGORIES
    train, test = np.array(list(COUNTS.values())).T
    assert (train.sum(), test.sum()) == (4096, 1024)
    assert (train.min(), test.min()) == (40, 10)


@pytest.mark.parametrize(("category", "style"), EVERY_STYLE)
def test_every_style_makes_a_sound_cloud(category, style):
    cloud = make_shape(category, 1, style=style)
    radius = np.linalg.norm(cloud.astype(np.float64), axis=1)
    assert cloud.shape == (2048, 3)
    assert cloud.dtype == np.float32
    assert np.isfinite(cloud).all()
    assert len(np.unique(cloud, axis=0)) == 2048
    assert 0.9999 < radius.max() <= 1
    assert np.abs(cloud.mean(axis=0)).max() < 1e-4


@pytest.mark.parametrize(("category", "style"), EVERY_STYLE)
def test_no_style_has_a_detached_part(category, style):
    for seed in (2, 3):
        points, _ = sample(draw(category, style, seed), 2500, np.random.default_rng(seed))
        points = points - points.mean(axis=0)
        points /= np.linalg.norm(points, axis=1).max()
        cells = 0.04 * np.unique(np.round(points / 0.04), axis=0)
        i, j = cKDTree(cells).query_pairs(0.2, output_type="ndarray").T
        near = coo_matrix((np.ones(len(i)), (i, j)), shape=(len(cells), len(cells)))
        assert connected_components(near)[0] == 1, f"seed {seed}: a part is 0.2 radii away from the others"


@pytest.mark.parametrize("category", CATEGORIES)
def test_no_point_lies_inside_another_part(category):
    style = next(iter(STYLES[category]))
    parts = draw(category, style, 5)
    points, labels = sample(parts, 400, np.random.default_rng(5))
    inside = np.zeros(len(points), dtype=bool)
    for n, part in enumerate(parts):
        low, high = part.vertices.min(axis=0), part.vertices.max(axis=0)
        near = np.flatnonzero((labels != n) & (points > low).all(axis=1) & (points < high).all(axis=1))
        if part.solid is not None and len(near):
            inside[near] |= winding(part, points[near]) > 0.9
    assert inside.mean() < 0.02  # a mesh and the round solid it stands for differ by a sliver


@pytest.mark.parametrize("category", CATEGORIES)
def test_seeds_tell_shapes_apart_and_repeat_them_exactly(category):
    first = make_shape(category, 7)
    assert first.tobytes() == make_shape(category, np.random.SeedSequence(7)).tobytes()
    assert first.tobytes() != make_shape(category, 8).tobytes()


def test_fewer_points_may_be_asked_for_and_wrong_names_are_told():
    assert make_shape("mug", 0, points=256, style="espresso").shape == (256, 3)
    with pytest.raises(ValueError, match="no category 'teapot' in shapes16; it has airplane, bag"):
        make_shape("teapot", 0)
    with pytest.raises(ValueError, match="no style 'jet' of rocket; it has slender"):
        make_shape("rocket", 0, style="jet")


def test_the_data_set_is_the_same_whatever_the_number_of_processes(monkeypatch):
    monkeypatch.setattr(shapes16, "COUNTS", dict.fromkeys(CATEGORIES, (3, 2)))
    monkeypatch.setattr(shapes16, "_CHUNK", 20)
    results = []
    for jobs in (1, 2):
        *progress, done = generate(seed=4, points=128, jobs=jobs)
        assert [event.done for event in progress] == [0, 20, 40, 60, 80]
        assert progress[-1] == Progress(80, 80, "making shapes")
        assert isinstance(done, Done)
        results.append(done.value)
    for (clouds, labels), (again, labels_again), size in zip(*results, (48, 32), strict=True):
        assert clouds.shape == (size, 128, 3)
        assert clouds.tobytes() == again.tobytes()
        assert labels.tolist() == labels_again.tolist()
        assert np.bincount(labels).tolist() == [size // 16] * 16
        assert (np.diff(labels) < 0).any()  # mixed, not class after class
    (train, _), (test, _) = results[0]
    assert not {cloud.tobytes() for cloud in train} & {cloud.tobytes() for cloud in test}


def test_generation_can_be_stopped_at_any_progress():
    events = generate(seed=0, points=64, jobs=1)
    assert next(events).done == 0
    assert next(events).done > 0
    events.close()


def test_a_processor_without_newer_instructions_makes_the_same_bits():
    program = (
        "import hashlib; from core.datasets.shapes16 import CATEGORIES, make_shape;"
        "print(hashlib.sha256(b''.join(make_shape(c, 3).tobytes() for c in CATEGORIES)).hexdigest())"
    )
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    optional = " ".join(name for name in __cpu_dispatch__ if __cpu_features__.get(name))
    here = hashlib.sha256(b"".join(make_shape(category, 3).tobytes() for category in CATEGORIES)).hexdigest()
    there = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "NPY_DISABLE_CPU_FEATURES": optional},
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout.strip() == here
