"""CurveNet for classification (Xiang et al. 2021): points gather features of neighbours, and of curves in the cloud.

Layer sizes follow the authors' code, tiangexiang/CurveNet: 32 channels for each point; eight blocks of 64, 64, 128,
128, 256, 256, 512 and 512, of which the first four, on at most 1024 points, also walk 100 curves of 5 points, and the
others see 256 and then 64 points; a layer of 1024, maximum and mean over points, classifier 512-K with dropout 0.5. The
latent is what the classifier reads, the 1024 maxima and the 1024 means. Points that are kept are farthest points, the
first of which is the first point of the cloud; each starts with the maximum over the points in a ball.
"""

from functools import cached_property
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.fast.edges import edge_conv, max_over_neighbours
from core.models.fast.groups import pairs
from core.models.fast.layers import LinearBN
from core.models.fast.pooled import linear_bn_pool
from core.models.fast.sampling import farthest, in_ball, nearest, rows_of, taken
from core.models.fast.statistics import count_batch, statistics
from core.models.fast.together import moments_of_all
from core.models.fast.walks import Walk
from core.models.port import Output
from core.options import Options, option

SLOPE = 0.2
"""Of every leaky ReLU before the last layer of points, for negative values."""
CURVES = 100
"""Walks on a cloud, each from another point; in a cloud of fewer points, one from each."""
LENGTH = 5
"""Points that a curve visits after its start."""


class CurveNetOptions(Options):
    """Architecture of a CurveNet."""

    neighbours: int = option(20, "Nearest points that each point is joined with, itself among them.", low=1, high=128)
    dropout: float = option(0.5, "Share of the classifier's features dropped in training.", low=0.0, high=0.9)


class Level(NamedTuple):
    """Blocks that see the same points."""

    most: int
    """Points that are kept at most."""
    radius: float
    """Of the ball about a kept point, where there are more."""
    blocks: tuple[tuple[int, int, int], ...]
    """Inputs, channels within and outputs of each."""
    walks: bool


LEVELS = (
    Level(1024, 0.05, ((32, 16, 64), (64, 16, 64), (64, 32, 128), (128, 32, 128)), walks=True),
    Level(256, 0.1, ((128, 64, 256), (256, 64, 256)), walks=False),
    Level(64, 0.2, ((256, 128, 512), (512, 128, 512)), walks=False),
)


class Neighbourhoods:
    """The points of clouds (B, N, 3), and which are near each other.

    Attributes
    ----------
    clouds : Tensor (B, N, 3)
    index : Tensor (B, N, k) of places in the cloud, the points x_j that each x_i is joined with: itself, and so on.
    points : Tensor (n, 3), those of all clouds.
    joined : Tensor (n, k), ``index`` as rows of ``points``.
    ahead : Tensor (n, k), rows of the nearest without itself, to which a walk may go on; a lone point has but itself.
    """

    def __init__(self, clouds: Tensor, neighbours: int) -> None:
        index = nearest(clouds, neighbours + 1, ordered=True)
        rows = rows_of(index, clouds.shape[1])
        self.clouds, self.points = clouds, clouds.flatten(0, 1)
        self.index, self.joined = index[:, :, :neighbours], rows[:, :neighbours].contiguous()
        self.ahead = rows[:, min(1, rows.shape[1] - 1) :].contiguous()

    @cached_property
    def moments(self) -> tuple[Tensor, Tensor, int]:
        """Mean (6,) and covariance (6, 6) of [x_i, x_j - x_i] over all points that are joined, and their number."""
        difference, centre = pairs(self.points, self.joined, self.points), self.points.mean(0)
        step = difference.mean(0)
        own, difference = self.points - centre, difference - step  # whose squares lose no digits
        mixed = own.t() @ difference.unflatten(0, self.joined.shape).mean(1) / len(own)
        above = torch.cat((own.t() @ own / len(own), mixed), 1)
        below = torch.cat((mixed.t(), difference.t() @ difference / len(difference)), 1)
        return moments_of_all(torch.cat((centre, step)), torch.cat((above, below)), self.joined.numel())


def of_own_and_difference(weight: Tensor) -> tuple[Tensor, Tensor]:
    """A linear layer's weight (C, 9) on [x_i, x_j, x_j - x_i] as one (C, 3) on x_i and one on x_j - x_i."""
    own, neighbour, difference = weight.chunk(3, 1)
    return own + neighbour, neighbour + difference


class FirstLayer(nn.Module):
    """Maximum over each point's neighbours of a layer on [x_i, x_j, x_j - x_i], (n, out)."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(9, outputs, bias=False)
        self.norm = nn.BatchNorm1d(outputs)

    def forward(self, near: Neighbourhoods) -> Tensor:
        own, difference = of_own_and_difference(self.linear.weight)
        weight = torch.cat((difference, own), 1)
        return edge_conv(near.clouds, near.index, weight, self.norm, SLOPE).flatten(0, 1)


class Aggregation(nn.Module):
    """Mean over each point's neighbours of two layers, the first on where they lie, to which f_j - f_i is added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.place = LinearBN(9, channels, bias=False, slope=1.0)
        self.layer = LinearBN(channels, channels, bias=False, slope=SLOPE)

    def forward(self, f: Tensor, near: Neighbourhoods) -> Tensor:
        """Features (n, C) -> (n, C)."""
        norm, (own, difference) = self.place.norm, of_own_and_difference(self.place.linear.weight)
        if norm.training:
            weight = torch.cat((own, difference), 1)
            mean, covariance, n = near.moments
            mean, variance = weight @ mean, ((weight @ covariance) * weight).sum(1).clamp_min(0)
            count_batch(norm, mean, variance, n)
        else:
            mean, variance = statistics(norm)
        factor = norm.weight * torch.rsqrt(variance + norm.eps)
        # for each point, not each pair, because both are linear in x_i, x_j, f_i and f_j
        offset = mean * factor - norm.bias
        at_neighbour = f + F.linear(near.points, difference * factor[:, None])
        at_point = f + F.linear(near.points, (difference - own) * factor[:, None], offset)
        y = F.leaky_relu(pairs(at_neighbour, near.joined, at_point), SLOPE, inplace=True)
        return self.layer(y).unflatten(0, near.joined.shape).mean(1)


class Curves(nn.Module):
    """Walks curves, and lets every point attend to them: features (n, C) -> (n, C)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.attraction = nn.Linear(channels, 1, bias=False)
        self.walk = Walk(channels, LENGTH)
        self.weight = nn.Linear(channels, 1, bias=False)
        self.curves = nn.Linear(channels, half, bias=False)
        self.steps = nn.Linear(channels, half, bias=False)
        self.query = nn.Linear(channels, half, bias=False)
        self.curve_value = nn.Linear(half, half, bias=False)
        self.step_value = nn.Linear(half, half, bias=False)
        self.join = LinearBN(channels, channels, bias=False, slope=1.0)

    def forward(self, f: Tensor, near: Neighbourhoods) -> Tensor:
        found = self._walked(f, near)
        weight = self.weight(found)
        curves = self.curves((found * weight.softmax(2)).sum(2))  # (B, M, C / 2), of the means over the steps of each
        steps = self.steps((found * weight.softmax(1)).sum(1))  # (B, L, C / 2), of those over the curves
        query = self.query(f).unflatten(0, near.clouds.shape[:2])
        of_curves = (query @ curves.mT).softmax(2) @ self.curve_value(curves)
        of_steps = (query @ steps.mT).softmax(2) @ self.step_value(steps)
        return F.leaky_relu(f + self.join(torch.cat((of_curves, of_steps), 2).flatten(0, 1)), SLOPE)

    def _walked(self, f: Tensor, near: Neighbourhoods) -> Tensor:
        """Curves (B, M, L, C) from the points of highest attraction."""
        attraction = self.attraction(f).sigmoid()
        shape = near.clouds.shape[:2]
        start = attraction.view(shape).topk(min(CURVES, shape[1]), 1, sorted=False).indices
        rows = rows_of(start[:, :, None], shape[1]).flatten()
        return self.walk(f * attraction, near.ahead, rows).unflatten(0, start.shape)


class Block(nn.Module):
    """Features (n, in) -> (n, out): fewer channels, curves where there are any, neighbours, and more channels again."""

    def __init__(self, inputs: int, inner: int, outputs: int, walks: bool) -> None:
        super().__init__()
        self.first = LinearBN(inputs, inner, bias=False, slope=SLOPE)
        self.curves = Curves(inner) if walks else None
        self.aggregation = Aggregation(inner)
        self.last = LinearBN(inner, outputs, bias=False, slope=1.0)
        same = inputs == outputs
        self.shortcut = nn.Identity() if same else LinearBN(inputs, outputs, bias=False, slope=1.0)

    def forward(self, x: Tensor, near: Neighbourhoods) -> Tensor:
        y = self.first(x)
        if self.curves is not None:
            y = self.curves(y, near)
        return F.leaky_relu(self.last(self.aggregation(y, near)) + self.shortcut(x), SLOPE)


class LevelBlocks(nn.Module):
    """The blocks of a level, one after the other: features (n, in) -> (n, out)."""

    def __init__(self, level: Level) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(*size, level.walks) for size in level.blocks)

    def forward(self, x: Tensor, near: Neighbourhoods) -> Tensor:
        for block in self.blocks:
            x = block(x, near)
        return x


class CurveNet(nn.Module):
    """CurveNet classifier: clouds (B, N, 3) in the unit sphere -> ``Output`` of logits (B, K) and latent (B, 2048).

    Any number of points is accepted: a level keeps all of fewer points, and joins a point with all of few neighbours.
    """

    def __init__(self, classes: int, options: CurveNetOptions | None = None) -> None:
        super().__init__()
        self.options = options or CurveNetOptions()
        self.first = FirstLayer(LEVELS[0].blocks[0][0])
        self.levels = nn.ModuleList(LevelBlocks(level) for level in LEVELS)
        self.last = LinearBN(512, 1024, bias=False)
        self.classifier = nn.Sequential(
            nn.Linear(2048, 512, bias=False), nn.BatchNorm1d(512), nn.ReLU(), nn.Dropout(self.options.dropout),
            nn.Linear(512, classes),
        )  # fmt: skip

    def forward(self, clouds: Tensor) -> Output:
        with torch.autocast(clouds.device.type, enabled=False):  # in half precision curves would go other ways
            latent = self._latent(clouds)
            return Output(self.classifier(latent), latent)

    def _latent(self, clouds: Tensor) -> Tensor:
        # of points in this order the farthest ones are the first ones, so that one search does for all levels
        most = max((level.most for level in LEVELS if level.most < clouds.shape[1]), default=0)
        ordered = taken(clouds, farthest(clouds, most))
        near = Neighbourhoods(clouds, self.options.neighbours)
        x = self.first(near)
        for level, blocks in zip(LEVELS, self.levels, strict=True):
            if near.clouds.shape[1] > level.most:
                kept = ordered[:, : level.most]
                index = in_ball(near.clouds, kept, level.radius, self.options.neighbours)
                x = max_over_neighbours(x, rows_of(index, near.clouds.shape[1]))
                near = Neighbourhoods(kept, self.options.neighbours)
            x = blocks(x, near)
        x = x.unflatten(0, near.clouds.shape[:2])
        return linear_bn_pool(x, self.last.linear, self.last.norm, self.last.slope)
