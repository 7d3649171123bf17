"""The int8 search against its reference implementation, and the reference itself, used where there is no search."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from core.models.fast import peaks as module
from core.models.fast.peaks import Peaks, instruction_sets, reference_critical_gradient, reference_peaks

sizes = st.tuples(st.integers(1, 300), st.integers(1, 40), st.integers(1, 140))  # points, channels, inputs


@pytest.fixture(params=[*instruction_sets(), None], ids=lambda way: way or "all products", autouse=True, scope="module")
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "int8_instructions", lambda: request.param)
        yield


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def check(weight: Tensor, clouds: Tensor) -> tuple[Tensor, Tensor]:
    """That peaks are the largest products and indices theirs, but for rounding; what was found."""
    peak, place = Peaks(weight).with_indices(clouds, clouds.shape[1])
    products = clouds.double() @ weight.double().t()  # (B, N, C)
    far, heavy = clouds.double().norm(dim=2).amax(), weight.double().norm(dim=1).amax()
    rounding = 1e-6 * weight.shape[1] ** 0.5 * far * heavy + 1e-44
    assert (peak - products.amax(1)).abs().max() <= rounding
    assert (products.gather(1, place[:, None])[:, 0] - products.amax(1)).abs().max() <= rounding
    assert torch.allclose(Peaks(weight).values(clouds, clouds.shape[1]), peak, rtol=0, atol=float(rounding))
    return peak, place


def test_it_runs_wherever_it_can() -> None:
    made = list(Path(module.__file__).parent.glob("_peaks*"))
    assert made or shutil.which("cc") is None, "there is a C compiler, but nothing was compiled: install anew"
    info = Path("/proc/cpuinfo")
    flags = set(info.read_text().split()) if made and info.exists() else set()
    able = {"AVX2": {"avx2", "fma"}, "AVX-512 VNNI": {"avx512_vnni", "avx512bw", "avx512dq", "avx512vl"}}
    assert instruction_sets() == [name for name, needed in able.items() if needed <= flags]


@given(
    sizes=sizes,
    seed=st.integers(0, 1000),
    scale=st.sampled_from([1e-40, 1e-30, 1e-6, 1.0, 1e6, 1e15]),
    relu=st.booleans(),
)
def test_it_finds_the_largest_products(sizes: tuple[int, int, int], seed: int, scale: float, relu: bool) -> None:
    n, c, k = sizes
    clouds = scale * normal(seed, 2, n, k)
    check(normal(seed + 1, c, k), clouds.relu() if relu else clouds)


@given(sizes=sizes, seed=st.integers(0, 1000), spread=st.sampled_from([1e-2, 1e-4, 1e-6, 0.0]))
def test_among_points_that_bytes_cannot_tell_apart(sizes: tuple[int, int, int], seed: int, spread: float) -> None:
    """A far point makes the int8 products coarse, and all others are one byte."""
    n, c, k = sizes
    clouds = normal(seed, 1, 1, k) + spread * normal(seed + 1, 2, n, k)
    clouds[:, n // 2] = -3 * clouds[:, n // 2]
    check(normal(seed + 2, c, k), clouds)


@pytest.mark.parametrize(("weights", "points"), [(1e-30, 1e15), (1e-42, 1.0), (1.0, 1e-25), (1e15, 1e-30)])
def test_at_any_scale_of_weights_and_points(weights: float, points: float) -> None:
    check(weights * normal(0, 64, 40), points * normal(1, 2, 100, 40))


@given(ulps=st.lists(st.integers(0, 99), min_size=2, max_size=60), inputs=st.integers(1, 9))
def test_far_from_the_origin_and_a_few_roundings_apart(ulps: list[int], inputs: int) -> None:
    """Where the centre of two numbers is itself rounded."""
    clouds = (1 + 2**-23 * torch.tensor(ulps).float())[None, :, None].expand(1, -1, inputs)
    weight = torch.tensor([[-1.0], [1.0]]).expand(2, inputs)
    peak, place = Peaks(weight).with_indices(clouds, len(ulps))
    theirs = reference_peaks(clouds, len(ulps), weight.contiguous())
    torch.testing.assert_close(peak, theirs[0], rtol=3e-7, atol=0)
    if inputs == 1:  # no sum is rounded
        assert torch.equal(place, theirs[1])


@pytest.mark.parametrize("far", [20.0, 1e3, 1e6])
def test_when_bytes_tell_nothing_apart(far: float, threads: int) -> None:
    hidden = (normal(0, 1, 500, 16) @ normal(1, 16, 128) / 4).relu()
    hidden[0, 100] *= far
    check(normal(2, 300, 128), hidden)


@given(points=st.integers(1, 200), alike=st.integers(1, 5), inputs=st.integers(1, 70), seed=st.integers(0, 1000))
def test_the_place_is_the_first_of_equals(points: int, alike: int, inputs: int, seed: int) -> None:
    source = torch.Generator().manual_seed(seed)
    clouds = torch.randint(-alike, alike + 1, (2, points, inputs), generator=source).float()  # so many are equal
    weight = torch.randint(-3, 4, (11, inputs), generator=source).float()  # whole numbers: no rounding
    peak, place = Peaks(weight).with_indices(clouds, points)
    for mine, theirs in zip((peak, place), reference_peaks(clouds, points, weight), strict=True):
        assert torch.equal(mine, theirs)


def test_on_real_layers_places_are_those_of_all_products(threads: int) -> None:
    hidden = (normal(0, 4, 1024, 64) @ normal(1, 64, 128) / 8).relu()
    weight = normal(2, 1024, 128)
    peak, place = check(weight, hidden)
    theirs = reference_peaks(hidden, 1024, weight)
    torch.testing.assert_close(peak, theirs[0], rtol=1e-5, atol=1e-5)
    assert (place == theirs[1]).float().mean() > 0.999  # of two points whose products round to one either is right


@pytest.mark.parametrize("odd", [torch.nan, torch.inf, -torch.inf, 1e30, 3e38])
def test_what_is_not_finite_is_seen(odd: float, threads: int) -> None:
    clouds, weight = normal(0, 3, 50, 16), normal(1, 20, 16)
    clouds[1, 7, 3] = odd
    mine = Peaks(weight).with_indices(clouds, 50)
    for one, other in zip(mine, reference_peaks(clouds, 50, weight), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5, equal_nan=True)
    weight[2, 5] = odd
    peak = Peaks(weight).values(normal(2, 1, 50, 16), 50)
    torch.testing.assert_close(peak, reference_peaks(normal(2, 1, 50, 16), 50, weight)[0], equal_nan=True)


@pytest.mark.parametrize("size", [1e37, 3e38])
def test_products_that_overflow_have_a_place(size: float) -> None:
    clouds, weight = torch.full((1, 5, 40), size), torch.cat([torch.ones(9, 40), -torch.ones(9, 40)])
    mine = Peaks(weight).with_indices(clouds, 5)
    for one, other in zip(mine, reference_peaks(clouds, 5, weight), strict=True):
        assert torch.equal(one, other)


def test_a_weight_of_zeros_and_a_cloud_of_one_point_many_times() -> None:
    clouds, weight = normal(0, 1, 1, 16).repeat(1, 40, 1), normal(1, 9, 16)
    weight[3] = 0
    peak, place = check(weight, clouds)
    assert peak[0, 3] == 0
    assert not place.any()


def test_the_weight_is_the_one_that_was_given() -> None:
    weight = normal(0, 12, 33)
    made, before = Peaks(weight.t().contiguous().t()), Peaks(weight)
    clouds = normal(1, 1, 20, 33).requires_grad_()
    expected = reference_peaks(clouds.detach(), 20, weight)[0]
    weight.zero_()
    for peaks in (made, before):
        for peak in (peaks.values(clouds, 20), peaks.with_indices(clouds, 20)[0]):
            assert not peak.requires_grad
            torch.testing.assert_close(peak, expected)


@pytest.mark.parametrize(
    "wrong", [normal(0, 1, 20, 16).double(), normal(0, 1, 20, 15), normal(0, 1, 20, 16, 16), normal(0, 1, 0, 16)]
)
def test_points_of_another_kind_are_refused(wrong: Tensor) -> None:
    with pytest.raises((RuntimeError, IndexError)):
        Peaks(normal(1, 9, 16)).with_indices(wrong, wrong.shape[1])


def test_so_many_inputs_that_a_sum_of_bytes_would_overflow() -> None:
    weight = torch.ones(1, 70_000)
    peak, place = Peaks(weight).with_indices(torch.stack([-weight, weight], 1), 2)
    assert (float(peak), int(place)) == (70_000, 1)


@given(sizes=sizes, seed=st.integers(0, 1000))
def test_the_slope_behind_the_maximum_is_its_reference(sizes: tuple[int, int, int], seed: int) -> None:
    n, c, k = sizes
    weight, grad, points = normal(seed, c, k), normal(seed + 1, c), normal(seed + 2, n, k).relu()
    indices = torch.randint(n, (c,), generator=torch.Generator().manual_seed(seed))
    rows, gradient = Peaks(weight).critical_gradient(indices, grad, points)
    theirs = reference_critical_gradient(indices, grad, weight, points)
    assert torch.equal(rows, theirs[0])
    torch.testing.assert_close(gradient, theirs[1], rtol=1e-5, atol=1e-5)


def test_the_slope_on_each_number_of_threads(threads: int) -> None:
    weight, grad, points = normal(0, 1024, 128), normal(1, 1024), normal(2, 1024, 128).relu()
    indices = torch.randint(300, (1024,), generator=torch.Generator().manual_seed(0))
    rows, gradient = Peaks(weight).critical_gradient(indices, grad, points)
    expected = torch.zeros_like(points).index_add_(0, indices, grad[:, None] * weight) * (points > 0)
    torch.testing.assert_close(torch.zeros_like(points).index_copy_(0, rows, gradient), expected, rtol=1e-5, atol=1e-5)


def test_a_value_that_is_no_number_passes_its_slope_on_as_relu_does() -> None:
    weight, grad, points = normal(0, 9, 16), normal(1, 9), normal(2, 5, 16).relu()
    points[3] = torch.nan
    indices = torch.full((9,), 3)
    gradient = Peaks(weight).critical_gradient(indices, grad, points)[1]
    torch.testing.assert_close(gradient, reference_critical_gradient(indices, grad, weight, points)[1])
    assert gradient.any()


@pytest.mark.parametrize("place", [-1, 5])
def test_a_place_that_is_none_is_refused(place: int) -> None:
    with pytest.raises((RuntimeError, IndexError)):
        Peaks(normal(0, 9, 16)).critical_gradient(torch.full((9,), place), normal(1, 9), normal(2, 5, 16))


@pytest.mark.parametrize("wrong", ["indices", "grad", "width"])
def test_slopes_of_another_kind_are_those_of_the_twin_or_refused(wrong: str) -> None:
    weight, grad, points, indices = normal(0, 9, 16), normal(1, 9), normal(2, 5, 16), torch.zeros(9, dtype=torch.int64)
    peaks = Peaks(weight)
    if wrong == "indices":
        rows, gradient = peaks.critical_gradient(indices.int(), grad, points)
        theirs = reference_critical_gradient(indices.int(), grad, weight, points)
        assert torch.equal(rows, theirs[0])
        torch.testing.assert_close(gradient, theirs[1])
        return
    with pytest.raises(RuntimeError):
        peaks.critical_gradient(
            indices, grad.double() if wrong == "grad" else grad, points[:, : 16 if wrong == "grad" else 8]
        )
