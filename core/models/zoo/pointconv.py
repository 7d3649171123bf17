"""PointConv for classification (Wu et al. 2019): convolutions whose weights are a network of where a neighbour lies.

Layer sizes follow the authors' DylanWusee/pointconv_pytorch, of coordinates alone: 512 and 128 centres with 32 and 64
neighbours, then all points at once; weights of 16 channels, divided by how densely points lie, through a network of
its own; classifier 512-256-K with dropout 0.7. Centres are farthest points, the first of which is the first point of
the cloud. The latent is the 1024 features that the classifier reads.
"""

import torch
from torch import Tensor, nn

from core.models.fast.density import kernel_density
from core.models.fast.groups import linear_bn_act_of_pairs, pairs
from core.models.fast.layers import LinearBN, ThreeLayers, classifier
from core.models.fast.sampling import farthest, nearest, rows_of, taken
from core.models.port import Output
from core.options import Options, option

CHANNELS = 16
"""Of the weights of a neighbour."""


class PointConvOptions(Options):
    """Architecture of a PointConv."""

    dropout: float = option(0.7, "Share of the classifier's features dropped in training.", low=0.0, high=0.9)


class Convolution(nn.Module):
    """Features of groups of neighbours: the sum over them of layers' outputs times weights, and a layer on that.

    Parameters
    ----------
    features : of each point, besides its coordinates.
    widths : outputs of the layers.
    bandwidth : of the kernel of the density.
    """

    def __init__(self, features: int, widths: tuple[int, int, int], bandwidth: float) -> None:
        super().__init__()
        self.bandwidth = bandwidth
        self.layers = ThreeLayers(3 + features, widths)
        self.weights = ThreeLayers(3, (8, 8, CHANNELS))
        self.density = ThreeLayers(1, (16, 8, 1))
        self.last = LinearBN(CHANNELS * widths[-1], widths[-1])

    def sparsity(self, points: Tensor) -> Tensor:
        """One over the density at each of points (B, N, 3), (B, N)."""
        return kernel_density(points, self.bandwidth).reciprocal()

    def convolved(self, x: Tensor, relative: Tensor, sparsity: Tensor) -> Tensor:
        """First layer's outputs (n * k, C), where neighbours lie (n * k, 3), and their sparsity (n, k) -> (n, O)."""
        x = self.layers.third(self.layers.second(x)).unflatten(0, sparsity.shape)
        scale = self.density((sparsity / sparsity.max(1, keepdim=True).values).view(-1, 1))
        weights = (self.weights(relative) * scale).unflatten(0, sparsity.shape)
        return self.last((weights.mT @ x).flatten(1))


class NeighbourConvolution(Convolution):
    """A convolution about each centre."""

    def __init__(
        self, centres: int, neighbours: int, features: int, widths: tuple[int, int, int], bandwidth: float
    ) -> None:
        super().__init__(features, widths, bandwidth)
        self.centres, self.neighbours = centres, neighbours

    def forward(self, points: Tensor, x: Tensor, centres: Tensor) -> Tensor:
        """Points (B, N, 3), x (B * N, 3 + C) their coordinates and features, centres (B, M, 3) -> (B, M, O)."""
        rows, own = rows_of(nearest(points, self.neighbours, centres), points.shape[1]), centres.flatten(0, 1)
        first = self.layers.first
        y = linear_bn_act_of_pairs(x, rows, own, first.linear, first.norm)
        relative = pairs(points.flatten(0, 1), rows, own)
        sparsity = self.sparsity(points).flatten().index_select(0, rows.flatten()).view_as(rows)
        return self.convolved(y, relative, sparsity).unflatten(0, centres.shape[:2])


class WholeConvolution(Convolution):
    """A convolution about the centroid of all points."""

    def forward(self, points: Tensor, features: Tensor) -> Tensor:
        """Points (B, M, 3) and features (B, M, C) -> (B, O)."""
        relative = points - points.mean(1, keepdim=True)
        x = self.layers.first(torch.cat((relative, features), 2).flatten(0, 1))
        return self.convolved(x, relative.flatten(0, 1), self.sparsity(points))


class PointConv(nn.Module):
    """PointConv classifier: clouds (B, N, 3) in the unit sphere -> ``Output`` of logits (B, K) and latent (B, 1024).

    Any number of points is accepted; where there are fewer points than centres or neighbours, all are taken.
    """

    def __init__(self, classes: int, options: PointConvOptions | None = None) -> None:
        super().__init__()
        self.options = options or PointConvOptions()
        self.first = NeighbourConvolution(512, 32, 0, (64, 64, 128), 0.1)
        self.second = NeighbourConvolution(128, 64, 128, (128, 128, 256), 0.2)
        self.whole = WholeConvolution(256, (256, 512, 1024), 0.4)
        self.classifier = classifier(1024, classes, self.options.dropout)

    def forward(self, clouds: Tensor) -> Output:
        with torch.autocast("cpu", enabled=False):  # the layers are faster in the weights' own precision there
            # of points in this order the farthest ones are the first ones, so that one search does for both levels
            points = taken(clouds, farthest(clouds, min(self.first.centres, clouds.shape[1])))
            features = self.first(clouds, clouds.flatten(0, 1), points)
            centres = points[:, : self.second.centres]
            features = self.second(points, torch.cat((points, features), 2).flatten(0, 1), centres)
            latent = self.whole(centres, features)
            return Output(self.classifier(latent), latent)
