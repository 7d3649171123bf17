"""CurveNet as tiangexiang/CurveNet defines it, in plain PyTorch with that project's names.

It takes any number of points: fewer than a level keeps are all kept, and there are no more neighbours than points, nor
more curves. A lone point walks on the spot.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.published.pointnet2 import ball_query
from tests.published.sampling import at, farthest_points


def ordered_neighbours(xyz: Tensor, count: int) -> Tensor:
    """Places (B, N, k) of the nearest of xyz (B, 3, N), nearest first."""
    square = (xyz**2).sum(1)
    distance = square[:, :, None] - 2 * xyz.mT @ xyz + square[:, None]
    return distance.topk(min(count, xyz.shape[2]), dim=-1, largest=False)[1]


def picks(logits: Tensor) -> Tensor:
    """One at the largest of the last dimension and zero elsewhere, with the gradient of softmax."""
    soft = logits.softmax(-1)
    hard = torch.zeros_like(soft).scatter(-1, soft.argmax(-1, keepdim=True), 1.0)
    return (hard - soft).detach() + soft


class Conv(nn.Sequential):
    """Convolution and batch norm, with leaky ReLU where it is given a slope."""

    def __init__(self, inputs: int, outputs: int, dimensions: int = 1, slope: float | None = None) -> None:
        convolution, norm = (nn.Conv1d, nn.BatchNorm1d) if dimensions == 1 else (nn.Conv2d, nn.BatchNorm2d)
        super().__init__(convolution(inputs, outputs, 1, bias=False), norm(outputs))
        if slope is not None:
            self.append(nn.LeakyReLU(slope))


class LPFA(nn.Module):
    """Features (B, C, N) and places (B, N, k) -> features (B, out, N)."""

    def __init__(self, inputs: int, outputs: int, initial: bool = False) -> None:
        super().__init__()
        self.initial = initial
        if not initial:
            self.xyz2feature = Conv(9, inputs, 2)
        self.mlp = nn.Sequential(Conv(inputs, outputs, 2, 0.2))

    def forward(self, x: Tensor, xyz: Tensor, places: Tensor) -> Tensor:
        points = xyz.mT
        near = at(points, places)
        own = points[:, :, None].expand_as(near)
        edges = torch.cat((own, near, near - own), 3).permute(0, 3, 1, 2)
        if self.initial:
            return self.mlp(edges).max(-1)[0]
        difference = (at(x.mT, places) - x.mT[:, :, None]).permute(0, 3, 1, 2)
        return self.mlp(F.leaky_relu(difference + self.xyz2feature(edges), 0.2)).mean(-1)


class Walk(nn.Module):
    """Features (B, C, N), places (B, N, k) of neighbours and of the starts (B, M) -> curves (B, C, M, 5)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.agent_mlp, self.momentum_mlp = Conv(2 * channels, 1, 2), Conv(2 * channels, 2)

    def forward(self, x: Tensor, places: Tensor, here: Tensor) -> Tensor:
        curves, now = [], at(x.mT, here).mT
        before = now
        for step in range(5):
            if step > 0:
                share = self.momentum_mlp(torch.cat((now, before), 1)).softmax(1)
                before = (torch.stack((now, before), -1) * share.permute(0, 2, 1)[:, None]).sum(-1)
            around = at(places, here)
            near = at(x.mT, around).permute(0, 3, 1, 2)
            logits = self.agent_mlp(torch.cat((near, before[..., None].expand_as(near)), 1))
            if step > 0:
                past, ahead = (now - before)[..., None].detach(), (near - now[..., None]).detach()
                length = (past.norm(dim=1) * ahead.norm(dim=1)).clamp(min=1e-8)
                logits = logits * (1 + (past * ahead).sum(1) / length).clamp(0, 1)[:, None]
            chosen = picks(logits)
            now = (near * chosen).sum(-1)
            here = around.gather(2, chosen.argmax(-1)[:, 0, :, None])[..., 0]
            curves.append(now)
        return torch.stack(curves, -1)


class CurveGrouping(nn.Module):
    """Features (B, C, N) and places (B, N, k) of neighbours -> curves (B, C, M, 5)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.att, self.walk = nn.Conv1d(channels, 1, 1, bias=False), Walk(channels)

    def forward(self, x: Tensor, places: Tensor) -> Tensor:
        attention = self.att(x).sigmoid()
        start = attention[:, 0].topk(min(100, x.shape[2]), dim=1)[1]
        return self.walk(x * attention, places, start)


class CurveAggregation(nn.Module):
    """Features (B, C, N) and curves (B, C, M, L) -> features (B, C, N)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.conva, self.convb, self.convc = (nn.Conv1d(channels, half, 1, bias=False) for _ in range(3))
        self.convn, self.convl = (nn.Conv1d(half, half, 1, bias=False) for _ in range(2))
        self.convd = Conv(channels, channels)
        self.line_conv_att = nn.Conv2d(channels, 1, 1, bias=False)

    def forward(self, x: Tensor, curves: Tensor) -> Tensor:
        logits = self.line_conv_att(curves)
        inter = self.conva((curves * logits.softmax(-1)).sum(-1))
        intra = self.convb((curves * logits.softmax(-2)).sum(-2))
        query = self.convc(x).mT
        found = [
            (query @ each).softmax(-1) @ layer(each).mT for each, layer in ((inter, self.convn), (intra, self.convl))
        ]
        return F.leaky_relu(x + self.convd(torch.cat(found, -1).mT), 0.2)


class CIC(nn.Module):
    """Coordinates (B, 3, N) and features (B, in, N) -> those of at most ``points`` points."""

    def __init__(self, points: int, radius: float, inputs: int, outputs: int, ratio: int, curves: bool = False) -> None:
        super().__init__()
        self.points, self.radius = points, radius
        inner = inputs // ratio
        self.use_curve = curves
        if curves:
            self.curveaggregation, self.curvegrouping = CurveAggregation(inner), CurveGrouping(inner)
        self.conv1, self.conv2 = Conv(inputs, inner, slope=0.2), Conv(inner, outputs)
        if inputs != outputs:
            self.shortcut = Conv(inputs, outputs)
        self.lpfa = LPFA(inner, inner)

    def forward(self, xyz: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        if xyz.shape[2] > self.points:
            centres = at(xyz.mT, farthest_points(xyz.mT.detach(), self.points))
            x = at(x.mT, ball_query(self.radius, 20, xyz.mT, centres)).max(2)[0].mT
            xyz = centres.mT
        shortcut, x = x, self.conv1(x)
        places = ordered_neighbours(xyz, 21)
        if self.use_curve:
            x = self.curveaggregation(x, self.curvegrouping(x, places[..., 1:] if places.shape[2] > 1 else places))
        x = self.conv2(self.lpfa(x, xyz, places[..., :20]))
        return xyz, F.leaky_relu(x + (self.shortcut(shortcut) if hasattr(self, "shortcut") else shortcut), 0.2)


class PublishedCurveNet(nn.Module):
    """Clouds (B, 3, N) -> logits (B, K)."""

    def __init__(self, classes: int, dropout: float = 0.5) -> None:
        super().__init__()
        self.lpfa = LPFA(9, 32, initial=True)
        self.cic11, self.cic12 = CIC(1024, 0.05, 32, 64, 2, curves=True), CIC(1024, 0.05, 64, 64, 4, curves=True)
        self.cic21, self.cic22 = CIC(1024, 0.05, 64, 128, 2, curves=True), CIC(1024, 0.1, 128, 128, 4, curves=True)
        self.cic31, self.cic32 = CIC(256, 0.1, 128, 256, 2), CIC(256, 0.2, 256, 256, 4)
        self.cic41, self.cic42 = CIC(64, 0.2, 256, 512, 2), CIC(64, 0.4, 512, 512, 4)
        self.conv0 = Conv(512, 1024, slope=0.0)
        self.conv1, self.bn1, self.dp1 = nn.Linear(2048, 512, bias=False), nn.BatchNorm1d(512), nn.Dropout(dropout)
        self.conv2 = nn.Linear(512, classes)

    def forward(self, x: Tensor) -> Tensor:
        xyz, x = x, self.lpfa(x, x, ordered_neighbours(x, 20))
        for block in (
            *(self.cic11, self.cic12, self.cic21, self.cic22),
            *(self.cic31, self.cic32, self.cic41, self.cic42),
        ):
            xyz, x = block(xyz, x)
        x = self.conv0(x)
        x = torch.cat((F.adaptive_max_pool1d(x, 1), F.adaptive_avg_pool1d(x, 1)), 1).flatten(1)
        return self.conv2(self.dp1(F.relu(self.bn1(self.conv1(x)))))
