"""Inception (Szegedy et al. 2016) and Inception-ResNet (Szegedy et al. 2017): several filters side by side."""

import torch
from torch import Tensor, nn

from core.models.images.base import Convolution, ImageNetwork, ImageOptions
from core.models.images.resnet import Residual


class Branches(nn.Module):
    """What several modules give for one input, one after another in the channels."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


def inception(inputs: int, width: int) -> nn.Module:
    """Module of figure 5 of Szegedy et al. 2016: maps of ``inputs`` channels -> of 4 ``width``."""
    return Branches(
        Convolution(inputs, width, 1),
        nn.Sequential(Convolution(inputs, width, 1), Convolution(width, width)),
        nn.Sequential(Convolution(inputs, width, 1), Convolution(width, width), Convolution(width, width)),
        nn.Sequential(nn.AvgPool2d(3, 1, 1, count_include_pad=False), Convolution(inputs, width, 1)),
    )


def residual_inception(channels: int) -> nn.Module:
    """Module of figure 16 of Szegedy et al. 2017: maps -> of as many channels, its input added."""
    width = channels // 2
    filters = Branches(
        Convolution(channels, width, 1),
        nn.Sequential(Convolution(channels, width, 1), Convolution(width, width)),
        nn.Sequential(Convolution(channels, width, 1), Convolution(width, width), Convolution(width, width)),
    )
    return Residual(channels, channels, nn.Sequential(filters, Convolution(3 * width, channels, 1, linear=True)))


class InceptionSmall(ImageNetwork):
    """A convolution and two modules."""

    def __init__(self, classes: int, options: ImageOptions | None = None) -> None:
        options = options or ImageOptions()
        width = options.width
        maps = nn.Sequential(
            Convolution(options.channels, width),
            inception(width, width // 2),
            nn.MaxPool2d(2),
            inception(2 * width, width),
            nn.MaxPool2d(2),
        )
        super().__init__(classes, options, maps, 4 * width)


class InceptionResNet(ImageNetwork):
    """Two stages of two residual modules."""

    def __init__(self, classes: int, options: ImageOptions | None = None) -> None:
        options = options or ImageOptions()
        width = options.width
        maps = nn.Sequential(
            Convolution(options.channels, width),
            residual_inception(width),
            residual_inception(width),
            nn.MaxPool2d(2),
            Convolution(width, 2 * width),
            residual_inception(2 * width),
            residual_inception(2 * width),
            nn.MaxPool2d(2),
        )
        super().__init__(classes, options, maps, 2 * width)
