"""CurveNet's walks: curves over a cloud that go on, step by step, to the neighbour whose features win."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from core.models.fast.groups import pairs
from core.models.fast.layers import LinearBN

_LEAST = 1e-8
"""By which the cosine of two directions is divided at least."""


class Walk(nn.Module):
    """Walks over points with features: (m, C) -> curves (n, L, C), the features of the L points that each of n visits.

    At each step a layer scores a point's neighbours, by their features and by those of the curve so far; after the
    first step the score counts less the more a step would turn back. The one of the highest softmax is picked. The
    gradient is that of the mean weighted by softmax, though the value is that of the one (straight-through).
    """

    def __init__(self, channels: int, length: int) -> None:
        super().__init__()
        self.length = length
        self.score = LinearBN(2 * channels, 1, bias=False, slope=1.0)
        self.momentum = LinearBN(2 * channels, 2, bias=False, slope=1.0)

    def forward(self, x: Tensor, neighbours: Tensor, start: Tensor) -> Tensor:
        """``neighbours`` (m, k) are those of each point, ``start`` (n,) the points from which the curves go out."""
        of_neighbour, of_curve = self.score.linear.weight[0].chunk(2)
        scores, here = x @ of_neighbour, start
        past = now = x.index_select(0, start)
        curve = []
        for step in range(self.length):
            if step > 0:
                share = self.momentum(torch.cat((now, past), 1)).softmax(1)
                past = now * share[:, :1] + past * share[:, 1:]
            rows = neighbours.index_select(0, here)
            score = scores.index_select(0, rows.flatten()).view_as(rows) + (past @ of_curve)[:, None]
            score = self.score.norm(score.view(1, 1, -1)).view_as(rows)
            if step > 0:
                score = score * _straightness(x, rows, now, past)
            probability = score.softmax(1)
            here = rows.gather(1, probability.argmax(1, keepdim=True))[:, 0]
            now = _Picked.apply(x, rows, here, probability)
            curve.append(now)
        return torch.stack(curve, 1)


@torch.no_grad()
def _straightness(x: Tensor, rows: Tensor, now: Tensor, past: Tensor) -> Tensor:
    """How straight curves that came from ``past`` to ``now`` (n, C) go on to rows (n, k) of x: (n, k) from 0 to 1."""
    ahead = pairs(x, rows, now).view(*rows.shape, -1)
    direction = now - past
    length = torch.linalg.vector_norm(ahead, dim=2) * torch.linalg.vector_norm(direction, dim=1)[:, None]
    return (ahead @ direction[:, :, None])[:, :, 0].div_(length.clamp_min_(_LEAST)).add_(1).clamp_(0, 1)


class _Picked(torch.autograd.Function):
    """The rows (n, C) at places ``here`` (n,) of x (m, C), with the gradient of a mean over rows (n, k).

    A row of x gets the gradient where it is picked; its probability (n, k) gets that of the weighted mean.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, rows: Tensor, here: Tensor, probability: Tensor) -> Tensor:
        ctx.save_for_backward(x, rows, here)
        return x.index_select(0, here)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, Tensor]:
        x, rows, here = ctx.saved_tensors
        around = x.index_select(0, rows.flatten()).view(*rows.shape, -1)
        of_probability = (around @ grad[:, :, None])[:, :, 0]
        return torch.zeros_like(x).index_add_(0, here, grad), None, None, of_probability
