"""PointConv as DylanWusee/pointconv_pytorch defines it, of coordinates alone, in plain PyTorch with its names.

What ours is compared with; farthest points and logits as in ``tests.published.pointnet2``.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.published.pointnet2 import PublishedClassifier, applied, layers
from tests.published.sampling import at, farthest_points, nearest_points, squared_distances


def density(xyz: Tensor, bandwidth: float) -> Tensor:
    """(B, N, 3) -> (B, N)."""
    gaussian = torch.exp(-squared_distances(xyz, xyz) / (2.0 * bandwidth * bandwidth)) / (2.5 * bandwidth)
    return gaussian.mean(-1)


class Network(nn.Module):
    """``weightnet`` and ``densitynet``, whose last layer the project gives a sigmoid in a branch never reached."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.mlp_convs, self.mlp_bns = layers(widths)

    def forward(self, x: Tensor) -> Tensor:
        return applied(x, self.mlp_convs, self.mlp_bns)


class DensitySetAbstraction(nn.Module):
    def __init__(self, npoint: int, nsample: int, widths: Sequence[int], bandwidth: float, group_all: bool) -> None:
        super().__init__()
        self.npoint, self.nsample, self.bandwidth, self.group_all = npoint, nsample, bandwidth, group_all
        self.mlp_convs, self.mlp_bns = layers(widths)
        self.weightnet, self.densitynet = Network([3, 8, 8, 16]), Network([1, 16, 8, 1])
        self.linear, self.bn_linear = nn.Linear(16 * widths[-1], widths[-1]), nn.BatchNorm1d(widths[-1])

    def forward(self, xyz: Tensor, features: Tensor | None) -> tuple[Tensor, Tensor]:
        """xyz (B, N, 3) and features (B, N, C) -> centres (B, M, 3) and their features (B, M, O)."""
        inverse = 1.0 / density(xyz, self.bandwidth)[:, :, None]
        if self.group_all:
            centres = xyz.mean(1, keepdim=True)
            index = torch.arange(xyz.shape[1]).expand(len(xyz), 1, -1)
        else:
            centres = at(xyz, farthest_points(xyz, self.npoint))
            k = min(self.nsample, xyz.shape[1])
            index = nearest_points(k, xyz, centres)
        relative, inverse = at(xyz, index) - centres[:, :, None], at(inverse, index)
        seen = relative if features is None else torch.cat([relative, at(features, index)], -1)
        seen = applied(seen.permute(0, 3, 2, 1), self.mlp_convs, self.mlp_bns)
        scale = self.densitynet((inverse / inverse.max(2, keepdim=True)[0]).permute(0, 3, 2, 1))
        weights = self.weightnet(relative.permute(0, 3, 2, 1))
        summed = (seen * scale).permute(0, 3, 1, 2) @ weights.permute(0, 3, 2, 1)
        return centres, F.relu(self.bn_linear(self.linear(summed.flatten(2)).mT)).mT


class PublishedPointConv(PublishedClassifier):
    def __init__(self, classes: int, dropout: float = 0.7) -> None:
        super().__init__(classes, dropout)
        self.sa1 = DensitySetAbstraction(512, 32, [3, 64, 64, 128], 0.1, False)
        self.sa2 = DensitySetAbstraction(128, 64, [131, 128, 128, 256], 0.2, False)
        self.sa3 = DensitySetAbstraction(1, 0, [259, 256, 512, 1024], 0.4, True)
