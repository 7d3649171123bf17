"""Smoothing: move points to their neighbours (Taubin, A signal processing approach to fair surface design, 1995)."""

from torch import Tensor

from core.defenses.base import Defense
from core.defenses.points import neighbours
from core.options import option


class Smoothing(Defense):
    """Move each point towards the mean of its k nearest: one step of Laplacian smoothing, on the cloud itself."""

    k: int = option(4, "Nearest points towards whose mean each one is moved.", unit="points", low=1, high=100)
    strength: float = option(1.0, "Share of the way to that mean.", low=0.0, high=1.0)

    def apply(self, clouds: Tensor, draw: int) -> Tensor:
        return clouds + self.strength * (neighbours(clouds, self.k).mean(2) - clouds)
