"""The search by bytes beside its slow twin. Where it can't run, the twin answers for both."""

import shutil
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from core.models.peaks import Peaks, plain_critical_slope, plain_peaks, searches_by_bytes

sizes = st.tuples(st.integers(1, 300), st.integers(1, 40), st.integers(1, 140))  # points, channels, inputs


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def check(weight: Tensor, clouds: Tensor) -> tuple[Tensor, Tensor]:
    """That peaks are the largest products and places theirs, but for rounding; what was found."""
    peak, place = Peaks(weight).with_places(clouds, clouds.shape[1])
    products = clouds.double() @ weight.double().t()  # (B, N, C)
    rounding = 1e-6 * weight.shape[1] ** 0.5 * (clouds.norm(dim=2).amax() * weight.norm(dim=1).amax()).double()
    assert (peak - products.amax(1)).abs().max() <= rounding
    assert (products.gather(1, place[:, None])[:, 0] - products.amax(1)).abs().max() <= rounding
    assert torch.allclose(Peaks(weight).of(clouds, clouds.shape[1]), peak, rtol=0, atol=float(rounding))
    return peak, place


def test_it_runs_where_there_is_a_compiler_and_the_processor_can() -> None:
    able = bool(torch.cpu.get_capabilities().get("avx512_vnni"))
    assert (searches_by_bytes()) == (able and shutil.which("cc") is not None)


@given(sizes=sizes, seed=st.integers(0, 1000), scale=st.sampled_from([1e-6, 1.0, 1e6]), relu=st.booleans())
def test_it_finds_the_largest_products(sizes: tuple[int, int, int], seed: int, scale: float, relu: bool) -> None:
    n, c, k = sizes
    clouds = scale * normal(seed, 2, n, k)
    check(normal(seed + 1, c, k), clouds.relu() if relu else clouds)


@given(sizes=sizes, seed=st.integers(0, 1000), spread=st.sampled_from([1e-2, 1e-4, 1e-6, 0.0]))
def test_among_points_that_bytes_cannot_tell_apart(sizes: tuple[int, int, int], seed: int, spread: float) -> None:
    """A far point makes the bytes coarse, and all others are one byte."""
    n, c, k = sizes
    clouds = normal(seed, 1, 1, k) + spread * normal(seed + 1, 2, n, k)
    clouds[:, n // 2] = -3 * clouds[:, n // 2]
    check(normal(seed + 2, c, k), clouds)


@given(points=st.integers(1, 200), alike=st.integers(1, 5), inputs=st.integers(1, 70), seed=st.integers(0, 1000))
def test_the_place_is_the_first_of_equals(points: int, alike: int, inputs: int, seed: int) -> None:
    source = torch.Generator().manual_seed(seed)
    clouds = torch.randint(-alike, alike + 1, (2, points, inputs), generator=source).float()  # so many are equal
    weight = torch.randint(-3, 4, (11, inputs), generator=source).float()  # whole numbers: no rounding
    peak, place = Peaks(weight).with_places(clouds, points)
    for mine, theirs in zip((peak, place), plain_peaks(clouds, points, weight), strict=True):
        assert torch.equal(mine, theirs)


def test_on_real_layers_places_are_those_of_all_products(threads: int) -> None:
    hidden = (normal(0, 4, 1024, 64) @ normal(1, 64, 128) / 8).relu()
    weight = normal(2, 1024, 128)
    peak, place = check(weight, hidden)
    theirs = plain_peaks(hidden, 1024, weight)
    torch.testing.assert_close(peak, theirs[0], rtol=1e-5, atol=1e-5)
    assert (place == theirs[1]).float().mean() > 0.999  # of two points whose products round to one either is right


@pytest.mark.parametrize("odd", [torch.nan, torch.inf, -torch.inf, 1e30])
def test_what_is_not_finite_is_seen(odd: float, threads: int) -> None:
    clouds, weight = normal(0, 3, 50, 16), normal(1, 20, 16)
    clouds[1, 7, 3] = odd
    mine = Peaks(weight).with_places(clouds, 50)
    for one, other in zip(mine, plain_peaks(clouds, 50, weight), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5, equal_nan=True)
    weight[2, 5] = odd
    peak = Peaks(weight).of(normal(2, 1, 50, 16), 50)
    torch.testing.assert_close(peak, plain_peaks(normal(2, 1, 50, 16), 50, weight)[0], equal_nan=True)


def test_a_weight_of_zeros_and_a_cloud_of_one_point_many_times() -> None:
    clouds, weight = normal(0, 1, 1, 16).repeat(1, 40, 1), normal(1, 9, 16)
    weight[3] = 0
    peak, place = check(weight, clouds)
    assert peak[0, 3] == 0
    assert not place.any()


def test_the_weight_is_the_one_that_was_given() -> None:
    weight = normal(0, 12, 33)
    made, before = Peaks(weight.t().contiguous().t()), weight.clone()
    clouds = normal(1, 1, 20, 33).requires_grad_()
    peak = made.of(clouds, 20)
    assert not peak.requires_grad
    torch.testing.assert_close(peak, plain_peaks(clouds.detach(), 20, before)[0])


@pytest.mark.parametrize("wrong", [normal(0, 1, 20, 16).double(), normal(0, 1, 20, 15)])
def test_points_of_another_kind_are_refused(wrong: Tensor) -> None:
    with pytest.raises(RuntimeError):
        Peaks(normal(1, 9, 16)).with_places(wrong, 20)


@given(sizes=sizes, seed=st.integers(0, 1000))
def test_the_slope_behind_the_maximum_is_its_twins(sizes: tuple[int, int, int], seed: int) -> None:
    n, c, k = sizes
    weight, share, after = normal(seed, c, k), normal(seed + 1, c), normal(seed + 2, n, k).relu()
    places = torch.randint(n, (c,), generator=torch.Generator().manual_seed(seed))
    rows, slope = Peaks(weight).critical_slope(places, share, after)
    theirs = plain_critical_slope(places, share, weight, after)
    assert torch.equal(rows, theirs[0])
    torch.testing.assert_close(slope, theirs[1], rtol=1e-5, atol=1e-5)


def test_the_slope_on_each_number_of_threads(threads: int) -> None:
    weight, share, after = normal(0, 1024, 128), normal(1, 1024), normal(2, 1024, 128).relu()
    places = torch.randint(300, (1024,), generator=torch.Generator().manual_seed(0))
    rows, slope = Peaks(weight).critical_slope(places, share, after)
    expected = torch.zeros_like(after).index_add_(0, places, share[:, None] * weight) * (after > 0)
    torch.testing.assert_close(torch.zeros_like(after).index_copy_(0, rows, slope), expected, rtol=1e-5, atol=1e-5)
