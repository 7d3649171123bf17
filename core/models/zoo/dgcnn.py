"""DGCNN for classification (Wang et al. 2019): four EdgeConvs, each on the graph of neighbours among its own inputs.

Layer sizes follow the authors' code and antao97/dgcnn.pytorch: EdgeConv 64-64-128-256 with 20 neighbours, all four
joined and taken to 1024 channels, maximum and mean over points, classifier 512-256-K with dropout 0.5. The latent is
what the classifier reads, the 1024 maxima and the 1024 means.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from core.models.fast.edges import edge_conv
from core.models.fast.layers import classifier
from core.models.fast.pooled import linear_bn_pool
from core.models.fast.sampling import nearest
from core.models.port import Output
from core.options import Options, option

SLOPE = 0.2
"""Of every leaky ReLU, for negative values."""


class DGCNNOptions(Options):
    """Architecture of a DGCNN."""

    neighbours: int = option(20, "Nearest points that each point is joined with, itself among them.", low=1, high=128)
    dropout: float = option(0.5, "Share of the classifier's features dropped in training.", low=0.0, high=0.9)


class EdgeConv(nn.Module):
    """(B, N, in) -> (B, N, out): maximum over each point's neighbours of a layer on the edges to them."""

    def __init__(self, inputs: int, outputs: int, neighbours: int) -> None:
        super().__init__()
        self.neighbours = neighbours
        self.linear = nn.Linear(2 * inputs, outputs, bias=False)
        self.norm = nn.BatchNorm1d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return edge_conv(x, nearest(x, self.neighbours), self.linear.weight, self.norm, SLOPE)


class PooledLayer(nn.Module):
    """Linear + batch norm + leaky ReLU, then maximum and mean over points: (B, N, in) -> (B, 2 out)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=False)
        self.norm = nn.BatchNorm1d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return linear_bn_pool(x, self.linear, self.norm, SLOPE)


class DGCNN(nn.Module):
    """DGCNN classifier: clouds (B, N, 3) in the unit sphere -> ``Output`` of logits (B, K) and latent (B, 2048).

    Any number of points is accepted; a cloud of fewer than ``neighbours`` points is a complete graph.
    """

    def __init__(self, classes: int, options: DGCNNOptions | None = None) -> None:
        super().__init__()
        self.options = options or DGCNNOptions()
        widths, k = (3, 64, 64, 128, 256), self.options.neighbours
        self.edges = nn.ModuleList(EdgeConv(*pair, k) for pair in pairwise(widths))
        self.pool = PooledLayer(sum(widths[1:]), 1024)
        self.classifier = classifier(2048, classes, self.options.dropout, SLOPE, first_bias=False)

    def forward(self, clouds: Tensor) -> Output:
        x, found = clouds, []
        for edge in self.edges:
            x = edge(x)
            found.append(x)
        latent = self.pool(torch.cat(found, 2))
        return Output(self.classifier(latent), latent)
