"""The discriminator of Defense-PointNet (section III.C): it tells latents of real from those of adversarial clouds."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from core.images import ImageFormat
from core.models.port import latent_size

REAL, ADVERSARIAL = 0, 1
"""Indices of the discriminator's two logits."""


def build_discriminator(model: nn.Module, width: int, image: ImageFormat | None = None) -> nn.Module:
    """Two linear layers from the latents of ``model`` to logits (B, 2) of ``REAL`` and ``ADVERSARIAL``.

    The first paper gives neither their hidden width nor the activation; LeakyReLU(0.2) is usual in discriminators.
    """
    return new_discriminator(latent_size(model, image), width)


def new_discriminator(size: int, width: int) -> nn.Module:
    """An untrained discriminator of latents (B, size), with ``width`` hidden units: latents -> logits (B, 2)."""
    return nn.Sequential(nn.Linear(size, width), nn.LeakyReLU(0.2), nn.Linear(width, 2))


def discriminator_with_weights(size: int, tensors: Mapping[str, Tensor]) -> nn.Module:
    """The discriminator of latents (B, size) with weights that were stored, in eval mode and without gradients.

    Raises
    ------
    ValueError
        If a tensor is missing, has a wrong shape, or is not finite.
    """
    first = tensors.get("0.weight")
    width = len(first) if first is not None and first.dim() == 2 else 1
    with torch.device("meta"):
        network = new_discriminator(size, width)
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    if {name: tuple(value.shape) for name, value in tensors.items()} != shapes:
        raise ValueError(f"its tensors are not those of a discriminator of latents of {size} numbers")
    if not all(value.is_floating_point() and value.isfinite().all() for value in tensors.values()):
        raise ValueError("its tensors hold values that are not finite numbers")
    network.load_state_dict({name: value.to(torch.float32, copy=True) for name, value in tensors.items()}, assign=True)
    return network.eval().requires_grad_(False)
