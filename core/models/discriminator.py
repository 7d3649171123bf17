"""The discriminator of Defense-PointNet (section III.C): it tells latents of real from those of adversarial clouds."""

import torch
from torch import nn

from core.models.port import evaluating

REAL, ADVERSARIAL = 0, 1
"""Indices of the discriminator's two logits."""


def build_discriminator(model: nn.Module, width: int) -> nn.Module:
    """Two linear layers from the latents of ``model`` to logits (B, 2) of ``REAL`` and ``ADVERSARIAL``.

    The first paper gives neither their hidden width nor the activation; LeakyReLU(0.2) is usual in discriminators.
    """
    with evaluating(model), torch.no_grad():
        latent = model(torch.zeros(1, 1, 3)).latent
    return discriminator_of(latent.shape[1], width)


def discriminator_of(size: int, width: int) -> nn.Module:
    """The same for latents (B, size)."""
    return nn.Sequential(nn.Linear(size, width), nn.LeakyReLU(0.2), nn.Linear(width, 2))
