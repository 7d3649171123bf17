"""NASNet (Zoph et al. 2018): cells that a search has found, each given what the two before it gave."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.models.images.base import Convolution, ImageNetwork, ImageOptions
from core.models.images.separable import Separable


class Cell(nn.Module):
    """The normal cell of NASNet-A (figure 4): maps of the two cells before -> of six times ``width`` channels.

    Where there is no cell before the last one, it is given the last one twice.
    """

    def __init__(self, before: int, last: int, width: int) -> None:
        super().__init__()
        self.fit_before, self.fit_last = (
            nn.Sequential(nn.ReLU(), Convolution(size, width, 1, linear=True)) for size in (before, last)
        )
        self.filters = nn.ModuleList(Separable(width, width, size) for size in (3, 3, 5, 5, 3))

    def forward(self, before: Tensor, last: Tensor) -> Tensor:
        before, last = self.fit_before(before), self.fit_last(last)
        first, second, third, fourth, fifth = self.filters
        return torch.cat(
            [
                before,
                first(last) + last,
                second(before) + third(last),
                _mean(last) + before,
                2 * _mean(before),
                fourth(before) + fifth(before),
            ],
            1,
        )


class Cells(nn.Module):
    """A convolution and two stages of two cells; both inputs of the next stage are halved in size by maxima.

    The reduction cells of the paper are left out: 8 x 8 pixels are halved once.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.first = Convolution(channels, 2 * width, linear=True)
        sizes, narrow = (2 * width, 2 * width), width // 2
        cells: list[nn.Module] = []
        for outputs in (narrow, narrow, width, width):
            cells.append(Cell(*sizes, outputs))
            sizes = (sizes[1], 6 * outputs)
        self.cells = nn.ModuleList(cells)

    def forward(self, images: Tensor) -> Tensor:
        before = last = self.first(images)
        for place, cell in enumerate(self.cells):
            if place == 2:
                before, last = F.max_pool2d(before, 2), F.max_pool2d(last, 2)
            before, last = last, cell(before, last)
        return F.relu(last)


class NASNet(ImageNetwork):
    """The cells, and the mean of each of their last maps."""

    def __init__(self, classes: int, options: ImageOptions | None = None) -> None:
        options = options or ImageOptions()
        super().__init__(classes, options, Cells(options.channels, options.width), 6 * options.width)


def _mean(maps: Tensor) -> Tensor:
    """Each value's mean with its neighbours."""
    return F.avg_pool2d(maps, 3, 1, 1, count_include_pad=False)
