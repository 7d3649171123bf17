"""DenseNet (Huang et al. 2017): each layer is given what all layers before it gave."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from core.models.images.base import ImageNetwork, ImageOptions


def normed(inputs: int, outputs: int, size: int) -> nn.Sequential:
    """Batch norm, ReLU and convolution, in this order, as there."""
    return nn.Sequential(
        nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False)
    )


class DenseLayer(nn.Module):
    """Maps -> the same and ``growth`` more."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(normed(inputs, 4 * growth, 1), normed(4 * growth, growth, 3))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.layers(x)], 1)


class DenseNetSmall(ImageNetwork):
    """Two blocks of three layers, each with half ``width`` more channels; between them these are halved."""

    stages: ClassVar[tuple[int, ...]] = (3, 3)
    """Layers of each block."""

    def __init__(self, classes: int, options: ImageOptions | None = None) -> None:
        options = options or ImageOptions()
        growth, channels = options.width // 2, options.width
        layers: list[nn.Module] = [nn.Conv2d(options.channels, channels, 3, padding=1, bias=False)]
        for place, count in enumerate(self.stages):
            for _ in range(count):
                layers.append(DenseLayer(channels, growth))
                channels += growth
            if place + 1 < len(self.stages):
                layers += [normed(channels, channels // 2, 1), nn.AvgPool2d(2)]
                channels //= 2
        layers += [nn.BatchNorm2d(channels), nn.ReLU()]
        super().__init__(classes, options, nn.Sequential(*layers), channels)


class DenseNetDeep(DenseNetSmall):
    """The same with twice the layers."""

    stages = (6, 6)
