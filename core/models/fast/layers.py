"""Modules that several architectures are made of."""

from collections.abc import Sequence

from torch import Tensor, nn

from core.models.fast.groups import linear_bn_act


class LinearBN(nn.Module):
    """Linear + batch norm + ReLU of rows, (n, in) -> (n, out)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.norm = nn.BatchNorm1d(outputs)

    def forward(self, rows: Tensor) -> Tensor:
        return linear_bn_act(rows, self.linear, self.norm)


class ThreeLayers(nn.Module):
    """Three ``LinearBN`` one after the other, (n, in) -> (n, out)."""

    def __init__(self, inputs: int, widths: Sequence[int]) -> None:
        super().__init__()
        one, two, three = widths
        self.first, self.second, self.third = LinearBN(inputs, one), LinearBN(one, two), LinearBN(two, three)

    def forward(self, rows: Tensor) -> Tensor:
        return self.third(self.second(self.first(rows)))


def classifier(inputs: int, classes: int, dropout: float) -> nn.Sequential:
    """Latents (B, inputs) -> logits (B, classes) as PointNet++ has them, with layers of 512 and 256 outputs between."""
    return nn.Sequential(
        nn.Linear(inputs, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(512, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(256, classes),
    )  # fmt: skip
