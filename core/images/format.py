"""What the images of a dataset are, or those that a model takes."""

from typing import Any, ClassVar, Literal

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, FiniteFloat, PositiveInt

Modality = Literal["clouds", "images"]


def modality_of(samples: NDArray[Any]) -> Modality:
    """What samples (n, N, 3) or (n, C, H, W) are."""
    return "images" if samples.ndim == 4 else "clouds"


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
