"""EdgeConv of DGCNN: linear + batch norm + leaky ReLU on [x_j - x_i, x_i], maximum over the neighbours j of a point i.

Fast on the CPU, and exact, because three things need no tensor (B, N, k, 2C) of edges. With the weight as [A, B] the
linear layer is A (x_j - x_i) + B x_i = A x_j + (B - A) x_i: one product for each point, not each edge. Batch norm
with leaky ReLU is monotone in that, rising or falling with the sign of gamma, so the maximum is taken of A x_j alone.
And the batch statistics follow from sums of x over the neighbours of a point and over the points whose neighbour it is.
The gradient goes to one neighbour for each point and channel. The tests compare with ``reference_edge_conv``.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from core.models.fast.pooled import max_of_rows
from core.models.fast.sampling import reverse_neighbours, rows_of
from core.models.fast.statistics import count_batch, statistics
from core.models.fast.together import mean_of_all, sums_of_all

_BLOCK = 1024
"""Points whose neighbours are gathered at once, so that they fit the cache."""


def reference_edge_conv(x: Tensor, index: Tensor, weight: Tensor, norm: nn.BatchNorm1d, slope: float) -> Tensor:
    """The definition in plain PyTorch: any device, mode and precision; arguments are those of ``edge_conv``."""
    neighbours = x.flatten(0, 1)[rows_of(index, x.shape[1])].unflatten(0, x.shape[:2])
    own = x[:, :, None].expand_as(neighbours)
    edges = F.linear(torch.cat([neighbours - own, own], -1), weight)
    return F.leaky_relu(norm(edges.flatten(0, 2)).view_as(edges), slope).amax(2)


def edge_conv(x: Tensor, index: Tensor, weight: Tensor, norm: nn.BatchNorm1d, slope: float) -> Tensor:
    """Maximum over neighbours of leaky ReLU of the normalised linear layer of edges; running statistics are updated.

    Parameters
    ----------
    x : Tensor (B, N, C)
    index : Tensor (B, N, k), the neighbours of each point.
    weight : Tensor (O, 2C), of the linear layer, which has no bias.
    slope : of leaky ReLU for negative values, not negative itself.

    Returns
    -------
    Tensor (B, N, O)
    """
    if x.device.type != "cpu":
        return reference_edge_conv(x, index, weight, norm, slope)
    with torch.autocast("cpu", enabled=False):
        rows = x.to(weight.dtype).flatten(0, 1)
        fixed = None if norm.training else statistics(norm)
        place = rows_of(index, x.shape[1])
        z, mean, variance, edges = _EdgeConv.apply(rows, place, weight, norm.weight, norm.bias, fixed, norm.eps, slope)
        if norm.training:
            count_batch(norm, mean, variance, edges)
        return z.unflatten(0, x.shape[:2])


def max_over_neighbours(values: Tensor, rows: Tensor) -> Tensor:
    """The maximum (n, O) over the rows (n, k) of values (m, O) that each of n points sees."""
    if values.device.type != "cpu":
        return values[rows].amax(1)
    return _MaxOverNeighbours.apply(values, rows)


def max_over_rows(values: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The maximum (n, O) over the rows (n, k) of values (m, O) that each of n points sees, and the row that has it."""
    (n, k), channels = rows.shape, values.shape[1]
    peak, winner = values.new_empty(n, channels), torch.empty(n, channels, dtype=torch.int64)
    buffer = values.new_empty(min(n, _BLOCK) * k, channels)
    for first in range(0, n, _BLOCK):
        some = rows[first : first + _BLOCK]
        seen = torch.index_select(values, 0, some.flatten(), out=buffer[: some.numel()])
        peak[first : first + _BLOCK], place = max_of_rows(seen, k)
        torch.gather(some, 1, place, out=winner[first : first + _BLOCK])
    return peak, winner


class _MaxOverNeighbours(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, rows: Tensor) -> Tensor:
        peak, winner = max_over_rows(values, rows)
        ctx.save_for_backward(winner)
        ctx.points = len(values)
        return peak

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (winner,) = ctx.saved_tensors
        return grad.new_zeros(ctx.points, grad.shape[1]).scatter_add_(0, winner, grad), None


class _Moments(NamedTuple):
    """Of the edges [x_j - x_i, x_i] of a batch, of n points with k neighbours each.

    If processes train together, ``edges`` and the fields after it are those of all.
    """

    centred: Tensor
    """(n, C), x without its mean."""
    seen: Tensor
    """(n, C), sum of that over the neighbours of each point."""
    seen_by: Tensor
    """(n, C), sum of that over the points whose neighbour each point is."""
    degree: Tensor
    """(n, 1), number of those points."""
    edges: int
    """Number of edges."""
    shift: Tensor
    """(C,), mean of x."""
    mean: Tensor
    """(2C,), of the edges."""
    covariance: Tensor
    """(2C, 2C)"""


def _moments(x: Tensor, rows: Tensor) -> _Moments:
    (n, k), channels = rows.shape, x.shape[1]
    shift, points = mean_of_all(x.mean(0), n)
    edges = points * k
    centred = x - shift  # differences are the same, and squares lose no digits
    seen = F.embedding_bag(rows, centred, mode="sum")
    order, start, count = reverse_neighbours(rows, n)
    seen_by = F.embedding_bag(order // k, centred, start, mode="sum")
    degree = count.to(x.dtype)[:, None]
    differences = seen - k * centred  # sum over j of x_j - x_i
    laplacian = (degree + k) * centred - seen - seen_by  # so that the sum of (x_j - x_i)(x_j - x_i)^T is x^T laplacian
    sums = centred.t() @ torch.cat((laplacian, differences, k * centred), 1), differences.sum(0)
    products, step = (each / edges for each in sums_of_all(*sums))
    mean = torch.cat((step, shift))
    upper = torch.cat((products[:, :channels], products[:, channels : 2 * channels].t()), 1)
    covariance = torch.cat((upper, products[:, channels:]))
    covariance[:channels, :channels] -= torch.outer(mean[:channels], mean[:channels])
    return _Moments(centred, seen, seen_by, degree, edges, shift, mean, covariance)


class _EdgeConv(torch.autograd.Function):
    """x (n, C) -> (n, O), with the mean and the biased variance (O,) by which it was normalised, of so many edges."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        rows: Tensor,
        weight: Tensor,
        gamma: Tensor,
        beta: Tensor,
        fixed: tuple[Tensor, Tensor] | None,
        eps: float,
        slope: float,
    ) -> tuple[Tensor, Tensor, Tensor, int]:
        channels, outputs = x.shape[1], len(weight)
        moments: tuple[Tensor, ...] = ()
        ctx.edges = rows.numel()
        if fixed is None:
            found = _moments(x, rows)
            ctx.edges = found.edges
            spread = weight @ found.covariance
            mean, variance = weight @ found.mean, (spread * weight).sum(1).clamp_min(0)
            moments = (found.centred, found.seen, found.seen_by, found.degree, found.shift, found.mean, spread, mean)
        else:
            mean, variance = fixed
        scale = torch.rsqrt(variance + eps)
        sign = torch.where(gamma >= 0, 1.0, -1.0).to(x.dtype)
        neighbour, own = weight[:, :channels], weight[:, channels:] - weight[:, :channels]
        products = x @ (torch.cat((neighbour, own)) * sign.repeat(2)[:, None]).t()
        peak, winner = max_over_rows(products[:, :outputs].contiguous(), rows)
        normalised = peak.add_(products[:, outputs:]).mul_(sign).sub_(mean).mul_(scale)
        z = F.leaky_relu(normalised * gamma + beta, slope)
        ctx.save_for_backward(x, weight, gamma, scale, winner, normalised, z, *moments)
        ctx.neighbours, ctx.slope = rows.shape[1], slope
        ctx.mark_non_differentiable(mean, variance)
        return z, mean, variance, ctx.edges

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad: Tensor, _mean: Tensor, _variance: Tensor, _edges: None) -> tuple[Tensor | None, ...]:
        x, weight, gamma, scale, winner, normalised, z, *moments = ctx.saved_tensors
        wants_x, _, wants_weight, *_ = ctx.needs_input_grad
        channels, outputs = x.shape[1], len(weight)
        neighbour, own = weight[:, :channels], weight[:, channels:] - weight[:, :channels]
        grad = torch.where(z > 0, grad, grad * ctx.slope)
        grad_beta, grad_gamma = grad.sum(0), (grad * normalised).sum(0)
        grad = grad * (gamma * scale)
        # of A x at the winning neighbour, and of (B - A) x at the point itself
        both = torch.cat((torch.zeros_like(grad).scatter_add_(0, winner, grad), grad), 1)
        grad_x = both @ torch.cat((neighbour, own)) if wants_x else None
        grad_weight = None
        if wants_weight:
            product = both.t() @ x
            grad_weight = torch.cat((product[:outputs] - product[outputs:], product[outputs:]), 1)
        if moments:
            centred, seen, seen_by, degree, shift, edge_mean, spread, mean = moments
            # batch norm takes a + c (y - mean) from the gradient of every edge's y
            a, c = gamma * scale * grad_beta / ctx.edges, gamma * scale * scale * grad_gamma / ctx.edges
            if grad_weight is not None:
                grad_weight -= ctx.edges * (torch.outer(a, edge_mean) + c[:, None] * spread)
            a, c = sums_of_all(a, c)
            if grad_x is not None:
                near, at = c[:, None] * neighbour, c[:, None] * own
                matrices = torch.cat((neighbour.t() @ near, own.t() @ near, neighbour.t() @ at, own.t() @ at))
                sums = torch.cat((degree * centred, seen_by, seen, ctx.neighbours * centred), 1)
                grad_x.addmm_(sums, matrices, alpha=-1)
                rest = a + c * (weight[:, channels:] @ shift - mean)
                grad_x.addr_(degree[:, 0], rest @ neighbour, alpha=-1).sub_(ctx.neighbours * (rest @ own))
        return grad_x, None, grad_weight, grad_gamma, grad_beta, None, None, None
