"""Linear + batch norm + leaky ReLU of every point, then the maximum and the mean over points, as DGCNN's last layer.

Fast on the CPU, because each cloud's (N, O) values are made, used and dropped while they are in the cache; in eval mode
only the signs are kept for the gradient. The tests compare with ``reference_linear_bn_pool``.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from core.models.fast.statistics import count_batch, folded
from core.models.fast.together import mean_of_all, sums_of_all

_BLOCK = 32
"""Points over which the maximum is taken first, so that a kernel for images does it in one pass."""


def reference_linear_bn_pool(x: Tensor, linear: nn.Linear, norm: nn.BatchNorm1d, slope: float) -> Tensor:
    """The definition in plain PyTorch: any device, mode and precision; arguments are those of ``linear_bn_pool``."""
    y = F.leaky_relu(norm(linear(x.flatten(0, 1))).unflatten(0, x.shape[:2]), slope)
    return torch.cat([y.amax(1), y.mean(1)], 1)


def linear_bn_pool(x: Tensor, linear: nn.Linear, norm: nn.BatchNorm1d, slope: float) -> Tensor:
    """Maximum and mean over points of leaky ReLU of the normalised layer, x (B, N, K) -> (B, 2 O).

    ``slope`` is that of leaky ReLU for negative values; 0 is ReLU. Running statistics are updated.
    """
    if x.device.type != "cpu":
        return reference_linear_bn_pool(x, linear, norm, slope)
    with torch.autocast("cpu", enabled=False):
        x = x.to(linear.weight.dtype)
        if not norm.training:
            return _LinearPool.apply(x, *folded(linear, norm), slope)
        pooled, mean, variance, n = _LinearBnPool.apply(
            x, linear.weight, linear.bias, norm.weight, norm.bias, norm.eps, slope
        )
        count_batch(norm, mean if linear.bias is None else mean + linear.bias, variance, n)
        return pooled


def max_of_rows(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The maximum (n, C) over each k rows of values (n * k, C), and which of the k rows has it.

    The pooling kernel for images whose channels lie last gives both in one pass, several times as fast as ``max``.
    """
    n, channels = len(values) // k, values.shape[1]
    image = values.view(1, n, k, channels).permute(0, 3, 1, 2)
    found = torch.ops.aten.max_pool2d_with_indices(image, (1, k), (1, k))
    peak, place = (part.permute(0, 2, 3, 1).view(n, channels) for part in found)
    return peak, place - torch.arange(0, n * k, k)[:, None]


def _peaks(y: Tensor) -> tuple[Tensor, Tensor]:
    """The maximum (O,) over rows (N, O), and the row that has it."""
    if len(y) % _BLOCK:
        peak, place = y.max(0)
        return peak, place
    best, where = max_of_rows(y, _BLOCK)
    peak, block = best.max(0)
    return peak, where.gather(0, block[None])[0] + block * _BLOCK


def _gradient_of_pooling(grad: Tensor, winner: Tensor, out: Tensor) -> None:
    """Into ``out`` (N, O) the gradient of the values, from that of their maximum and mean (2 O)."""
    channels = out.shape[1]
    out.copy_((grad[channels:] / len(out)).expand_as(out))
    out.scatter_add_(0, winner[None], grad[None, :channels])


class _LinearPool(torch.autograd.Function):
    """The layer in eval mode: weight (O, K) and bias (O,) have batch norm in them."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, slope: float) -> Tensor:
        clouds, points, outputs = len(x), x.shape[1], len(weight)
        keep = any(ctx.needs_input_grad)
        pooled, buffer = x.new_empty(clouds, 2 * outputs), x.new_empty(points, outputs)
        positive = torch.empty(clouds if keep else 0, points, outputs, dtype=torch.bool)
        winner = torch.empty(clouds if keep else 0, outputs, dtype=torch.int64)
        for place in range(clouds):
            torch.addmm(bias, x[place], weight.t(), out=buffer)
            if keep:
                torch.gt(buffer, 0, out=positive[place])
            F.leaky_relu_(buffer, slope)
            if keep:
                pooled[place, :outputs], winner[place] = _peaks(buffer)
            else:
                torch.amax(buffer, 0, out=pooled[place, :outputs])
            torch.mean(buffer, 0, out=pooled[place, outputs:])
        ctx.save_for_backward(x, weight, positive, winner)
        ctx.slope = slope
        return pooled

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, positive, winner = ctx.saved_tensors
        wants_x, wants_weight, *_ = ctx.needs_input_grad
        grad_x = torch.empty_like(x) if wants_x else None
        grad_weight, grad_bias = (
            (torch.zeros_like(weight), torch.zeros_like(weight[:, 0])) if wants_weight else (None,) * 2
        )
        buffer = grad.new_empty(x.shape[1], len(weight))
        for place in range(len(x)):
            _gradient_of_pooling(grad[place], winner[place], buffer)
            buffer.mul_(positive[place].to(grad.dtype).mul_(1 - ctx.slope).add_(ctx.slope))
            if grad_x is not None:
                torch.mm(buffer, weight, out=grad_x[place])
            if grad_weight is not None and grad_bias is not None:
                grad_weight.addmm_(buffer.t(), x[place])
                grad_bias += buffer.sum(0)
        return grad_x, grad_weight, grad_bias, None


class _LinearBnPool(torch.autograd.Function):
    """The layer in training mode, with the mean and the biased variance (O,) of its n values without bias, and n."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        gamma: Tensor,
        beta: Tensor,
        eps: float,
        slope: float,
    ) -> tuple[Tensor, Tensor, Tensor, int]:
        clouds, points, outputs = len(x), x.shape[1], len(weight)
        y = torch.mm(x.flatten(0, 1), weight.t()).view(clouds, points, outputs)
        buffer, total = x.new_empty(points, outputs), x.new_zeros(outputs, dtype=torch.float64)
        for part in y:
            total += part.sum(0)
        total, n = mean_of_all(total / (clouds * points), clouds * points)
        mean, squares = total.to(x.dtype), torch.zeros_like(total)
        for part in y:
            torch.sub(part, mean, out=buffer)
            squares += buffer.mul_(buffer).sum(0)
        (squares,) = sums_of_all(squares)
        variance = (squares / n).to(x.dtype)
        scale = torch.rsqrt(variance + eps)
        factor = gamma * scale
        offset = beta - mean * factor
        pooled = x.new_empty(clouds, 2 * outputs)
        winner = torch.empty(clouds, outputs, dtype=torch.int64)
        for place in range(clouds):
            torch.addcmul(offset, y[place], factor, out=buffer)
            F.leaky_relu_(buffer, slope)
            pooled[place, :outputs], winner[place] = _peaks(buffer)
            torch.mean(buffer, 0, out=pooled[place, outputs:])
        ctx.save_for_backward(x, weight, y, mean, scale, factor, offset, winner)
        ctx.slope, ctx.n = slope, n
        ctx.mark_non_differentiable(mean, variance)
        return pooled, mean, variance, n

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad: Tensor, _mean: Tensor, _variance: Tensor, _n: None) -> tuple[Tensor | None, ...]:
        x, weight, y, mean, scale, factor, offset, winner = ctx.saved_tensors
        clouds, points, outputs = y.shape
        normalised, buffer, inner = (
            grad.new_empty(points, outputs),
            grad.new_empty(points, outputs),
            torch.empty_like(y),
        )
        grad_beta, products = grad.new_zeros(outputs), grad.new_zeros(outputs)
        for place in range(clouds):  # the gradient of the normalised values
            torch.addcmul(offset, y[place], factor, out=normalised)
            part = inner[place]
            _gradient_of_pooling(grad[place], winner[place], buffer)
            torch.ops.aten.leaky_relu_backward.grad_input(buffer, normalised, ctx.slope, False, grad_input=part)
            grad_beta += part.sum(0)
            products += torch.mul(part, y[place], out=buffer).sum(0)
        grad_gamma = (products - mean * grad_beta) * scale
        beta, gamma = sums_of_all(grad_beta, grad_gamma)
        correction = factor * scale * gamma / ctx.n
        constant = factor * beta / ctx.n - correction * mean
        grad_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        grad_weight = torch.zeros_like(weight)
        for place in range(clouds):
            part = inner[place].mul_(factor).sub_(constant).addcmul_(y[place], correction, value=-1)
            if grad_x is not None:
                torch.mm(part, weight, out=grad_x[place])
            grad_weight.addmm_(part.t(), x[place])
        grad_bias = torch.zeros_like(grad_beta) if ctx.needs_input_grad[2] else None
        return grad_x, grad_weight, grad_bias, grad_gamma, grad_beta, None, None
