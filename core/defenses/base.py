"""What an input defence is: a frozen value that makes of clouds those that the model behind it is asked about."""

from abc import abstractmethod
from typing import ClassVar

from torch import Tensor

from core.options import Options


class Defense(Options):
    """An input defence; its fields are its settings."""

    random: ClassVar[bool] = False
    """Whether it draws."""
    flat: ClassVar[bool] = False
    """Whether it moves points by jumps, so that autograd finds no slope anywhere."""

    @abstractmethod
    def apply(self, clouds: Tensor, draw: int) -> Tensor:
        """What it makes of clouds, both (B, N, 3).

        The points are in ``fixed_order``, which decides ties; ``draw`` decides all that is random. A cloud gives the
        same in any batch. The result has the gradient that autograd gives, which is zero where there is no other.
        """
