"""Xception (Chollet 2017): convolutions of each channel by itself, then of 1 x 1 over all channels."""

from torch import nn

from core.models.images.base import Convolution, ImageNetwork, ImageOptions
from core.models.images.resnet import Residual


class Separable(nn.Sequential):
    """ReLU, a filter for each channel, a linear map of the channels, and batch norm."""

    def __init__(self, inputs: int, outputs: int, size: int = 3) -> None:
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(inputs, inputs, size, padding=size // 2, groups=inputs, bias=False),
            Convolution(inputs, outputs, 1, linear=True),
        )


class Xception(ImageNetwork):
    """A convolution, and three residual blocks of two separable ones, the channels of each twice those before."""

    def __init__(self, classes: int, options: ImageOptions | None = None) -> None:
        options = options or ImageOptions()
        width = options.width
        layers: list[nn.Module] = [Convolution(options.channels, width)]
        for inputs in (width, 2 * width):
            outputs = 2 * inputs
            layers.append(
                Residual(inputs, outputs, nn.Sequential(Separable(inputs, outputs), Separable(outputs, outputs)))
            )
            layers.append(nn.MaxPool2d(2))
        size = 4 * width
        layers.append(Residual(size, size, nn.Sequential(Separable(size, size), Separable(size, size))))
        super().__init__(classes, options, nn.Sequential(*layers), size)
