"""Layers on groups of neighbours, and which those are: what plain PyTorch computes, with gradients and statistics."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.fast.density import kernel_density, reference_kernel_density
from core.models.fast.edges import max_over_neighbours
from core.models.fast.groups import (
    bn_act,
    linear_bn_act,
    linear_bn_act_of_pairs,
    linear_bn_max_of_groups,
    pairs,
)
from core.models.fast.sampling import farthest, in_ball, nearest, taken

Layers = Callable[[nn.Linear, nn.BatchNorm1d, Tensor], Tensor]
modes = pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
slopes = pytest.mark.parametrize("slope", [0.0, 0.2, 1.0])


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def modules(inputs: int, outputs: int, training: bool) -> tuple[nn.Linear, nn.BatchNorm1d]:
    torch.manual_seed(1)
    linear, norm = nn.Linear(inputs, outputs).double(), nn.BatchNorm1d(outputs).double().train(training)
    nn.init.uniform_(norm.weight, -1.0, 1.0)
    nn.init.uniform_(norm.bias, -0.5, 0.5)
    nn.init.uniform_(norm.running_mean, -0.2, 0.2)
    nn.init.uniform_(norm.running_var, 0.1, 1.0)
    return linear, norm


def require_equal(fast: Layers, plain: Layers, x: Tensor, outputs: int, training: bool) -> None:
    """Values, gradients of input and weights, and running statistics."""
    found = []
    for layers in (fast, plain):
        linear, norm = modules(x.shape[-1], outputs, training)
        points = x.clone().requires_grad_()
        y = layers(linear, norm, points)
        (y * random(*y.shape, seed=2)).sum().backward()
        weights = [*linear.parameters(), *norm.parameters()]
        found.append([y, points.grad, *(weight.grad for weight in weights), *norm.buffers()])
    for mine, other in zip(*found, strict=True):
        if other is not None:  # of a linear layer that is not used
            torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-10)


@modes
@slopes
@pytest.mark.parametrize("rows", [2, 300, 5000])
def test_batch_norm(rows: int, slope: float, training: bool) -> None:
    """Of more rows, too, than are worked on at once."""
    x = random(rows, 192)
    require_equal(
        lambda _, norm, y: bn_act(y, norm, slope), lambda _, norm, y: F.leaky_relu(norm(y), slope), x, 192, training
    )


@modes
@slopes
def test_a_linear_layer(slope: float, training: bool) -> None:
    require_equal(
        lambda linear, norm, x: linear_bn_act(x, linear, norm, slope),
        lambda linear, norm, x: F.leaky_relu(norm(linear(x)), slope),
        random(40, 5),
        16,
        training,
    )


@modes
@pytest.mark.parametrize(("groups", "k"), [(7, 1), (40, 3), (9, 300), (3, 1500)])
def test_the_maximum_over_groups(groups: int, k: int, training: bool) -> None:
    require_equal(
        lambda linear, norm, x: linear_bn_max_of_groups(x, linear, norm),
        lambda linear, norm, x: norm(linear(x.flatten(0, 1))).unflatten(0, (groups, k)).amax(1),
        random(groups, k, 6),
        24,
        training,
    )


@modes
@slopes
@pytest.mark.parametrize(("k", "features"), [(1, 4), (4, 4), (4, 0)])
def test_a_layer_on_pairs(k: int, features: int, slope: float, training: bool) -> None:
    rows, own = torch.randint(0, 9, (11, k), generator=torch.Generator().manual_seed(3)), random(11, 3, seed=4)

    def plain(linear: nn.Linear, norm: nn.BatchNorm1d, x: Tensor) -> Tensor:
        seen = x[rows] - F.pad(own, (0, features))[:, None]
        return F.leaky_relu(norm(linear(seen.flatten(0, 1))), slope)

    require_equal(
        lambda linear, norm, x: linear_bn_act_of_pairs(x, rows, own, linear, norm, slope),
        plain,
        random(9, 3 + features),
        12,
        training,
    )


def test_the_gradient_of_pairs_reaches_both_points() -> None:
    rows = torch.tensor([[0, 0, 2], [1, 2, 2]])  # point 3 is nobody's neighbour
    values, own = random(4, 3).requires_grad_(), random(2, 3).requires_grad_()
    assert torch.equal(pairs(values, rows, own), (values[rows] - own[:, None]).flatten(0, 1))
    assert torch.autograd.gradcheck(lambda *args: pairs(args[0], rows, args[1]), (values, own))


def test_the_maximum_over_neighbours() -> None:
    values, rows = random(9, 4), torch.randint(9, (6, 5), generator=torch.Generator().manual_seed(1))
    mine, other = values.clone().requires_grad_(), values.clone().requires_grad_()
    peak, expected = max_over_neighbours(mine, rows), other[rows].amax(1)
    torch.testing.assert_close(peak, expected, rtol=0, atol=0)
    wanted = torch.autograd.grad((expected * random(6, 4, seed=2)).sum(), other)[0]
    torch.testing.assert_close(torch.autograd.grad((peak * random(6, 4, seed=2)).sum(), mine)[0], wanted)


@pytest.mark.parametrize("points", [1, 15, 256])
def test_neighbours_in_order(points: int) -> None:
    """Also of so many points that the search sees the minima of groups first."""
    x = random(2, points, 3)
    expected = torch.cdist(x, x).argsort(2)[:, :, :20]
    assert torch.equal(nearest(x, 20, ordered=True), expected)


@pytest.mark.parametrize("pooled", [False, True], ids=["stored", "maximum"])
def test_statistics_of_many_rows_lose_no_digits(pooled: bool) -> None:
    """PyTorch's own, of rows in single precision, are wrong by 6e-5 of a standard deviation here."""
    x = (0.3 + 0.05 * torch.randn(200_000, 4, generator=torch.Generator().manual_seed(0))).requires_grad_()
    linear, norm = nn.Linear(4, 4, bias=False), nn.BatchNorm1d(4, momentum=1.0)
    nn.init.eye_(linear.weight)
    if pooled:
        linear_bn_max_of_groups(x.view(1000, 200, 4), linear, norm)
    else:
        bn_act(x, norm)
    exact = x.detach().double()
    torch.testing.assert_close(norm.running_mean.double(), exact.mean(0), rtol=0, atol=1e-6 * 0.05)
    torch.testing.assert_close(norm.running_var.double(), exact.var(0), rtol=1e-6, atol=0)


def test_the_density_and_its_gradient() -> None:
    x = random(2, 30, 3).requires_grad_()
    found, expected = kernel_density(x, 0.4), reference_kernel_density(x, 0.4)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    slopes = (torch.autograd.grad((each * random(2, 30, seed=2)).sum(), x)[0] for each in (found, expected))
    torch.testing.assert_close(*slopes, rtol=1e-10, atol=1e-10)
    gaussian = torch.exp(-(torch.cdist(x, x) ** 2) / (2 * 0.4**2)) / (2.5 * 0.4)
    torch.testing.assert_close(found, gaussian.mean(2), rtol=1e-9, atol=1e-9)


def test_balls_take_the_first_points_in_them_and_the_first_again() -> None:
    line = torch.tensor([0.0, 5.0, 0.3, 0.1, 5.2, 0.2])[None, :, None] * torch.tensor([1.0, 0.0, 0.0])
    found = in_ball(line, line[:, [3, 4]], 0.25, 3)
    assert found.tolist() == [[[0, 2, 3], [1, 4, 1]]]
    assert in_ball(line, line[:, :1], 9.0, 64).tolist() == [[[0, 1, 2, 3, 4, 5]]]
    assert in_ball(line * torch.nan, line[:, :1], 0.25, 2).tolist() == [[[0, 0]]]


def test_farthest_points_of_points_in_that_order_are_the_first_ones() -> None:
    x = random(3, 60, 3)
    ordered = taken(x, farthest(x, 40))
    assert torch.equal(ordered[:, 0], x[:, 0])
    assert torch.equal(farthest(ordered, 15), torch.arange(15).expand(3, -1))
    for cloud, order in zip(x, farthest(x, 40), strict=True):
        distances = torch.cdist(cloud, cloud)
        for place in range(1, 40):
            assert order[place] == distances[order[:place]].amin(0).argmax()
