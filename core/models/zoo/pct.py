"""PCT, the point cloud transformer for classification (Guo et al. 2021): neighbour embedding, then offset attention.

Layer sizes follow Strawberry-Eat-Mango/PCT_Pytorch: two layers of 64 channels for each point; 512 farthest points, each
the maximum over its 32 neighbours of two layers of 128 channels, and 256 of those with 256 channels; two layers and
four offset attentions of 256 channels, all five joined and taken to 1024; classifier 512-256-K with dropout 0.5. The
latent is what the classifier reads, the maximum over points. Farthest points begin with the first point of the cloud.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.fast.groups import linear_bn_act, linear_bn_max_of_groups, max_over_pairs
from core.models.fast.layers import LinearBN, classifier
from core.models.fast.sampling import farthest_first, nearest, rows_of, taken
from core.models.port import Output
from core.options import Options, option

SLOPE = 0.2
"""Of the leaky ReLUs from the global descriptor on, for negative values."""
LEVELS = (512, 256)
"""Farthest points that each neighbour embedding keeps."""


class PCTOptions(Options):
    """Architecture of a PCT."""

    neighbours: int = option(32, "Nearest points that a kept point is joined with, itself among them.", low=1, high=128)
    dropout: float = option(0.5, "Share of the classifier's features dropped in training.", low=0.0, high=0.9)


class NeighbourEmbedding(nn.Module):
    """Maximum over each kept point's neighbours x_j of two layers on [x_j - x_i, x_i]."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Linear(2 * inputs, outputs, bias=False)
        self.first_norm = nn.BatchNorm1d(outputs)
        self.second = nn.Linear(outputs, outputs, bias=False)
        self.second_norm = nn.BatchNorm1d(outputs)

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        """Features (B, N, in) and the neighbours (B, M, k) of the first M points, which are kept -> (B, M, out)."""
        difference, own = self.first.weight.chunk(2, 1)
        near = F.linear(x, difference).flatten(0, 1)
        at = F.linear(x[:, : index.shape[1]], difference - own).flatten(0, 1)
        y = max_over_pairs(near, rows_of(index, x.shape[1]), at, self.first_norm, self.second, self.second_norm)
        return y.unflatten(0, index.shape[:2])


class OffsetAttention(nn.Module):
    """x + layer(x - attention(x)), (B, M, C) -> (B, M, C); queries and keys are one and the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.key = nn.Linear(channels, channels // 4, bias=False)
        self.value = nn.Linear(channels, channels)
        self.linear = nn.Linear(channels, channels)
        self.norm = nn.BatchNorm1d(channels)

    def forward(self, x: Tensor) -> Tensor:
        key = self.key(x)
        attention = torch.softmax(key @ key.mT, 2)
        attention = attention / (1e-9 + attention.sum(1, keepdim=True))
        offset = x - attention.mT @ self.value(x)
        return x + linear_bn_act(offset.flatten(0, 1), self.linear, self.norm).view_as(x)


class PCT(nn.Module):
    """PCT classifier: clouds (B, N, 3) in the unit sphere -> ``Output`` of logits (B, K) and latent (B, 1024).

    Any number of points is accepted: a level keeps all of fewer points, and joins a point with all of few neighbours.
    """

    def __init__(self, classes: int, options: PCTOptions | None = None) -> None:
        super().__init__()
        self.options = options or PCTOptions()
        self.points = nn.Sequential(LinearBN(3, 64, bias=False), LinearBN(64, 64, bias=False))
        self.embeddings = nn.ModuleList((NeighbourEmbedding(64, 128), NeighbourEmbedding(128, 256)))
        self.layers = nn.Sequential(LinearBN(256, 256, bias=False), LinearBN(256, 256, bias=False))
        self.attentions = nn.ModuleList(OffsetAttention(256) for _ in range(4))
        self.pool = LinearBN(5 * 256, 1024, bias=False)
        self.classifier = classifier(1024, classes, self.options.dropout, SLOPE, first_bias=False)

    def forward(self, clouds: Tensor) -> Output:
        with torch.autocast("cpu", enabled=False):  # products of half precision are slower on most CPUs
            latent = self._latent(clouds)
            return Output(self.classifier(latent), latent)

    def _latent(self, clouds: Tensor) -> Tensor:
        # the order matters only to a level that does not keep all; each keeps the first, which are the farthest
        clouds = taken(clouds, farthest_first(clouds, max((m for m in LEVELS if m < clouds.shape[1]), default=0)))
        x = self.points(clouds)
        for embedding, count in zip(self.embeddings, LEVELS, strict=True):
            kept = clouds[:, :count]
            x = embedding(x, nearest(clouds, self.options.neighbours, kept))
            clouds = kept
        found = [self.layers(x)]
        for attention in self.attentions:
            found.append(attention(found[-1]))
        joined = torch.cat((*found[1:], x), 2)
        return F.leaky_relu(linear_bn_max_of_groups(joined, self.pool.linear, self.pool.norm), SLOPE)
