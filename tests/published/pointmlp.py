"""PointMLP as ma-xu/pointMLP-pytorch defines it, in plain PyTorch with that project's names.

Every stage halves the points of the clouds that it gets, as that project's do for clouds of the number that it is told.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.published.sampling import at, farthest_points, nearest_points


class LocalGrouper(nn.Module):
    """Points (B, N, 3) and features (B, N, C) -> half of the points and the features of their groups (B, M, k, 2C)."""

    def __init__(self, channels: int, k: int) -> None:
        super().__init__()
        self.k = k
        self.affine_alpha = nn.Parameter(torch.ones(1, 1, 1, channels))
        self.affine_beta = nn.Parameter(torch.zeros(1, 1, 1, channels))

    def forward(self, xyz: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        places = farthest_points(xyz, max(1, xyz.shape[1] // 2))
        chosen, own = at(xyz, places), at(points, places)[:, :, None]
        grouped = at(points, nearest_points(self.k, xyz, chosen)) - own
        grouped = grouped / (grouped.flatten(1).std(1)[:, None, None, None] + 1e-5)
        grouped = self.affine_alpha * grouped + self.affine_beta
        return chosen, torch.cat([grouped, own.expand_as(grouped)], dim=-1)


class ConvBNReLU(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv1d(inputs, outputs, 1, bias=False), nn.BatchNorm1d(outputs), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class Block(nn.Module):
    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.net1 = nn.Sequential(nn.Conv1d(channels, inner, 1, bias=False), nn.BatchNorm1d(inner), nn.ReLU())
        self.net2 = nn.Sequential(nn.Conv1d(inner, channels, 1, bias=False), nn.BatchNorm1d(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.net2(self.net1(x)) + x)


class PreExtraction(nn.Module):
    """Groups (B, M, k, in) -> (B, out, M)."""

    def __init__(self, inputs: int, outputs: int, blocks: int, inner: int) -> None:
        super().__init__()
        self.transfer = ConvBNReLU(inputs, outputs)
        self.operation = nn.Sequential(*(Block(outputs, inner) for _ in range(blocks)))

    def forward(self, x: Tensor) -> Tensor:
        batch, points, k, channels = x.shape
        x = self.operation(self.transfer(x.permute(0, 1, 3, 2).reshape(-1, channels, k)))
        return F.adaptive_max_pool1d(x, 1).view(batch, points, -1).permute(0, 2, 1)


class PosExtraction(nn.Module):
    """(B, C, M) -> (B, C, M)."""

    def __init__(self, channels: int, blocks: int, inner: int) -> None:
        super().__init__()
        self.operation = nn.Sequential(*(Block(channels, inner) for _ in range(blocks)))

    def forward(self, x: Tensor) -> Tensor:
        return self.operation(x)


class PublishedPointMLP(nn.Module):
    """Clouds (B, 3, N) -> logits (B, K)."""

    first, growth, blocks, expansion = 64, (2, 2, 2, 2), (2, 2, 2, 2), 1.0

    def __init__(self, classes: int, dropout: float = 0.5, k: int = 24) -> None:
        super().__init__()
        self.embedding = ConvBNReLU(3, self.first)
        self.local_grouper_list, self.pre_blocks_list = nn.ModuleList(), nn.ModuleList()
        self.pos_blocks_list = nn.ModuleList()
        channels = self.first
        for growth, blocks in zip(self.growth, self.blocks, strict=True):
            inputs, channels = channels, channels * growth
            inner = int(channels * self.expansion)
            self.local_grouper_list.append(LocalGrouper(inputs, k))
            self.pre_blocks_list.append(PreExtraction(2 * inputs, channels, blocks, inner))
            self.pos_blocks_list.append(PosExtraction(channels, blocks, inner))
        self.classifier = nn.Sequential(
            nn.Linear(channels, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(512, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(256, classes),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        xyz, x = x.permute(0, 2, 1), self.embedding(x)
        parts = (self.local_grouper_list, self.pre_blocks_list, self.pos_blocks_list)
        for grouper, before, after in zip(*parts, strict=True):
            xyz, groups = grouper(xyz, x.permute(0, 2, 1))
            x = after(before(groups))
        return self.classifier(F.adaptive_max_pool1d(x, 1).flatten(1))


class PublishedPointMLPElite(PublishedPointMLP):
    first, growth, blocks, expansion = 32, (2, 2, 2, 1), (1, 1, 2, 1), 0.25
