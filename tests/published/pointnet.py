"""PointNet as the well-known PyTorch ports write it, with convolutions of size one: what ours is compared with."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PlainTNet(nn.Module):
    """T-Net written with convolutions, after fxia22/pointnet.pytorch."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.convs = nn.ModuleList([nn.Conv1d(a, b, 1) for a, b in ((size, 64), (64, 128), (128, 1024))])
        self.fcs = nn.ModuleList([nn.Linear(1024, 512), nn.Linear(512, 256), nn.Linear(256, size * size)])
        self.norms = nn.ModuleList([nn.BatchNorm1d(width) for width in (64, 128, 1024, 512, 256)])

    def forward(self, x: Tensor) -> Tensor:
        for conv, norm in zip(self.convs, self.norms[:3], strict=True):
            x = F.relu(norm(conv(x)))
        x = x.max(2)[0]
        for fc, norm in zip(self.fcs[:2], self.norms[3:], strict=True):
            x = F.relu(norm(fc(x)))
        return self.fcs[2](x).view(-1, self.size, self.size) + torch.eye(self.size, dtype=x.dtype)


class PlainPointNet(nn.Module):
    """PointNet written with convolutions, after fxia22/pointnet.pytorch; logits in place of log-probabilities."""

    def __init__(self, classes: int, feature_transform: bool) -> None:
        super().__init__()
        self.stn = PlainTNet(3)
        self.fstn = PlainTNet(64) if feature_transform else None
        self.convs = nn.ModuleList([nn.Conv1d(a, b, 1) for a, b in ((3, 64), (64, 128), (128, 1024))])
        self.fcs = nn.ModuleList([nn.Linear(1024, 512), nn.Linear(512, 256), nn.Linear(256, classes)])
        self.norms = nn.ModuleList([nn.BatchNorm1d(width) for width in (64, 128, 1024, 512, 256)])

    def forward(self, clouds: Tensor) -> tuple[Tensor, Tensor]:
        x = clouds.transpose(2, 1)
        x = torch.bmm(x.transpose(2, 1), self.stn(x)).transpose(2, 1)
        x = F.relu(self.norms[0](self.convs[0](x)))
        if self.fstn is not None:
            x = torch.bmm(x.transpose(2, 1), self.fstn(x)).transpose(2, 1)
        x = F.relu(self.norms[1](self.convs[1](x)))
        latent = self.norms[2](self.convs[2](x)).max(2)[0]
        x = F.relu(self.norms[3](self.fcs[0](latent)))
        x = F.relu(self.norms[4](self.fcs[1](x)))
        return self.fcs[2](x), latent
