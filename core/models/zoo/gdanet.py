"""GDANet for classification (Xu et al. 2021): a local operator, then attention to sharp and to gentle points, twice.

Layer sizes follow the authors' code, mutianxu/GDANet: three local operators, each the maximum over a point's 30
neighbours of two layers, of 64, 64 and 128 channels; after the first two the geometry-disentangle module chooses the
256 points that differ most from their neighbours and the 256 that differ least, to which every point attends; all
three joined and taken to 512, maximum and mean over points, classifier 512-256-K with dropout 0.4. The latent is what
the classifier reads, the 512 maxima and the 512 means.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.fast.groups import linear_bn_act, max_over_pairs
from core.models.fast.layers import LinearBN, classifier
from core.models.fast.pooled import linear_bn_pool
from core.models.fast.sampling import nearest, rows_of, taken
from core.models.port import Output
from core.options import Options, option

CHOSEN = 256
"""Sharp points, and as many gentle ones; in a cloud of fewer than 512 points, which would be both, half of them."""
COMPARED = 64
"""Nearest points, itself among them, that a point is compared with to tell how sharp it is."""
REACH = 0.2
"""Distance in features beyond which a point has no weight in that."""
WIDTH = 2.0
"""Of the weights: a point at distance d has exp(-(d / WIDTH)**2)."""


class GDANetOptions(Options):
    """Architecture of a GDANet."""

    neighbours: int = option(30, "Nearest points that each point is joined with, itself among them.", low=1, high=128)
    dropout: float = option(0.4, "Share of the classifier's features dropped in training.", low=0.0, high=0.9)


class LocalOperator(nn.Module):
    """Maximum over each point's neighbours x_j of two layers on [x_j - x_i, x_j]: (B, N, in) -> (B, N, out)."""

    def __init__(self, inputs: int, outputs: int, neighbours: int) -> None:
        super().__init__()
        self.neighbours = neighbours
        self.first = nn.Linear(2 * inputs, outputs)
        self.first_norm = nn.BatchNorm1d(outputs)
        self.second = nn.Linear(outputs, outputs)
        self.second_norm = nn.BatchNorm1d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        difference, neighbour = self.first.weight.chunk(2, 1)
        near = F.linear(x, difference + neighbour, self.first.bias).flatten(0, 1)
        own = F.linear(x, difference).flatten(0, 1)
        rows = rows_of(nearest(x, self.neighbours), x.shape[1])
        return max_over_pairs(near, rows, own, self.first_norm, self.second, self.second_norm).unflatten(0, x.shape[:2])


@torch.no_grad()
def sharp_and_gentle(x: Tensor) -> tuple[Tensor, Tensor]:
    """Places (B, M) of the points that differ most from the mean of their neighbours, and of those that differ least.

    The distance is that in features x (B, N, C), and it weights the mean. As in the authors' code the weights are those
    of a mean over all points within ``REACH``, of which only the nearest ``COMPARED`` are added up, without itself.
    """
    chosen = min(CHOSEN, -(-x.shape[1] // 2))
    with torch.autocast(x.device.type, enabled=False):  # near points differ in the last digits
        sharpness = torch.stack([_sharpness(cloud) for cloud in x])
    return sharpness.topk(chosen, 1).indices, sharpness.topk(chosen, 1, largest=False).indices


def _sharpness(x: Tensor) -> Tensor:
    """Squared distance (N,) of each point x (N, C) from the weighted sum of its neighbours."""
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    length = (x * x).sum(1)
    squared = torch.addmm(length, x, x.t(), alpha=-2).add_(length[:, None])
    index = squared.topk(min(COMPARED, len(x)), 1, largest=False).indices
    within = squared.abs().sqrt_() < REACH
    weights = torch.exp(squared.div_(-WIDTH * WIDTH)).mul_(within)
    share = weights.gather(1, index) / weights.sum(1, keepdim=True)
    share[:, 0] = 0  # of the nearest, the point itself
    return (x - F.embedding_bag(index, x, mode="sum", per_sample_weights=share)).square_().sum(1)


class Attention(nn.Module):
    """x + layer of the mean over chosen points of (theta(x) . phi(chosen)) g(chosen), (B, N, C) -> (B, N, C).

    There is no softmax, so that the products with phi and g come first and no matrix of pairs of points is needed. At
    first the layer gives zero.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.theta, self.phi, self.g = (nn.Linear(channels, channels // 2) for _ in range(3))
        self.linear = nn.Linear(channels // 2, channels)
        self.norm = nn.BatchNorm1d(channels)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor, chosen: Tensor) -> Tensor:
        product = self.phi(chosen).mT @ self.g(chosen) / chosen.shape[1]
        attended = self.theta(x) @ product
        return x + linear_bn_act(attended.flatten(0, 1), self.linear, self.norm, slope=1.0).view_as(x)


class Disentangled(nn.Module):
    """Every point's attention to the sharp and to the gentle points, joined by a layer: (B, N, C) -> (B, N, C)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.sharp, self.gentle = Attention(channels), Attention(channels)
        self.join = LinearBN(2 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        sharp, gentle = sharp_and_gentle(x)
        return self.join(torch.cat((self.sharp(x, taken(x, sharp)), self.gentle(x, taken(x, gentle))), 2))


class GDANet(nn.Module):
    """GDANet classifier: clouds (B, N, 3) in the unit sphere -> ``Output`` of logits (B, K) and latent (B, 1024).

    Any number of points is accepted; a point of a cloud of fewer than ``neighbours`` is joined with all of them.
    """

    def __init__(self, classes: int, options: GDANetOptions | None = None) -> None:
        super().__init__()
        self.options = options or GDANetOptions()
        sizes = ((3, 64), (67, 64), (131, 128))
        self.locals = nn.ModuleList(LocalOperator(*size, self.options.neighbours) for size in sizes)
        self.after = nn.ModuleList((Disentangled(64), Disentangled(64), LinearBN(128, 128)))
        self.pool = LinearBN(256, 512)
        self.classifier = classifier(1024, classes, self.options.dropout)

    def forward(self, clouds: Tensor) -> Output:
        with torch.autocast("cpu", enabled=False):  # products of half precision are slower on most CPUs
            latent = self._latent(clouds)
            return Output(self.classifier(latent), latent)

    def _latent(self, clouds: Tensor) -> Tensor:
        found = [clouds]
        for local, after in zip(self.locals, self.after, strict=True):
            found.append(after(local(torch.cat(found, 2))))
        return linear_bn_pool(torch.cat(found[1:], 2), self.pool.linear, self.pool.norm, 0.0)
