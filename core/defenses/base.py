"""The base of input defences: frozen options with a function that changes clouds before a model classifies them."""

from abc import abstractmethod
from typing import ClassVar, Self

from torch import Tensor, nn

from core.models.cards import ModelError
from core.models.port import value_range_of
from core.options import Options


class Defense(Options):
    """An input defence; its fields are its settings."""

    random: ClassVar[bool] = False
    """Whether its result is random."""
    flat: ClassVar[bool] = False
    """Whether it is piecewise constant, so that its gradient is zero everywhere."""

    def for_model(self, model: nn.Module) -> Self:
        """This defence with the settings filled in that depend on the model behind it.

        Raises
        ------
        ModelError
            If the model cannot stand behind it, as one of images.
        """
        if value_range_of(model) is not None:
            raise ModelError("Input defences are for clouds, and this model takes images: leave the defence out.")
        return self

    @abstractmethod
    def apply(self, clouds: Tensor, draw: int) -> Tensor:
        """Defend clouds (B, N, 3); returns clouds of the same shape.

        The points are in ``fixed_order``, which decides ties; ``draw`` seeds everything random. The result for a cloud
        does not depend on its batch. Gradients are those of autograd.
        """
