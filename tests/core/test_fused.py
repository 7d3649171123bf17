from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from core.models.fast.fused import linear_bn_max, linear_bn_relu, reference_linear_bn
from core.models.fast.peaks import reference_peaks

Operation = Callable[[Tensor, nn.Linear, nn.BatchNorm1d], Tensor]


def plain_max(x: Tensor, linear: nn.Linear, norm: nn.BatchNorm1d) -> Tensor:
    return reference_linear_bn(x, linear, norm).amax(1)


def plain_relu(x: Tensor, linear: nn.Linear, norm: nn.BatchNorm1d) -> Tensor:
    return reference_linear_bn(x, linear, norm).relu()


PLAIN = {linear_bn_max: plain_max, linear_bn_relu: plain_relu}
both_layers = pytest.mark.parametrize("operation", PLAIN)


class Layer(nn.Module):
    """K -> C, with slopes of both signs and running statistics that are not the initial ones."""

    def __init__(self, inputs: int, outputs: int, operation: Operation) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.norm = nn.BatchNorm1d(outputs)
        self.operation = operation
        with torch.no_grad():
            self.norm.weight.copy_(torch.linspace(-1.5, 1.5, outputs))
            self.norm.bias.uniform_(-1, 1)
            self.norm.running_mean.uniform_(-1, 1)  # type: ignore[union-attr]
            self.norm.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]

    def forward(self, x: Tensor) -> Tensor:
        return self.operation(x, self.linear, self.norm)


def pair(inputs: int, outputs: int, operation: Operation) -> tuple[Layer, Layer]:
    torch.manual_seed(0)
    fused, plain = (Layer(inputs, outputs, which).double() for which in (operation, PLAIN[operation]))
    plain.load_state_dict(fused.state_dict())
    return fused, plain


@both_layers
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("n", [1, 5, 32, 100])
def test_equals_the_plain_layer_with_its_gradients_and_running_statistics(
    n: int, training: bool, operation: Operation
) -> None:
    fused, plain = (layer.train(training) for layer in pair(7, 20, operation))
    x = torch.randn(3, n, 7, dtype=torch.float64)
    points = [x.clone().requires_grad_() for _ in range(2)]
    outputs = [layer(point) for layer, point in zip((fused, plain), points, strict=True)]
    weight = torch.randn_like(outputs[0])
    for output in outputs:
        (output * weight).sum().backward()
    close = {"rtol": 1e-10, "atol": 1e-10}
    torch.testing.assert_close(outputs[0], outputs[1], **close)
    torch.testing.assert_close(points[0].grad, points[1].grad, **close)
    for (name, mine), theirs in zip(fused.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, **close, msg=lambda text, name=name: f"{name}: {text}")
    for (name, mine), (_, theirs) in zip(fused.named_buffers(), plain.named_buffers(), strict=True):
        torch.testing.assert_close(mine, theirs, **close, msg=lambda text, name=name: f"{name}: {text}")
    assert int(fused.norm.num_batches_tracked) == int(training)  # type: ignore[arg-type]


@both_layers
@pytest.mark.parametrize("n", [6, 40])
def test_gradients_are_those_of_finite_differences(n: int, operation: Operation) -> None:
    layer = pair(3, 6, operation)[0].train()
    names = [name for name, _ in layer.named_parameters()]

    def function(x: Tensor, *parameters: Tensor) -> Tensor:
        output: Tensor = torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (x,))
        return output

    x = torch.randn(2, n, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(function, (x, *layer.parameters()))


@both_layers
def test_one_gradient_can_be_asked_for_without_the_others(operation: Operation) -> None:
    fused, plain = pair(4, 8, operation)
    x = torch.randn(2, 40, 4, dtype=torch.float64, requires_grad=True)
    mine, theirs = (torch.autograd.grad(layer(x).square().sum(), x)[0] for layer in (fused, plain))
    torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-10)
    assert all(parameter.grad is None for parameter in fused.parameters())
    still = x.detach()
    mine, theirs = (
        torch.autograd.grad(layer(still).square().sum(), layer.linear.weight)[0] for layer in (fused, plain)
    )
    torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-10)


@given(points=st.integers(1, 200), alike=st.integers(1, 5), seed=st.integers(0, 1000))
def test_the_place_of_a_maximum_is_the_first_of_equals_however_many_points(points: int, alike: int, seed: int) -> None:
    source = torch.Generator().manual_seed(seed)
    clouds = torch.randint(-alike, alike + 1, (2, points, 3), generator=source).double()  # so many are equal
    weight = torch.randint(-3, 4, (7, 3), generator=source).double()  # whole numbers: no rounding
    peak, place = reference_peaks(clouds, points, weight)
    values = clouds @ weight.t()
    assert torch.equal(peak, values.amax(1))
    assert torch.equal(place, (values == peak[:, None]).int().argmax(1))


def test_among_equal_points_the_gradient_reaches_one_and_keeps_its_sum() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 1, 4, dtype=torch.float64).repeat(1, 70, 1).requires_grad_()
    single = x.detach()[:, :1].clone().requires_grad_()
    for points in (x, single):
        pair(4, 8, linear_bn_max)[0](points).square().sum().backward()
    assert x.grad is not None
    assert single.grad is not None
    torch.testing.assert_close(x.grad.sum(1), single.grad.sum(1), rtol=1e-8, atol=1e-8)


@both_layers
@pytest.mark.parametrize("momentum", [0.3, None])
def test_running_statistics_follow_the_norms_momentum(operation: Operation, momentum: float | None) -> None:
    layers = pair(4, 8, operation)
    for layer in layers:
        layer.norm.momentum = momentum
    for _ in range(3):
        x = torch.randn(2, 30, 4, dtype=torch.float64)
        for layer in layers:
            layer(x)
    for mine, theirs in zip(layers[0].buffers(), layers[1].buffers(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-10)


@both_layers
@pytest.mark.parametrize("offset", [0.0, 3.0])
def test_single_precision_is_enough_for_features_far_from_zero(offset: float, operation: Operation) -> None:
    fused, plain = (layer.float() for layer in pair(128, 64, operation))
    x = torch.randn(8, 256, 128).relu() + offset
    torch.testing.assert_close(fused(x), plain(x), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(fused.norm.running_var, plain.norm.running_var, rtol=1e-3, atol=1e-3)


@both_layers
def test_under_autocast_it_keeps_single_precision(operation: Operation) -> None:
    fused, plain = (layer.float() for layer in pair(8, 16, operation))
    x = torch.randn(2, 40, 8)
    with torch.autocast("cpu", torch.bfloat16):
        output = fused(x)
    torch.testing.assert_close(output, plain(x), rtol=1e-4, atol=1e-5)
