"""PointMLP for classification (Ma et al. 2022), and its small variant Elite: residual layers on scaled neighbourhoods.

Layer sizes follow the authors' code, ma-xu/pointMLP-pytorch. Each of four stages keeps the half of its points that are
farthest from each other; the differences to a kept point's 24 neighbours are divided by the standard deviation of all
those of the cloud, and given a slope and an offset that are learnt; residual layers before and after the maximum over
neighbours follow. The latent, which the classifier 512-256-K with dropout 0.5 reads, is the maximum over the points of
the last stage. Farthest points begin with the first point of the cloud.
"""

from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.fast.groups import linear_bn_act, max_of_groups, pairs_bn_relu
from core.models.fast.layers import LinearBN, classifier
from core.models.fast.sampling import farthest_first, nearest, rows_of, taken
from core.models.fast.spread import spread
from core.models.port import Output
from core.options import Options, option


class PointMLPOptions(Options):
    """Architecture of a PointMLP."""

    neighbours: int = option(24, "Nearest points that a kept point is joined with, itself among them.", low=1, high=128)
    dropout: float = option(0.5, "Share of the classifier's features dropped in training.", low=0.0, high=0.9)


class Sizes(NamedTuple):
    """What the variants differ in."""

    first: int
    """Channels of the points before the first stage."""
    growth: tuple[int, ...]
    """Of the channels, by stage."""
    blocks: tuple[int, ...]
    """Residual blocks before the maximum, and as many after it, by stage."""
    inner: float
    """Channels inside a residual block, for each outside."""


class Residual(nn.Module):
    """x + two layers of x, (n, C) -> (n, C); ReLU, which follows, is left to the caller."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.first = LinearBN(channels, inner, bias=False)
        self.linear = nn.Linear(inner, channels, bias=False)
        self.norm = nn.BatchNorm1d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + linear_bn_act(self.first(x), self.linear, self.norm, slope=1.0)


class Stage(nn.Module):
    """Features of the points (B, N, in) -> of the first M, which are kept, with their neighbours' (B, M, out)."""

    def __init__(self, inputs: int, outputs: int, blocks: int, inner: int) -> None:
        super().__init__()
        self.slope, self.offset = nn.Parameter(torch.ones(inputs)), nn.Parameter(torch.zeros(inputs))
        self.linear = nn.Linear(2 * inputs, outputs, bias=False)
        self.norm = nn.BatchNorm1d(outputs)
        self.before = nn.ModuleList(Residual(outputs, inner) for _ in range(blocks))
        self.after = nn.ModuleList(Residual(outputs, inner) for _ in range(blocks))

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        """``index`` (B, M, k) are the neighbours of the kept points."""
        scale = 1 / (spread(x, index) + 1e-5)
        # the layer on [slope * scale * (x_j - x_i) + offset, x_i], for each point and not each pair
        difference, own = self.linear.weight.chunk(2, 1)
        near = F.linear(x, difference * self.slope) * scale[:, None, None]
        kept = slice(index.shape[1])
        at = near[:, kept] - F.linear(x[:, kept], own, difference @ self.offset)
        rows = rows_of(index, x.shape[1])
        y = pairs_bn_relu(near.flatten(0, 1), rows, at.flatten(0, 1), self.norm)
        *others, last = self.before
        for block in others:
            y = F.relu(block(y), inplace=True)
        y = F.relu(max_of_groups(last(y).unflatten(0, rows.shape)))
        for block in self.after:
            y = F.relu(block(y), inplace=True)
        return y.unflatten(0, index.shape[:2])


class PointMLP(nn.Module):
    """PointMLP classifier: clouds (B, N, 3) in the unit sphere -> ``Output`` of logits (B, K) and latent (B, D).

    Any number of points is accepted: a stage keeps at least one, and joins a point with all of few neighbours.
    """

    sizes: ClassVar = Sizes(64, (2, 2, 2, 2), (2, 2, 2, 2), 1.0)

    def __init__(self, classes: int, options: PointMLPOptions | None = None) -> None:
        super().__init__()
        self.options = options or PointMLPOptions()
        channels = self.sizes.first
        self.embedding = LinearBN(3, channels, bias=False)
        self.stages = nn.ModuleList()
        for growth, blocks in zip(self.sizes.growth, self.sizes.blocks, strict=True):
            outputs = channels * growth
            self.stages.append(Stage(channels, outputs, blocks, int(outputs * self.sizes.inner)))
            channels = outputs
        self.classifier = classifier(channels, classes, self.options.dropout)

    def forward(self, clouds: Tensor) -> Output:
        with torch.autocast("cpu", enabled=False):  # products of half precision are slower on most CPUs
            latent = self._latent(clouds)
            return Output(self.classifier(latent), latent)

    def _latent(self, clouds: Tensor) -> Tensor:
        half = max(1, clouds.shape[1] // 2)
        clouds = taken(clouds, farthest_first(clouds, half))  # then each stage keeps the first, which are the farthest
        x = self.embedding(clouds)
        for stage in self.stages:
            kept = clouds[:, : max(1, clouds.shape[1] // 2)]
            x = stage(x, nearest(clouds, self.options.neighbours, kept))
            clouds = kept
        return max_of_groups(x)


class PointMLPElite(PointMLP):
    """PointMLP with a twentieth of the weights."""

    sizes = Sizes(32, (2, 2, 2, 1), (1, 1, 2, 1), 0.25)
