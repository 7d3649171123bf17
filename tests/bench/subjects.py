"""What is measured: PointNet with both T-Nets in 16 classes, ours and the plain port with the same weights."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from core.models import PointNet, build
from tests.core.test_models import copy, copy_head, copy_tnet
from tests.core.toys import toy_batch
from tests.published.pointnet import PlainPointNet

CLASSES, POINTS = 16, 1024
SETTLING = 20
"""Batches in training mode, after which running statistics are nearly those of the clouds."""


class Twins(NamedTuple):
    """One PointNet written twice."""

    ours: PointNet
    plain: PlainPointNet


def twins(seed: int = 0) -> Twins:
    """Both in training mode and without dropout, for that is drawn anew by each."""
    torch.manual_seed(seed)
    ours = build("pointnet", CLASSES, {"feature_transform": True, "dropout": 0.0})
    assert isinstance(ours, PointNet)
    with torch.no_grad():
        for number in range(SETTLING):
            ours(clouds(8, seed=number)[0])
    plain = PlainPointNet(CLASSES, feature_transform=True)
    copy_tnet(ours.input_transform, plain.stn)
    copy_tnet(ours.feature_transform, plain.fstn)
    for layer, conv, norm in zip((ours.first, ours.second, ours.pool), plain.convs, plain.norms[:3], strict=True):
        copy(layer.linear, conv)
        copy(layer.norm, norm)
    copy_head(ours.classifier, plain)
    return Twins(ours, plain)


def clouds(count: int, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Clouds (B, N, 3) and labels (B,), on the grid of 2^-20: see ``Logits``."""
    x, y = toy_batch(count, POINTS, seed)
    return torch.round(x * 2**20) / 2**20, y


class Logits(nn.Module):
    """What other libraries expect of a model: inputs to logits alone.

    Where they want images, [0, 1] stands for [-2, 2] and the shape is (B, 1, N, 3). Nothing is rounded on the way if
    clouds, budget and steps are on a coarse grid of binary fractions, so perturbations can be compared one by one.
    """

    def __init__(self, model: nn.Module, *, image: bool = False) -> None:
        super().__init__()
        self.model = model.eval()
        self.image = image

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.model(4 * x.flatten(0, 1) - 2 if self.image else x)[0]
        return logits
