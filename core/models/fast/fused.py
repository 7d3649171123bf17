"""Linear + batch norm of every point, with ReLU or with the maximum over points: fast layers for training on the CPU.

PointNet spends 92 % of its arithmetic in 128 -> 1024 layers whose output is used only through a maximum over points.
Three facts make them, and the narrow layers before them, cheap and keep them exact: the batch statistics of a linear
output follow from the mean and covariance of its input; an affine map per channel folds into the weights and commutes
with the maximum up to the sign of its slope; and the gradient of a maximum is non-zero at one point per channel. So the
(B, N, C) tensors before normalisation, and after it where a maximum follows, are never stored. The tests compare with
``reference_linear_bn``.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from core.models.fast.peaks import Peaks
from core.models.fast.statistics import count_batch
from core.models.fast.together import mean_of_all, sums_of_all


def reference_linear_bn(x: Tensor, linear: nn.Linear, norm: nn.BatchNorm1d) -> Tensor:
    """``norm(linear(x))`` in plain PyTorch; x (B, N, K) -> (B, N, C). Any device, mode and precision."""
    return norm(linear(x.flatten(0, 1))).unflatten(0, x.shape[:2])


def linear_bn_relu(x: Tensor, linear: nn.Linear, norm: nn.BatchNorm1d) -> Tensor:
    """ReLU of ``reference_linear_bn``, up to rounding; x (B, N, K) -> (B, N, C). Running statistics are updated."""
    if _can_fuse(x, norm):
        return _apply(_LinearBnRelu, x, linear, norm)
    return F.relu(reference_linear_bn(x, linear, norm), inplace=True)


def linear_bn_max(x: Tensor, linear: nn.Linear, norm: nn.BatchNorm1d) -> Tensor:
    """Maximum over points of ``reference_linear_bn``, up to rounding; x (B, N, K) -> (B, C). Running statistics too."""
    if _can_fuse(x, norm):
        return _apply(_LinearBnMax, x, linear, norm)
    return reference_linear_bn(x, linear, norm).amax(1)


def _can_fuse(x: Tensor, norm: nn.BatchNorm1d) -> bool:
    """In eval mode models are folded instead, and on GPUs one large product is faster than many that fit a cache."""
    return norm.training and x.device.type == "cpu"


def _apply(layer: type[torch.autograd.Function], x: Tensor, linear: nn.Linear, norm: nn.BatchNorm1d) -> Tensor:
    # under autocast too in the weights' own precision: on a CPU that is four times faster than the plain layer in bf16
    with torch.autocast("cpu", enabled=False):
        x = x.to(linear.weight.dtype)
        statistics = _batch_statistics(x, linear, norm)
        return layer.apply(x, linear.weight, linear.bias, norm.weight, norm.bias, statistics)


@dataclass(frozen=True, eq=False)
class _Statistics:
    """Of the n = B * N rows y = weight @ x of a linear layer without its bias, which batch norm takes away again.

    If processes train together, of the rows of all.
    """

    n: int
    centre: Tensor
    """(K,), mean of x."""
    spread: Tensor
    """(C, K), weight @ covariance of x, which is the covariance of y and x."""
    mean: Tensor
    """(C,), of y."""
    scale: Tensor
    """(C,), one over the standard deviation of y."""

    def backward(
        self, weight: Tensor, gamma: Tensor, total: Tensor, product: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The backward pass of the batch norm, given the gradient g of its output by two sums alone.

        Parameters
        ----------
        total, product : Tensor (C,) and (C, K), the sums over rows of g and of g x^T; over those of this process.

        Returns
        -------
        Gradients of weight (C, K) and gamma (C,), whose sum over processes is that of the batch; matrix (K, K) and
        offset (K,), with which the gradient of x is ``g @ (slope * weight) + x @ matrix + offset``.
        """
        slope = gamma * self.scale
        grad_gamma = ((product * weight).sum(1) - self.mean * total) * self.scale
        correction = slope * self.scale * grad_gamma
        grad_weight = slope[:, None] * product
        grad_weight.addr_(slope * total, self.centre, alpha=-1).addcmul_(correction[:, None], self.spread, value=-1)
        total, correction = sums_of_all(total, correction)  # a row's gradient depends on the rows of all processes
        matrix = weight.t() @ (weight * (-correction / self.n)[:, None])
        offset = (slope * total / -self.n) @ weight - self.centre @ matrix
        return grad_weight, grad_gamma, matrix, offset


@torch.no_grad()
def _batch_statistics(x: Tensor, linear: nn.Linear, norm: nn.BatchNorm1d) -> _Statistics:
    """Statistics of the batch x (B, N, K), by which those of ``norm`` are updated too."""
    means = x.mean(1)
    centre, n = mean_of_all(means.mean(0), x.shape[0] * x.shape[1])
    between = means - centre
    covariance = between.t() @ between * x.shape[1]
    for cloud, mean in zip(x, means, strict=True):  # centred first: a difference of two products would lose digits
        centred = cloud - mean
        covariance.addmm_(centred.t(), centred)
    (covariance,) = sums_of_all(covariance)
    spread = linear.weight @ covariance.div_(n)
    mean, variance = linear.weight @ centre, (spread * linear.weight).sum(1).clamp_min_(0)
    count_batch(norm, mean + linear.bias, variance, n)
    return _Statistics(n, centre, spread, mean, torch.rsqrt(variance + norm.eps))


class _LinearBnRelu(torch.autograd.Function):
    """x (B, N, K) -> (B, N, C)."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, gamma: Tensor, beta: Tensor, statistics: _Statistics
    ) -> Tensor:
        slope = gamma * statistics.scale
        folded, offset = (weight * slope[:, None]).t(), beta - slope * statistics.mean
        z = x.new_empty(*x.shape[:2], len(slope))
        for cloud, out in zip(x, z, strict=True):  # one by one, so that ReLU finds the product in the cache
            torch.addmm(offset, cloud, folded, out=out).relu_()
        ctx.save_for_backward(x, weight, gamma, z)
        ctx.statistics = statistics
        return z

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, gamma, z = ctx.saved_tensors
        g = torch.ops.aten.threshold_backward(grad, z, 0)  # of ReLU, four times faster than grad * (z > 0)
        g, rows = g.flatten(0, 1), x.flatten(0, 1)
        total = g.sum(0)
        grad_weight, grad_gamma, matrix, offset = ctx.statistics.backward(weight, gamma, total, g.t() @ rows)
        grad_x = None
        if ctx.needs_input_grad[0]:
            slope = gamma * ctx.statistics.scale
            grad_x = torch.addmm(offset, rows, matrix).addmm_(g, weight * slope[:, None]).view_as(x)
        return grad_x, grad_weight, torch.zeros_like(total), grad_gamma, total, None


class _LinearBnMax(torch.autograd.Function):
    """x (B, N, K) -> (B, C)."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, gamma: Tensor, beta: Tensor, statistics: _Statistics
    ) -> Tensor:
        slope = gamma * statistics.scale
        peak, index = Peaks(weight * slope[:, None]).with_indices(x, x.shape[1])
        ctx.save_for_backward(x, weight, gamma, index)
        ctx.statistics = statistics
        return peak + (beta - slope * statistics.mean)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, gamma, index = ctx.saved_tensors
        rows, total = x.flatten(0, 1), grad.sum(0)
        critical = index + torch.arange(len(x))[:, None] * x.shape[1]
        # for each channel, the sum of the one point in each cloud that it saw
        product = F.embedding_bag(critical.t(), rows, mode="sum", per_sample_weights=grad.t())
        grad_weight, grad_gamma, matrix, offset = ctx.statistics.backward(weight, gamma, total, product)
        grad_x = None
        if ctx.needs_input_grad[0]:
            folded = weight * (gamma * ctx.statistics.scale)[:, None]
            grad_x = torch.addmm(offset, rows, matrix).view_as(x)
            for cloud, where, share in zip(grad_x, index, grad, strict=True):
                cloud.index_add_(0, where, share[:, None] * folded)
        return grad_x, grad_weight, torch.zeros_like(total), grad_gamma, total, None
