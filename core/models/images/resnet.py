"""ResNet (He et al. 2016) and ResNeXt (Xie et al. 2017): each block adds to what it is given."""

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from core.models.images.base import Convolution, ImageNetwork, ImageOptions


class Residual(nn.Module):
    """ReLU of what layers give, and of what they are given: as it is, or by a linear map where its channels differ."""

    def __init__(self, inputs: int, outputs: int, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers
        self.way = nn.Identity() if inputs == outputs else Convolution(inputs, outputs, 1, linear=True)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.layers(x) + self.way(x))


class ResNetSmall(ImageNetwork):
    """Two stages of one block of two convolutions."""

    stages: ClassVar[tuple[int, ...]] = (1, 1)
    """Blocks of each."""

    def __init__(self, classes: int, options: ImageOptions | None = None) -> None:
        options = options or ImageOptions()
        layers: list[nn.Module] = [Convolution(options.channels, options.width)]
        inputs = options.width
        for place, count in enumerate(self.stages):
            outputs = options.width * 2**place
            for _ in range(count):
                layers.append(Residual(inputs, outputs, self.block(inputs, outputs)))
                inputs = outputs
            layers.append(nn.MaxPool2d(2))
        super().__init__(classes, options, nn.Sequential(*layers), inputs)

    @staticmethod
    def block(inputs: int, outputs: int) -> nn.Module:
        return nn.Sequential(Convolution(inputs, outputs), Convolution(outputs, outputs, linear=True))


class ResNetDeep(ResNetSmall):
    """The same with three times the blocks."""

    stages = (3, 3)


class ResNeXtSmall(ResNetSmall):
    """Blocks of a narrow convolution in four groups between two of 1 x 1."""

    stages = (2, 2)

    @staticmethod
    def block(inputs: int, outputs: int) -> nn.Module:
        return nn.Sequential(
            Convolution(inputs, outputs, 1),
            Convolution(outputs, outputs, groups=4),
            Convolution(outputs, outputs, 1, linear=True),
        )
