"""Quantisation: move each point onto a grid, as Xu et al., Feature squeezing, 2018, do with the colours of images."""

from typing import ClassVar

from torch import Tensor

from core.defenses.base import Defense
from core.options import option


class Quantisation(Defense):
    """Round every coordinate to a multiple of a step; points that meet become repeats of one."""

    flat: ClassVar[bool] = True

    step: float = option(0.05, "Edge of a cell of the grid.", unit="r", low=0.001, high=1.0)

    def apply(self, clouds: Tensor, draw: int) -> Tensor:
        return (clouds / self.step).round() * self.step
