"""GDANet as mutianxu/GDANet defines it, in plain PyTorch with that project's names.

Written from its description, because that project has no licence. It takes fewer than 512 points too: then half of them
are sharp and half gentle, and a point has no more neighbours than there are.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.published.sampling import at


def graph(x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Places (B, N, k) of the nearest features of x (B, C, N), nearest first, and all squared distances (B, N, N)."""
    square = (x**2).sum(1)
    distance = square[:, :, None] - 2 * x.mT @ x + square[:, None]
    return distance.topk(min(k, x.shape[2]), dim=-1, largest=False)[1], distance


def edges(x: Tensor, k: int = 30) -> Tensor:
    """[x_j - x_i, x_j] of the nearest points j of each point i: (B, C, N) -> (B, 2C, N, k)."""
    near = at(x.mT, graph(x, k)[0])
    return torch.cat((near - x.mT[:, :, None], near), 3).permute(0, 3, 1, 2)


def disentangled(x: Tensor) -> tuple[Tensor, Tensor]:
    """The features (B, C, M) of the sharp points and of the gentle ones, of x (B, C, N)."""
    points, count = x.mT, min(256, (x.shape[2] + 1) // 2)
    places, distance = graph(x, 64)
    weights = torch.exp(-distance / 2**2) * (distance.abs().sqrt() < 0.2)
    adjacency = torch.diag_embed(1 / weights.sum(1)) @ weights
    near, share = at(points, places[..., 1:]), adjacency.gather(2, places[..., 1:])
    variation = (points - (share[..., None] * near).sum(2)).norm(dim=-1) ** 2
    return tuple(at(points, sign.topk(count, dim=-1)[1]).mT for sign in (variation, -variation))


class Attention(nn.Module):
    """(B, C, N) and (B, C, M) -> (B, C, N)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 2
        self.g, self.theta, self.phi = (nn.Conv1d(channels, inner, 1) for _ in range(3))
        self.W = nn.Sequential(nn.Conv1d(inner, channels, 1), nn.BatchNorm1d(channels))
        nn.init.zeros_(self.W[1].weight)

    def forward(self, x: Tensor, chosen: Tensor) -> Tensor:
        weights = self.theta(x).mT @ self.phi(chosen) / chosen.shape[2]
        return self.W((weights @ self.g(chosen).mT).mT.contiguous()) + x


class PublishedGDANet(nn.Module):
    """Clouds (B, 3, N) -> logits (B, K)."""

    def __init__(self, classes: int, dropout: float = 0.4) -> None:
        super().__init__()
        for name, inputs, outputs in (("1", 6, 64), ("2", 134, 64), ("3", 262, 128)):
            for number, size in ((name, inputs), (f"{name}1", outputs)):
                norm = nn.BatchNorm2d(outputs)
                self.add_module(f"bn{number}", norm)
                self.add_module(f"conv{number}", nn.Sequential(nn.Conv2d(size, outputs, 1), norm))
        for number, inputs, outputs in (("12", 128, 64), ("22", 128, 64), ("32", 128, 128), ("4", 256, 512)):
            norm = nn.BatchNorm1d(outputs)
            self.add_module(f"bn{number}", norm)
            self.add_module(f"conv{number}", nn.Sequential(nn.Conv1d(inputs, outputs, 1), norm))
        self.SGCAM_1s, self.SGCAM_1g, self.SGCAM_2s, self.SGCAM_2g = (Attention(64) for _ in range(4))
        self.linear1, self.bn6, self.dp1 = nn.Linear(1024, 512), nn.BatchNorm1d(512), nn.Dropout(dropout)
        self.linear2, self.bn7, self.dp2 = nn.Linear(512, 256), nn.BatchNorm1d(256), nn.Dropout(dropout)
        self.linear3 = nn.Linear(256, classes)

    def forward(self, x: Tensor) -> Tensor:
        x1 = F.relu(self.conv11(F.relu(self.conv1(edges(x))))).max(-1)[0]
        sharp, gentle = disentangled(x1)
        z1 = F.relu(self.conv12(torch.cat([self.SGCAM_1s(x1, sharp), self.SGCAM_1g(x1, gentle)], 1)))
        joined = torch.cat((x, z1), 1)
        x2 = F.relu(self.conv21(F.relu(self.conv2(edges(joined))))).max(-1)[0]
        sharp, gentle = disentangled(x2)
        z2 = F.relu(self.conv22(torch.cat([self.SGCAM_2s(x2, sharp), self.SGCAM_2g(x2, gentle)], 1)))
        x3 = F.relu(self.conv31(F.relu(self.conv3(edges(torch.cat((joined, z2), 1)))))).max(-1)[0]
        x = F.relu(self.conv4(torch.cat((z1, z2, F.relu(self.conv32(x3))), 1)))
        x = torch.cat((F.adaptive_max_pool1d(x, 1).flatten(1), F.adaptive_avg_pool1d(x, 1).flatten(1)), 1)
        x = self.dp1(F.relu(self.bn6(self.linear1(x))))
        x = self.dp2(F.relu(self.bn7(self.linear2(x))))
        return self.linear3(x)
