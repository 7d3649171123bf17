"""Batch norm for layers that compute it by themselves: its running statistics, and it folded into a linear layer."""

import torch
from torch import Tensor, nn


def statistics(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """The mean and the variance (C,) by which a batch norm in eval mode normalises."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return norm.running_mean, norm.running_var


def affine(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Factor and offset (C,) of a batch norm in eval mode: it gives ``factor * y + offset``."""
    mean, variance = statistics(norm)
    factor = norm.weight * torch.rsqrt(variance + norm.eps)
    return factor, norm.bias - mean * factor


def folded(linear: nn.Linear, norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Weight (C, K) and bias (C,) of the linear layer with the batch norm in eval mode after it."""
    factor, offset = affine(norm)
    bias = offset if linear.bias is None else offset + linear.bias * factor
    return linear.weight * factor[:, None], bias


@torch.no_grad()
def count_batch(norm: nn.BatchNorm1d, mean: Tensor, variance: Tensor, n: int) -> None:
    """Update the running statistics by the mean and the biased variance (C,) of n values, as PyTorch does."""
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    norm.num_batches_tracked += 1
    momentum = norm.momentum if norm.momentum is not None else 1 / float(norm.num_batches_tracked)
    norm.running_mean.lerp_(mean, momentum)
    norm.running_var.lerp_(variance * (n / max(n - 1, 1)), momentum)
