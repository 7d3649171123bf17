"""PointNet++ as yanx27/Pointnet_Pointnet2_pytorch defines it, in plain PyTorch with that project's names.

What ours is compared with. Where that project begins farthest points with a random point, this begins with the first,
and of fewer points than are asked for it keeps all. Logits are given without the log-softmax.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.published.sampling import at, farthest_points, squared_distances


def ball_query(radius: float, count: int, xyz: Tensor, centres: Tensor) -> Tensor:
    """Places (B, M, count) of the first points within a radius of the centres."""
    n = xyz.shape[1]
    index = torch.arange(n).expand(len(xyz), centres.shape[1], n).clone()
    index[squared_distances(centres, xyz) > radius**2] = n
    index = index.sort(-1)[0][:, :, :count]
    first = index[:, :, :1].expand_as(index)
    return torch.where(index == n, first, index)


def layers(widths: Sequence[int]) -> tuple[nn.ModuleList, nn.ModuleList]:
    """Convolutions of size one, and their batch norms."""
    convolutions = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in pairwise(widths))
    return convolutions, nn.ModuleList(nn.BatchNorm2d(width) for width in widths[1:])


def applied(x: Tensor, convolutions: nn.ModuleList, norms: nn.ModuleList) -> Tensor:
    """The layers with ReLU after each; x (B, C, k, M)."""
    for convolution, norm in zip(convolutions, norms, strict=True):
        x = F.relu(norm(convolution(x)))
    return x


class SetAbstraction(nn.Module):
    def __init__(self, npoint: int, radius: float, nsample: int, widths: Sequence[int], group_all: bool) -> None:
        super().__init__()
        self.npoint, self.radius, self.nsample, self.group_all = npoint, radius, nsample, group_all
        self.mlp_convs, self.mlp_bns = layers(widths)

    def forward(self, xyz: Tensor, features: Tensor | None) -> tuple[Tensor, Tensor]:
        """xyz (B, N, 3) and features (B, N, C) -> centres (B, M, 3) and their features (B, M, O)."""
        if self.group_all:
            assert features is not None
            centres, grouped = torch.zeros_like(xyz[:, :1]), torch.cat([xyz, features], -1)[:, None]
        else:
            centres = at(xyz, farthest_points(xyz, self.npoint))
            index = ball_query(self.radius, self.nsample, xyz, centres)
            grouped = at(xyz, index) - centres[:, :, None]
            if features is not None:
                grouped = torch.cat([grouped, at(features, index)], -1)
        return centres, applied(grouped.permute(0, 3, 2, 1), self.mlp_convs, self.mlp_bns).max(2)[0].mT


class SetAbstractionMsg(nn.Module):
    def __init__(
        self, npoint: int, radii: Sequence[float], nsamples: Sequence[int], features: int, widths: Sequence[list[int]]
    ) -> None:
        super().__init__()
        self.npoint, self.radii, self.nsamples = npoint, radii, nsamples
        pairs = [layers([features + 3, *each]) for each in widths]
        self.conv_blocks = nn.ModuleList(convolutions for convolutions, _ in pairs)
        self.bn_blocks = nn.ModuleList(norms for _, norms in pairs)

    def forward(self, xyz: Tensor, features: Tensor | None) -> tuple[Tensor, Tensor]:
        centres, found = at(xyz, farthest_points(xyz, self.npoint)), []
        for radius, nsample, *block in zip(self.radii, self.nsamples, self.conv_blocks, self.bn_blocks, strict=True):
            index = ball_query(radius, nsample, xyz, centres)
            grouped = at(xyz, index) - centres[:, :, None]
            if features is not None:
                grouped = torch.cat([at(features, index), grouped], -1)
            found.append(applied(grouped.permute(0, 3, 2, 1), *block).max(2)[0])
        return centres, torch.cat(found, 1).mT


class PublishedClassifier(nn.Module):
    """Clouds (B, 3, N) -> logits (B, K), given the levels ``sa1``, ``sa2`` and ``sa3``."""

    def __init__(self, classes: int, dropout: float) -> None:
        super().__init__()
        self.sa1: nn.Module
        self.sa2: nn.Module
        self.sa3: nn.Module
        self.fc1, self.bn1, self.drop1 = nn.Linear(1024, 512), nn.BatchNorm1d(512), nn.Dropout(dropout)
        self.fc2, self.bn2, self.drop2 = nn.Linear(512, 256), nn.BatchNorm1d(256), nn.Dropout(dropout)
        self.fc3 = nn.Linear(256, classes)

    def forward(self, x: Tensor) -> Tensor:
        centres, features = self.sa1(x.mT, None)
        centres, features = self.sa2(centres, features)
        _, features = self.sa3(centres, features)
        x = self.drop1(F.relu(self.bn1(self.fc1(features.flatten(1)))))
        x = self.drop2(F.relu(self.bn2(self.fc2(x))))
        return self.fc3(x)


class PublishedPointNet2SSG(PublishedClassifier):
    def __init__(self, classes: int, dropout: float = 0.4) -> None:
        super().__init__(classes, dropout)
        self.sa1 = SetAbstraction(512, 0.2, 32, [3, 64, 64, 128], False)
        self.sa2 = SetAbstraction(128, 0.4, 64, [131, 128, 128, 256], False)
        self.sa3 = SetAbstraction(0, 0, 0, [259, 256, 512, 1024], True)


class PublishedPointNet2MSG(PublishedClassifier):
    def __init__(self, classes: int, dropout: float = 0.4) -> None:
        super().__init__(classes, dropout)
        widths = [32, 32, 64], [64, 64, 128], [64, 96, 128]
        self.sa1 = SetAbstractionMsg(512, [0.1, 0.2, 0.4], [16, 32, 128], 0, widths)
        widths = [64, 64, 128], [128, 128, 256], [128, 128, 256]
        self.sa2 = SetAbstractionMsg(128, [0.2, 0.4, 0.8], [32, 64, 128], 320, widths)
        self.sa3 = SetAbstraction(0, 0, 0, [643, 256, 512, 1024], True)
