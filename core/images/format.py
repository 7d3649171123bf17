"""What the images of a dataset are, or those that a model takes."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, FiniteFloat, PositiveInt


class ImageFormat(BaseModel):
    """Images are float32 arrays (C, H, W), in batches (B, C, H, W); colours are red, green and blue."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    shape: tuple[PositiveInt, PositiveInt, PositiveInt]
    """(C, H, W)"""
    value_range: tuple[FiniteFloat, FiniteFloat]
    """Least and largest value, which attacks do not leave."""

    def __str__(self) -> str:
        low, high = self.value_range
        return f"images of {' x '.join(map(str, self.shape))} values from {low:g} to {high:g}"
