"""Batch norm's running statistics, for layers that normalise by themselves."""

import torch
from torch import Tensor, nn


def folded_statistics(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """The mean and variance (C,) that a batch norm in eval mode divides by."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return norm.running_mean, norm.running_var


@torch.no_grad()
def count_batch(norm: nn.BatchNorm1d, mean: Tensor, variance: Tensor, n: int) -> None:
    """Update the running statistics by the mean and the biased variance (C,) of n values, as PyTorch does."""
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    norm.num_batches_tracked += 1
    momentum = norm.momentum if norm.momentum is not None else 1 / float(norm.num_batches_tracked)
    norm.running_mean.lerp_(mean, momentum)
    norm.running_var.lerp_(variance * (n / max(n - 1, 1)), momentum)
