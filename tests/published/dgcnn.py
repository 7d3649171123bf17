"""DGCNN as antao97/dgcnn.pytorch defines it, in plain PyTorch with that project's names: what ours is compared with."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def edges(x: Tensor, k: int) -> Tensor:
    """[x_j - x_i, x_i] of the k nearest points j of each point i: (B, C, N) -> (B, 2C, N, k)."""
    inner, square = -2 * x.mT @ x, (x**2).sum(1, keepdim=True)
    nearest = (-square - inner - square.mT).topk(k, dim=-1)[1]
    batch, channels, n = x.shape
    rows = (nearest + torch.arange(batch)[:, None, None] * n).view(-1)
    neighbours = x.transpose(2, 1).reshape(batch * n, channels)[rows].view(batch, n, k, channels)
    own = x.transpose(2, 1)[:, :, None].expand(-1, -1, k, -1)
    return torch.cat((neighbours - own, own), 3).permute(0, 3, 1, 2)


class PublishedDGCNN(nn.Module):
    """Clouds (B, 3, N) -> logits (B, K)."""

    def __init__(self, classes: int, dropout: float = 0.5, k: int = 20) -> None:
        super().__init__()
        self.k = k
        self.bn1, self.bn2, self.bn3, self.bn4 = (nn.BatchNorm2d(width) for width in (64, 64, 128, 256))
        self.bn5 = nn.BatchNorm1d(1024)

        def convolution(inputs: int, outputs: int, norm: nn.Module) -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(2 * inputs, outputs, 1, bias=False), norm, nn.LeakyReLU(0.2))

        self.conv1, self.conv2 = convolution(3, 64, self.bn1), convolution(64, 64, self.bn2)
        self.conv3, self.conv4 = convolution(64, 128, self.bn3), convolution(128, 256, self.bn4)
        self.conv5 = nn.Sequential(nn.Conv1d(512, 1024, 1, bias=False), self.bn5, nn.LeakyReLU(0.2))
        self.linear1, self.bn6, self.dp1 = nn.Linear(2048, 512, bias=False), nn.BatchNorm1d(512), nn.Dropout(dropout)
        self.linear2, self.bn7, self.dp2 = nn.Linear(512, 256), nn.BatchNorm1d(256), nn.Dropout(dropout)
        self.linear3 = nn.Linear(256, classes)

    def latent(self, x: Tensor) -> Tensor:
        found = []
        for convolution in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = convolution(edges(x, self.k)).max(-1)[0]
            found.append(x)
        x = self.conv5(torch.cat(found, 1))
        return torch.cat((F.adaptive_max_pool1d(x, 1).flatten(1), F.adaptive_avg_pool1d(x, 1).flatten(1)), 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dp1(F.leaky_relu(self.bn6(self.linear1(self.latent(x))), 0.2))
        x = self.dp2(F.leaky_relu(self.bn7(self.linear2(x)), 0.2))
        return self.linear3(x)
