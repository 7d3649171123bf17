"""Modules that several architectures are made of."""

from collections.abc import Sequence

from torch import Tensor, nn

from core.models.fast.groups import linear_bn_act


class LinearBN(nn.Module):
    """Linear + batch norm + leaky ReLU, (..., in) -> (..., out); the slope 0 is ReLU, 1 is none."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True, slope: float = 0.0) -> None:
        super().__init__()
        self.slope = slope
        self.linear = nn.Linear(inputs, outputs, bias=bias)
        self.norm = nn.BatchNorm1d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return linear_bn_act(x.flatten(0, -2), self.linear, self.norm, self.slope).unflatten(0, x.shape[:-1])


class ThreeLayers(nn.Module):
    """Three ``LinearBN`` one after the other, (n, in) -> (n, out)."""

    def __init__(self, inputs: int, widths: Sequence[int]) -> None:
        super().__init__()
        one, two, three = widths
        self.first, self.second, self.third = LinearBN(inputs, one), LinearBN(one, two), LinearBN(two, three)

    def forward(self, rows: Tensor) -> Tensor:
        return self.third(self.second(self.first(rows)))


def classifier(inputs: int, classes: int, dropout: float, slope: float = 0.0, first_bias: bool = True) -> nn.Sequential:
    """Latents (B, inputs) -> logits (B, classes), with layers of 512 and 256 outputs between.

    Parameters
    ----------
    dropout : share of the outputs of those layers dropped in training.
    slope : of their leaky ReLU for negative values; 0 is ReLU.
    first_bias : whether the first of them has a bias.
    """
    return nn.Sequential(
        nn.Linear(inputs, 512, bias=first_bias), nn.BatchNorm1d(512), nn.LeakyReLU(slope), nn.Dropout(dropout),
        nn.Linear(512, 256), nn.BatchNorm1d(256), nn.LeakyReLU(slope), nn.Dropout(dropout),
        nn.Linear(256, classes),
    )  # fmt: skip
