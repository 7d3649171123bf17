"""How densely points lie, by a Gaussian kernel, with its gradient."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_HEIGHT = 2.5
"""By which PointConv divides in place of the square root of 2 pi."""


def reference_kernel_density(points: Tensor, bandwidth: float) -> Tensor:
    """The definition in plain PyTorch; arguments are those of ``kernel_density``."""
    with torch.autocast(points.device.type, enabled=False):
        scaled = points / bandwidth
        half = (scaled * scaled).sum(2) / 2
        kernel = (scaled @ scaled.mT - half[:, None] - half[:, :, None]).exp()
        return kernel.mean(2) / (_HEIGHT * bandwidth)


def kernel_density(points: Tensor, bandwidth: float) -> Tensor:
    """Mean over the points of a cloud of a Gaussian of their distance, (B, N, 3) -> (B, N).

    On the CPU the kernel (N, N) is one cloud's at a time, and made again for the gradient.
    """
    if points.device.type != "cpu":
        return reference_kernel_density(points, bandwidth)
    return _KernelDensity.apply(points, bandwidth)


def _kernel(scaled: Tensor, out: Tensor) -> Tensor:
    """Into ``out`` (N, N) the Gaussians, not yet divided, of points (N, 3) in bandwidths."""
    half = (scaled * scaled).sum(1) / 2
    return torch.addmm(half, scaled, scaled.t(), beta=-1, out=out).sub_(half[:, None]).exp_()


class _KernelDensity(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, points: Tensor, bandwidth: float) -> Tensor:
        ctx.save_for_backward(points)
        ctx.bandwidth = bandwidth
        found, n = points.new_empty(points.shape[:2]), points.shape[1]
        buffer = points.new_empty(n, n)
        for cloud, target in zip(points / bandwidth, found, strict=True):
            torch.mean(_kernel(cloud, buffer), 1, out=target)
        return found.div_(_HEIGHT * bandwidth)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (points,) = ctx.saved_tensors
        n, found = points.shape[1], torch.empty_like(points)
        buffer = points.new_empty(n, n)
        for cloud, given, target in zip(points / ctx.bandwidth, grad[:, :, None], found, strict=True):
            # the sum over j of (g_i + g_j) K_ij (x_j - x_i)
            own, ones = torch.cat((cloud, torch.ones_like(given)), 1), _kernel(cloud, buffer)
            near, weighted = (ones @ torch.cat((own, given * own), 1)).split(4, 1)
            near = near * given + weighted
            torch.addcmul(near[:, :3], cloud, near[:, 3:], value=-1, out=target)
        return found.div_(n * _HEIGHT * ctx.bandwidth**2), None
