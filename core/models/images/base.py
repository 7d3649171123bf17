"""What the image networks share: their options, the convolution with its norm, and the way from maps to an output."""

from torch import Tensor, nn

from core.models.port import Output
from core.options import Options, option


class ImageOptions(Options):
    """Architecture of an image network."""

    channels: int = option(1, "Channels of the images: 1 of grey ones, 3 of coloured ones.", low=1, high=1024)
    width: int = option(16, "Channels of the first maps; later ones have more.", low=4, high=1024)


class Convolution(nn.Sequential):
    """Convolution that keeps the size of maps, batch norm and, unless it is ``linear``, ReLU."""

    def __init__(self, inputs: int, outputs: int, size: int = 3, *, groups: int = 1, linear: bool = False) -> None:
        layers = [
            nn.Conv2d(inputs, outputs, size, padding=size // 2, groups=groups, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        super().__init__(*layers, *(() if linear else (nn.ReLU(),)))


class ImageNetwork(nn.Module):
    """Images (B, C, H, W), of 8 x 8 pixels or more -> ``Output`` of logits (B, K) and latent (B, D).

    The latent is the mean of each map.

    Parameters
    ----------
    maps : images -> maps (B, D, h, w).
    size : D.
    """

    def __init__(self, classes: int, options: ImageOptions, maps: nn.Module, size: int) -> None:
        super().__init__()
        self.options = options
        self.maps = maps
        self.classifier = nn.Linear(size, classes)

    def forward(self, images: Tensor) -> Output:
        latent = self.maps(images).mean((2, 3))
        return Output(self.classifier(latent), latent)
