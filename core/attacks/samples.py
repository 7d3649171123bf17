"""Batches of samples (B, ...): of clouds (B, N, 3), of images (B, C, H, W), or of any other shape."""

import torch
from torch import Tensor


def are_clouds(samples: Tensor) -> bool:
    """Whether samples (B, ...) are clouds (B, N, 3)."""
    return samples.dim() == 3 and samples.shape[2] == 3


def axes_of_each(samples: Tensor) -> tuple[int, ...]:
    """The axes of samples (B, ...) that are those of one sample: all but the first."""
    return tuple(range(1, samples.dim()))


def length_of_each(samples: Tensor) -> Tensor:
    """(B, 1, ...), the Euclidean norm of each of samples (B, ...)."""
    return torch.linalg.vector_norm(samples, dim=axes_of_each(samples), keepdim=True)


def for_each(values: Tensor, samples: Tensor) -> Tensor:
    """Values (B,), one for each of samples (B, ...), in the shape (B, 1, ...), which combines with theirs."""
    return values.view(-1, *[1] * (samples.dim() - 1))
