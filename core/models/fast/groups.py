"""Layers on the pairs of a point and its neighbours, n groups of k rows, as PointNet++ and its successors have them.

On the CPU channels lie last, one row a pair, and each layer is one product of matrices. A first layer that is linear in
[x_j - x_i, ...] is computed for each point and subtracted for each pair (``pairs``). The last one, of which only the
maximum over a group is used, is never stored (``linear_bn_max_of_groups``). In eval mode batch norm is folded into the
weights. The sums of batch norm are in double precision: over some hundred thousand rows PyTorch's own, in rows of
single precision, lose three digits. The tests compare with plain PyTorch.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from core.models.fast.pooled import max_of_rows
from core.models.fast.sampling import reverse_neighbours
from core.models.fast.statistics import affine, count_batch, folded
from core.models.fast.together import mean_of_all, moments_of_all, sums_of_all

_CHUNK = 1 << 17
"""Entries of a matrix that are worked on at once, so that they stay in the cache."""
_ROWS = 1024
"""Rows whose last layer is computed at once."""


def pairs(values: Tensor, rows: Tensor, own: Tensor) -> Tensor:
    """``values[rows[i, j]] - own[i]``: values (m, C), rows (n, k) and own (n, C) -> (n * k, C)."""
    return _Pairs.apply(values, rows, own)


def pairs_bn_relu(values: Tensor, rows: Tensor, own: Tensor, norm: nn.BatchNorm1d) -> Tensor:
    """Batch norm and ReLU of ``pairs``, whose first layer ``values`` and ``own`` have been through."""
    if norm.training:
        return bn_act(pairs(values, rows, own), norm)
    factor, offset = affine(norm)  # for each point, not each pair
    return F.relu(pairs(torch.addcmul(offset, values, factor), rows, own * factor), inplace=True)


def max_over_pairs(
    values: Tensor, rows: Tensor, own: Tensor, norm: nn.BatchNorm1d, second: nn.Linear, second_norm: nn.BatchNorm1d
) -> Tensor:
    """Maximum over the rows of each group of ``pairs_bn_relu`` and a second layer with batch norm and ReLU, (n, C)."""
    y = pairs_bn_relu(values, rows, own, norm).unflatten(0, rows.shape)
    return F.relu(linear_bn_max_of_groups(y, second, second_norm))


def bn_act(y: Tensor, norm: nn.BatchNorm1d, slope: float = 0.0) -> Tensor:
    """Batch norm and leaky ReLU of rows (n, C); the slope 0 is ReLU, 1 is none. Running statistics are updated."""
    if y.device.type != "cpu" or not norm.training:
        return F.leaky_relu(norm(y), slope)
    out, mean, variance, n = _BatchNorm.apply(y, norm.weight, norm.bias, norm.eps, slope)
    count_batch(norm, mean, variance, n)
    return out


def linear_bn_act(x: Tensor, linear: nn.Linear, norm: nn.BatchNorm1d, slope: float = 0.0) -> Tensor:
    """``bn_act`` of a linear layer, rows (n, K) -> (n, C)."""
    if norm.training:
        return bn_act(linear(x), norm, slope)
    y = F.linear(x, *folded(linear, norm))
    return F.leaky_relu(y, slope, inplace=True) if slope != 1 else y


def linear_bn_act_of_pairs(
    x: Tensor, rows: Tensor, own: Tensor, linear: nn.Linear, norm: nn.BatchNorm1d, slope: float = 0.0
) -> Tensor:
    """``linear_bn_act`` of x_j, less own_i in its first channels, for each neighbour j of each i.

    Parameters
    ----------
    x : Tensor (m, K)
    rows : Tensor (n, k), the neighbours: rows of x.
    own : Tensor (n, D), D <= K.

    Returns
    -------
    Tensor (n * k, C)
    """
    if own.shape[1] == x.shape[1]:  # differences of coordinates alone: as fast, and no digits are lost in a small group
        return linear_bn_act(pairs(x, rows, own), linear, norm, slope)
    weight, bias = (linear.weight, linear.bias) if norm.training else folded(linear, norm)
    y = pairs(F.linear(x, weight, bias), rows, F.linear(own, weight[:, : own.shape[1]]))
    return bn_act(y, norm, slope) if norm.training else F.leaky_relu(y, slope, inplace=True)


def linear_bn_max_of_groups(x: Tensor, linear: nn.Linear, norm: nn.BatchNorm1d) -> Tensor:
    """Maximum over the rows of each group of the normalised linear layer, x (n, k, K) -> (n, C).

    ReLU or leaky ReLU, which commute with the maximum, may follow.
    """
    if x.device.type != "cpu":
        return norm(linear(x.flatten(0, 1))).view(*x.shape[:2], -1).amax(1)
    if not norm.training:
        return _LinearMax.apply(x, *folded(linear, norm))
    peak, mean, variance, n = _LinearBnMax.apply(x, linear.weight, linear.bias, norm.weight, norm.bias, norm.eps)
    mean = mean if linear.bias is None else mean + linear.bias  # which batch norm takes away again
    count_batch(norm, mean, variance, n)
    return peak


def max_of_groups(x: Tensor) -> Tensor:
    """Maximum over the rows of each group, x (n, k, C) -> (n, C); the gradient goes to one of them."""
    return x.max(1).values if x.device.type != "cpu" else _Max.apply(x)


class _Max(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        peak, winner = max_of_rows(x.flatten(0, 1), x.shape[1])
        ctx.save_for_backward(winner)
        ctx.neighbours = x.shape[1]
        return peak

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (winner,) = ctx.saved_tensors
        n, channels = grad.shape
        return grad.new_zeros(n, ctx.neighbours, channels).scatter_(1, winner[:, None], grad[:, None])


class _Pairs(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, rows: Tensor, own: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.points = len(values)
        found = values.index_select(0, rows.flatten())
        found.unflatten(0, rows.shape).sub_(own[:, None])
        return found

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (rows,) = ctx.saved_tensors
        grad_values = None
        if ctx.needs_input_grad[0]:  # sums of sorted rows, several times as fast as adding one by one
            order, start, _ = reverse_neighbours(rows, ctx.points)
            grad_values = F.embedding_bag(order, grad.contiguous(), start, mode="sum")
        return grad_values, None, grad.unflatten(0, rows.shape).sum(1).neg_()


class _BatchNorm(torch.autograd.Function):
    """y (n, C) -> (n, C), with the mean and the biased variance (C,), and of how many rows they are."""

    @staticmethod
    def forward(
        ctx: Any, y: Tensor, gamma: Tensor, beta: Tensor, eps: float, slope: float
    ) -> tuple[Tensor, Tensor, Tensor, int]:
        n, channels = y.shape
        ctx.rows, ctx.slope = max(256, min(n, _CHUNK // channels)), slope
        buffer, shift = y.new_empty(min(n, ctx.rows), channels), y[: ctx.rows].mean(0)
        total = torch.zeros(channels, dtype=torch.float64)
        squares = torch.zeros_like(total)
        for part in y.split(ctx.rows):
            centred = torch.sub(part, shift, out=buffer[: len(part)])
            total += centred.sum(0)
            squares += centred.mul_(centred).sum(0)
        mean = total / n
        mean, variance, ctx.n = moments_of_all(mean + shift, squares / n - mean * mean, n)
        mean, variance = mean.to(y.dtype), variance.clamp_min_(0).to(y.dtype)
        scale = torch.rsqrt(variance + eps)
        factor, out = gamma * scale, torch.empty_like(y)
        for part, target in zip(y.split(ctx.rows), out.split(ctx.rows), strict=True):
            torch.sub(part, mean, out=target)
            torch.addcmul(beta, target, factor, out=target)
            if slope != 1:
                F.leaky_relu_(target, slope)
        ctx.save_for_backward(y, out if slope != 1 else None, mean, scale, factor)
        ctx.mark_non_differentiable(mean, variance)
        return out, mean, variance, ctx.n

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad: Tensor, _mean: Tensor, _variance: Tensor, _n: None) -> tuple[Tensor | None, ...]:
        y, out, mean, scale, factor = ctx.saved_tensors
        n, channels = y.shape
        grad_y, buffer = torch.empty_like(y), y.new_empty(min(n, ctx.rows), channels)
        grad_beta, products = y.new_zeros(channels), y.new_zeros(channels)
        signs = [None] * -(-n // ctx.rows) if out is None else out.split(ctx.rows)
        for part, sign, given, target in zip(
            y.split(ctx.rows), signs, grad.split(ctx.rows), grad_y.split(ctx.rows), strict=True
        ):
            if sign is None:
                target.copy_(given)
            else:
                torch.ops.aten.leaky_relu_backward.grad_input(given, sign, ctx.slope, True, grad_input=target)
            grad_beta += target.sum(0)
            products += torch.sub(part, mean, out=buffer[: len(part)]).mul_(target).sum(0)
        grad_gamma = products * scale
        beta, gamma = sums_of_all(grad_beta, grad_gamma)
        constant, correction = -factor * beta / ctx.n, factor * scale * gamma / ctx.n
        for part, target in zip(y.split(ctx.rows), grad_y.split(ctx.rows), strict=True):
            centred = torch.sub(part, mean, out=buffer[: len(part)])
            torch.addcmul(constant, centred, correction, value=-1, out=centred)
            torch.addcmul(centred, target, factor, out=target)
        return grad_y, grad_gamma, grad_beta, None, None


def _max_of_groups(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """The maximum (n, C) over the rows of each group of ``x @ weight.T``, x (n, k, K), and the row that has it."""
    (n, k, inputs), channels = x.shape, len(weight)
    peak, winner = x.new_empty(n, channels), torch.empty(n, channels, dtype=torch.int64)
    some = max(1, _ROWS // k)
    buffer = x.new_empty(min(n, some) * k, channels)
    for first in range(0, n, some):
        part = x[first : first + some].reshape(-1, inputs)
        found = torch.mm(part, weight.t(), out=buffer[: len(part)])
        peak[first : first + some], winner[first : first + some] = max_of_rows(found, k)
    return peak, winner


def _gradient_of_rows(weight: Tensor, winner: Tensor, grad: Tensor, k: int) -> Tensor:
    """Gradient of the n * k rows of x, from that of the maximum, (n, C).

    A row gets the weights of the channels whose maximum it has, a k-th of what a product with all of them would add.
    """
    n, channels = winner.shape
    order, start, _ = reverse_neighbours(winner + torch.arange(0, n * k, k)[:, None], n * k)
    shares = grad.flatten().index_select(0, order)
    return F.embedding_bag(order % channels, weight, start, mode="sum", per_sample_weights=shares)


def _gradient_of_weight(x: Tensor, winner: Tensor, grad: Tensor) -> Tensor:
    """Gradient of the weight (C, K) from that of the maximum, (n, C): the sum over groups of each channel's winner."""
    n, k, inputs = x.shape
    found, some = x.new_zeros(winner.shape[1], inputs), max(1, _ROWS // k)
    for first in range(0, n, some):
        part, shares = x[first : first + some].flatten(0, 1), grad[first : first + some].t()
        rows = winner[first : first + some] + torch.arange(0, len(part), k)[:, None]
        found += F.embedding_bag(rows.t(), part, mode="sum", per_sample_weights=shares)
    return found


class _LinearMax(torch.autograd.Function):
    """x (n, k, K) -> (n, C) in eval mode: weight (C, K) and bias (C,) have batch norm in them."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        peak, winner = _max_of_groups(x, weight)
        ctx.save_for_backward(x, weight, winner)
        return peak.add_(bias)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, winner = ctx.saved_tensors
        wants_x, wants_weight, wants_bias = ctx.needs_input_grad
        grad_x = _gradient_of_rows(weight, winner, grad, x.shape[1]).view_as(x) if wants_x else None
        grad_weight = _gradient_of_weight(x, winner, grad) if wants_weight else None
        return grad_x, grad_weight, grad.sum(0) if wants_bias else None


class _LinearBnMax(torch.autograd.Function):
    """x (n, k, K) -> (n, C), with the mean and the biased variance (C,) of its rows without bias, and their number."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, gamma: Tensor, beta: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, int]:
        rows = x.flatten(0, 1)
        centre, ctx.n = mean_of_all(rows.mean(0), len(rows))
        covariance = torch.zeros(len(centre), len(centre), dtype=torch.float64)
        buffer = torch.empty_like(rows[:_ROWS])
        for part in rows.split(_ROWS):
            # centred first, because a difference of two products would lose digits
            centred = torch.sub(part, centre, out=buffer[: len(part)])
            covariance += centred.t() @ centred
        (covariance,) = sums_of_all(covariance)
        spread = weight @ covariance.div_(ctx.n).to(x.dtype)
        mean, variance = weight @ centre, (spread * weight).sum(1).clamp_min_(0)
        scale = torch.rsqrt(variance + eps)
        sign = torch.where(gamma >= 0, 1.0, -1.0).to(x.dtype)
        peak, winner = _max_of_groups(x, weight * sign[:, None])
        normalised = peak.mul_(sign).sub_(mean).mul_(scale)
        ctx.save_for_backward(x, weight, winner, gamma, scale, centre, spread, normalised)
        ctx.mark_non_differentiable(mean, variance)
        return normalised * gamma + beta, mean, variance, ctx.n

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad: Tensor, _mean: Tensor, _variance: Tensor, _n: None) -> tuple[Tensor | None, ...]:
        x, weight, winner, gamma, scale, centre, spread, normalised = ctx.saved_tensors
        k, inputs = x.shape[1:]
        grad_beta, grad_gamma, slope = grad.sum(0), (grad * normalised).sum(0), gamma * scale
        share = grad * slope
        constant, correction = slope * grad_beta / ctx.n, slope * scale * grad_gamma / ctx.n
        grad_x = grad_weight = None
        if ctx.needs_input_grad[1]:
            grad_weight = _gradient_of_weight(x, winner, share)
            grad_weight -= ctx.n * (torch.outer(constant, centre) + correction[:, None] * spread)
        constant, correction = sums_of_all(constant, correction)
        if ctx.needs_input_grad[0]:
            matrix = weight.t() @ (correction[:, None] * weight)
            offset = constant @ weight - centre @ matrix
            grad_x = _gradient_of_rows(weight, winner, share, k)
            for rows, part in zip(x.view(-1, inputs).split(_ROWS), grad_x.split(_ROWS), strict=True):
                part.addmm_(rows, matrix, alpha=-1).sub_(offset)
            grad_x = grad_x.view_as(x)
        grad_bias = torch.zeros_like(grad_beta) if ctx.needs_input_grad[2] else None
        return grad_x, grad_weight, grad_bias, grad_gamma, grad_beta, None
