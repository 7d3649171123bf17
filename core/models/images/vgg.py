"""VGG (Simonyan and Zisserman 2015): convolutions of 3 x 3 one after another, halved in size by maxima."""

from typing import ClassVar

from torch import nn

from core.models.images.base import Convolution, ImageNetwork, ImageOptions


class VGGSmall(ImageNetwork):
    """Two stages of two convolutions, with batch norm and one linear layer in the place of three."""

    stages: ClassVar[tuple[int, ...]] = (2, 2)
    """Convolutions of each; those of a stage have twice the channels of those before."""

    def __init__(self, classes: int, options: ImageOptions | None = None) -> None:
        options = options or ImageOptions()
        layers: list[nn.Module] = []
        inputs = options.channels
        for place, count in enumerate(self.stages):
            outputs = options.width * 2**place
            for _ in range(count):
                layers.append(Convolution(inputs, outputs))
                inputs = outputs
            layers.append(nn.MaxPool2d(2))
        super().__init__(classes, options, nn.Sequential(*layers), inputs)


class VGGDeep(VGGSmall):
    """The same with twice the convolutions."""

    stages = (4, 4)
