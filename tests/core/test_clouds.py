"""Clouds: the unit sphere and back, resampling, sampling of surfaces, and distances against closed forms and Open3D."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.clouds import (
    Cloud,
    chamfer_and_hausdorff,
    distances,
    l2,
    linf,
    normalise,
    per_point_l2,
    resample,
    rmse,
    sample_surface,
)

CLOUDS = arrays(np.float32, st.tuples(st.integers(1, 40), st.just(3)), elements=st.floats(-4, 4, width=32))


def some_points(n: int = 500, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)


def test_a_cloud_keeps_float32_points_and_knows_the_way_back_to_its_file():
    original = some_points() * 7 + 100
    points, centre, radius = normalise(original)
    cloud = Cloud(points, "vase_0001", 3, "vase", centre, radius)
    assert cloud.points.dtype == np.float32
    np.testing.assert_allclose(cloud.points * cloud.radius + cloud.centre, original, rtol=1e-6)


@pytest.mark.parametrize(
    ("points", "sentence"),
    [
        (np.zeros((0, 3)), r"N of 1 or more, not \(0, 3\)"),
        (np.zeros((5, 2)), r"not \(5, 2\)"),
        (np.zeros(3), r"not \(3,\)"),
        (np.array([[0, 0, 0], [1, np.nan, 0]]), "point 2 of 2 is not finite"),
        (np.array([[0, 0, 1e300]]), "point 1 of 1 is not finite"),
        (np.array([["a", "b", "c"]]), "real numbers, not <U1"),
    ],
)
def test_what_is_no_cloud_is_refused_in_one_sentence(points, sentence):
    with pytest.raises(ValueError, match=sentence):
        Cloud(points)


@settings(max_examples=60)
@given(CLOUDS, st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
def test_a_normalised_cloud_is_centred_and_touches_the_unit_sphere_wherever_and_however_large_it_was(x, scale, shift):
    original = (x.astype(np.float64) * scale + shift).astype(np.float32)
    try:
        points, _, _ = normalise(original)
    except ValueError as error:
        assert "all points of the cloud are in one place" in str(error)  # noqa: PT017
        assert np.ptp(original, axis=0).max() <= 1e-5 * max(1.0, np.abs(original).max())
        return
    radii = np.linalg.norm(points.astype(np.float64), axis=1)
    assert radii.max() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(points.astype(np.float64).mean(axis=0), 0, atol=1e-6)


def test_a_cloud_in_one_place_cannot_be_normalised():
    with pytest.raises(ValueError, match="in one place"):
        normalise(np.full((10, 3), 0.1))


def test_random_resampling_repeats_no_point_until_it_has_to():
    points = some_points(100)
    half = resample(points, 50, rng=1)
    assert len(np.unique(half, axis=0)) == 50
    double = resample(points, 200, rng=1)
    assert len(double) == 200
    assert len(np.unique(double, axis=0)) == 100
    np.testing.assert_array_equal(half, resample(points, 50, rng=1))
    assert not np.array_equal(half, resample(points, 50, rng=2))


def test_the_first_points_are_taken_as_stored_and_repeated_in_order():
    points = some_points(3)
    np.testing.assert_array_equal(resample(points, 2, "first"), points[:2])
    np.testing.assert_array_equal(resample(points, 5, "first"), points[[0, 1, 2, 0, 1]])


def test_no_points_cannot_be_asked_for():
    with pytest.raises(ValueError, match="1 or more, not 0"):
        resample(some_points(4), 0)


def test_a_surface_is_sampled_by_area_and_only_where_it_is():
    # A unit square in the plane z = 1 and a triangle of a tenth of its area far away, besides one of no area.
    vertices = np.array([[0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1], [9, 0, 0], [9, 0.2, 0], [9, 0, 1]], dtype=float)
    triangles = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [0, 0, 1]])
    points = sample_surface(vertices, triangles, 20_000, rng=0)
    far = points[:, 0] > 5
    assert far.mean() == pytest.approx(0.1 / 1.1, abs=0.01)
    square = points[~far]
    np.testing.assert_array_equal(square[:, 2], 1)
    counts, _, _ = np.histogram2d(square[:, 0], square[:, 1], bins=4, range=[[0, 1], [0, 1]])
    np.testing.assert_allclose(counts / len(square), 1 / 16, atol=0.008)
    np.testing.assert_array_equal(points, sample_surface(vertices, triangles, 20_000, rng=0))


def test_a_surface_without_area_cannot_be_sampled():
    with pytest.raises(ValueError, match="no area"):
        sample_surface(np.eye(3), np.array([[0, 0, 1]]), 10)


def test_distances_of_a_known_perturbation_have_their_closed_forms():
    clean = np.array([[0, 0, 0], [10, 0, 0], [0, 10, 0], [0, 0, 10]], dtype=np.float32)
    adversarial = clean + np.array([[3, 4, 0], [0, 0, 0], [0, 0, 0], [0, 0, 1]], dtype=np.float32)
    found = distances(clean, adversarial)
    assert found.linf == 4
    assert found.per_point_l2 == 5
    assert found.l2 == pytest.approx(np.sqrt(26))
    assert found.rmse == pytest.approx(np.sqrt(26 / 12))
    assert found.chamfer == pytest.approx(6 / 4 + 6 / 4)
    assert found.hausdorff == pytest.approx(5)


@pytest.mark.parametrize("kept", [0, 1, 40, 59, 60])
def test_chamfer_and_hausdorff_of_clouds_of_which_some_points_moved(kept):
    a, moved = np.random.default_rng(kept).normal(size=(2, 60, 3))
    b = np.concatenate([a[:kept], moved[kept:]])
    for other in (b, b[::-1]):  # also where the points do not correspond
        table = np.linalg.norm(a[:, None] - other, axis=2)
        there, back = table.min(1), table.min(0)
        assert distances(a, other).chamfer == pytest.approx(there.mean() + back.mean())
        assert distances(a, other).hausdorff == pytest.approx(max(there.max(), back.max()))


@pytest.mark.parametrize(("n", "m"), [(30, 40), (40, 30), (1, 5)])
def test_chamfer_and_hausdorff_of_clouds_of_different_numbers_of_points(n, m):
    a, b = np.random.default_rng(n).normal(size=(2, 40, 3))
    a, b = a[:n], np.concatenate([a[:n], b])[:m]  # as far as it goes, b begins as a does
    table = np.linalg.norm(a[:, None] - b, axis=2)
    there, back = table.min(1), table.min(0)
    for one, other in ((a, b), (a[None], b[None])):
        chamfer, hausdorff = chamfer_and_hausdorff(one, other)
        assert np.squeeze(chamfer) == pytest.approx(there.mean() + back.mean())
        assert np.squeeze(hausdorff) == pytest.approx(max(there.max(), back.max()))


def test_chamfer_and_hausdorff_are_those_of_open3d():
    import open3d

    a, b = some_points(300, 1), some_points(300, 2)
    metric = open3d.t.geometry.Metric
    theirs = open3d.t.geometry.PointCloud(a).compute_metrics(
        open3d.t.geometry.PointCloud(b),
        [metric.ChamferDistance, metric.HausdorffDistance],
        open3d.t.geometry.MetricParameters(fscore_radius=[0.1]),
    )
    found = distances(a, b)
    np.testing.assert_allclose([found.chamfer, found.hausdorff], theirs.numpy(), rtol=1e-5)


def test_distances_of_a_batch_are_those_of_its_clouds():
    clean = np.stack([some_points(50, seed) for seed in range(3)])
    adversarial = clean + 0.1 * np.stack([some_points(50, seed) for seed in range(3, 6)])
    batch = distances(clean, adversarial)
    for name in ("linf", "per_point_l2", "l2", "rmse", "chamfer", "hausdorff"):
        each = [getattr(distances(x, y), name) for x, y in zip(clean, adversarial, strict=True)]
        assert getattr(batch, name).shape == (3,)
        np.testing.assert_allclose(getattr(batch, name), each)


@settings(max_examples=60)
@given(CLOUDS, st.integers(0, 2**32 - 1))
def test_distances_keep_the_order_that_norms_have(clean, seed):
    adversarial = clean + np.random.default_rng(seed).normal(0, 0.1, clean.shape).astype(np.float32)
    d, n = distances(clean, adversarial), len(clean)
    slack = 1 + 1e-9
    assert d.rmse <= d.linf * slack
    assert d.linf <= d.per_point_l2 * slack
    assert d.per_point_l2 <= d.linf * np.sqrt(3) * slack
    assert d.per_point_l2 <= d.l2 * slack
    assert d.l2 == pytest.approx(d.rmse * np.sqrt(3 * n))
    assert d.hausdorff <= d.per_point_l2 * slack
    assert d.chamfer <= 2 * d.hausdorff * slack
    assert distances(clean, clean).l2 == distances(clean, clean).chamfer == 0


@settings(max_examples=30)
@given(CLOUDS, st.integers(0, 2**32 - 1))
def test_chamfer_and_hausdorff_do_not_depend_on_which_cloud_is_first(a, seed):
    b = np.random.default_rng(seed).normal(0, 1, a.shape).astype(np.float32)
    assert distances(a, b).chamfer == pytest.approx(distances(b, a).chamfer)
    assert distances(a, b).hausdorff == pytest.approx(distances(b, a).hausdorff)


@pytest.mark.parametrize("distance", [linf, per_point_l2, l2, rmse, distances])
def test_clouds_that_do_not_correspond_have_no_such_distance(distance):
    with pytest.raises(ValueError, match=r"equal shapes, not \(4, 3\) and \(5, 3\)"):
        distance(some_points(4), some_points(5))


def test_a_batch_and_a_cloud_have_no_distance():
    with pytest.raises(ValueError, match="equal shapes"):
        distances(some_points(4), some_points(4)[None])
