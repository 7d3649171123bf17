"""Squares and stripes of images, of which Square attack is made (Andriushchenko et al. 2020, algorithm 2)."""

import math

import torch
from torch import Tensor

from core.attacks.draws import Generators, signs, uniform


def stripes(draw: Generators, images: Tensor) -> Tensor:
    """(B, C, H, W), a random sign for each column and channel of images (B, C, H, W): vertical stripes."""
    _, channels, _, width = images.shape
    return signs(draw, images, channels, 1, width).expand_as(images)


def with_square(draw: Generators, unit_delta: Tensor, share: float) -> Tensor:
    """A perturbation (B, C, H, W) of images in which a random square has a random sign for each channel.

    Parameters
    ----------
    share : of the pixels, which the square has; its side is a whole number of pixels, at least 1.
    """
    channels, height, width = unit_delta.shape[1:]
    side = min(max(1, round(math.sqrt(share * height * width))), height, width)
    place = uniform(draw, unit_delta, 2)
    top, left = ((place[:, axis] * (free - side + 1)).long() for axis, free in ((0, height), (1, width)))
    rows, columns = (_covered(start, side, count) for start, count in ((top, height), (left, width)))
    square = (rows[:, :, None] & columns[:, None, :])[:, None]
    return torch.where(square, signs(draw, unit_delta, channels, 1, 1), unit_delta)


def _covered(start: Tensor, side: int, count: int) -> Tensor:
    """(B, count) bool, the places from ``start`` (B,) on, ``side`` of them."""
    place = torch.arange(count, device=start.device) - start[:, None]
    return (place >= 0) & (place < side)
