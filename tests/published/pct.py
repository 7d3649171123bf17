"""PCT as Strawberry-Eat-Mango/PCT_Pytorch defines it, in plain PyTorch with that project's names."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.published.sampling import at, farthest_points, nearest_points


def grouped(count: int, k: int, xyz: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
    """Farthest points (B, M, 3) and [x_j - x_i, x_i] of the features of their neighbours, (B, M, k, 2C)."""
    places = farthest_points(xyz, count)
    chosen, own = at(xyz, places), at(features, places)[:, :, None]
    near = at(features, nearest_points(k, xyz, chosen))
    return chosen, torch.cat([near - own, own.expand_as(near)], dim=-1)


class LocalOp(nn.Module):
    """(B, M, k, in) -> (B, out, M)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(inputs, outputs, 1, bias=False)
        self.conv2 = nn.Conv1d(outputs, outputs, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm1d(outputs), nn.BatchNorm1d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        batch, points, k, channels = x.shape
        x = x.permute(0, 1, 3, 2).reshape(-1, channels, k)
        x = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        return F.adaptive_max_pool1d(x, 1).view(batch, points, -1).permute(0, 2, 1)


class Attention(nn.Module):
    """(B, C, M) -> (B, C, M)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.q_conv = nn.Conv1d(channels, channels // 4, 1, bias=False)
        self.k_conv = nn.Conv1d(channels, channels // 4, 1, bias=False)
        self.q_conv.weight = self.k_conv.weight
        self.v_conv, self.trans_conv = nn.Conv1d(channels, channels, 1), nn.Conv1d(channels, channels, 1)
        self.after_norm = nn.BatchNorm1d(channels)

    def forward(self, x: Tensor) -> Tensor:
        attention = torch.softmax(torch.bmm(self.q_conv(x).permute(0, 2, 1), self.k_conv(x)), -1)
        attention = attention / (1e-9 + attention.sum(dim=1, keepdim=True))
        attended = torch.bmm(self.v_conv(x), attention)
        return x + F.relu(self.after_norm(self.trans_conv(x - attended)))


class Transformer(nn.Module):
    """(B, 256, M) -> (B, 1024, M)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv1d(256, 256, 1, bias=False), nn.Conv1d(256, 256, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm1d(256), nn.BatchNorm1d(256)
        self.sa1, self.sa2, self.sa3, self.sa4 = (Attention(256) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        found = []
        for attention in (self.sa1, self.sa2, self.sa3, self.sa4):
            x = attention(x)
            found.append(x)
        return torch.cat(found, dim=1)


class PublishedPCT(nn.Module):
    """Clouds (B, 3, N) -> logits (B, K)."""

    def __init__(self, classes: int, dropout: float = 0.5) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv1d(3, 64, 1, bias=False), nn.Conv1d(64, 64, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm1d(64), nn.BatchNorm1d(64)
        self.gather_local_0, self.gather_local_1 = LocalOp(128, 128), LocalOp(256, 256)
        self.pt_last = Transformer()
        self.conv_fuse = nn.Sequential(nn.Conv1d(1280, 1024, 1, bias=False), nn.BatchNorm1d(1024), nn.LeakyReLU(0.2))
        self.linear1, self.bn6, self.dp1 = nn.Linear(1024, 512, bias=False), nn.BatchNorm1d(512), nn.Dropout(dropout)
        self.linear2, self.bn7, self.dp2 = nn.Linear(512, 256), nn.BatchNorm1d(256), nn.Dropout(dropout)
        self.linear3 = nn.Linear(256, classes)

    def forward(self, x: Tensor) -> Tensor:
        xyz = x.permute(0, 2, 1)
        x = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        xyz, groups = grouped(512, 32, xyz, x.permute(0, 2, 1))
        x = self.gather_local_0(groups)
        xyz, groups = grouped(256, 32, xyz, x.permute(0, 2, 1))
        x = self.gather_local_1(groups)
        x = self.conv_fuse(torch.cat([self.pt_last(x), x], dim=1))
        x = F.adaptive_max_pool1d(x, 1).flatten(1)
        x = self.dp1(F.leaky_relu(self.bn6(self.linear1(x)), 0.2))
        x = self.dp2(F.leaky_relu(self.bn7(self.linear2(x)), 0.2))
        return self.linear3(x)
