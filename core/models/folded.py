"""PointNet in eval mode as plain arithmetic: batch norms and alignments folded into the next layer's weights.

A ``FoldedPointNet`` answers like the model it was made from, up to rounding, in a fraction of the time, and the
gradient with respect to the clouds flows back through the critical points alone. It is a snapshot: weights get no
gradient through it. ``answering`` gives the one of a model's present weights; the model itself is the slow twin.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from core.models.base import Classifier, Output, evaluating
from core.models.fused import matmul_max
from core.models.pointnet import PointLayer, PointNet, TNet

Affine = tuple[Tensor, Tensor]
"""Weight (K, C), with the outputs last, and offset (C,) of a linear layer."""

Version = tuple[tuple[int, int], ...]
"""Address and count of changes of each of a model's tensors: what is written to one in place raises its count."""

_twins: "WeakKeyDictionary[nn.Module, tuple[Version, FoldedPointNet]]" = WeakKeyDictionary()


@contextmanager
def answering(model: Classifier) -> Iterator[Classifier]:
    """The fastest exact way to ask ``model`` in eval mode, whatever mode it is in; it is left in its own.

    Through it the clouds get a gradient, and weights may get none. A PointNet on the CPU is folded, and folded anew
    once its weights have changed; any other model answers itself.
    """
    if type(model) is PointNet and _on_cpu(model) and not torch.is_autocast_enabled("cpu"):
        yield _twin(model)
    else:
        with evaluating(model):
            yield model


def _on_cpu(model: PointNet) -> bool:
    return model.first.linear.weight.device.type == "cpu"


def _twin(model: PointNet) -> "FoldedPointNet":
    version = tuple((tensor.data_ptr(), tensor._version) for tensor in chain(model.parameters(), model.buffers()))
    known = _twins.get(model)
    if known is None or known[0] != version:
        with torch.inference_mode(False):  # or what is made here could never be part of a gradient
            known = _twins[model] = version, FoldedPointNet(model)
    return known[1]


class FoldedPointNet:
    """Clouds (B, N, 3) -> ``Output``, as the model would answer in eval mode; differentiable in the clouds."""

    def __init__(self, model: PointNet) -> None:
        self._input_transform = _FoldedTNet(model.input_transform)
        self._first = _folded(model.first)
        transform = model.feature_transform
        self._feature_transform = _FoldedTNet(transform) if transform is not None else None
        self._second = _folded(model.second)
        self._pool = _folded(model.pool)
        self._classifier = _folded_head(model.classifier)

    def __call__(self, clouds: Tensor, /) -> Output:
        x = _aligned(clouds, self._input_transform(clouds), self._first)
        if self._feature_transform is not None:
            x = _aligned(x, self._feature_transform(x), self._second)
        else:
            x = _shared(x, self._second)
        latent = _pooled(x, self._pool)
        return Output(_dense(latent, self._classifier), latent)


class _FoldedTNet:
    """Points (B, N, size) -> alignments (B, size, size)."""

    def __init__(self, net: TNet) -> None:
        self._size = net.size
        self._points = [_folded(layer) for layer in net.points]
        self._pool = _folded(net.pool)
        *hidden, (weight, offset) = _folded_head(net.head)
        identity = torch.eye(net.size, dtype=offset.dtype, device=offset.device)
        self._head = [*hidden, (weight, offset + identity.flatten())]

    def __call__(self, x: Tensor) -> Tensor:
        for layer in self._points:
            x = _shared(x, layer)
        return _dense(_pooled(x, self._pool).relu_(), self._head).view(-1, self._size, self._size)


def _shared(x: Tensor, layer: Affine) -> Tensor:
    """ReLU of a layer on each of the points x (B, N, K)."""
    weight, offset = layer
    return torch.addmm(offset, x.flatten(0, 1), weight).relu_().unflatten(0, x.shape[:2])


def _aligned(x: Tensor, transform: Tensor, layer: Affine) -> Tensor:
    """ReLU of a layer on points x (B, N, K) aligned by (B, K, K): one product, with the alignment in the weights."""
    weight, offset = layer
    return torch.baddbmm(offset, x, transform @ weight).relu_()


def _pooled(x: Tensor, layer: Affine) -> Tensor:
    """Maximum over the points x (B, N, K) of a layer: (B, C)."""
    weight, offset = layer
    if torch.is_grad_enabled() and x.requires_grad:
        return _MatmulMax.apply(x, weight.t()) + offset
    product = x.new_empty(weight.shape[1], x.shape[1])
    return torch.stack([torch.mm(weight.t(), cloud.t(), out=product).amax(1) for cloud in x]) + offset


def _dense(x: Tensor, layers: list[Affine]) -> Tensor:
    *hidden, last = layers
    for weight, offset in hidden:
        x = torch.addmm(offset, x, weight).relu_()
    weight, offset = last
    return torch.addmm(offset, x, weight)


def _folded_head(head: nn.Sequential) -> list[Affine]:
    """The linear layers of a head with their batch norms; dropout, which does nothing in eval mode, may be between."""
    layers: list[Affine] = []
    linear: nn.Linear | None = None
    for part in head:
        if isinstance(part, nn.BatchNorm1d) and linear is not None:
            layers[-1] = _with_norm(linear, part)
        elif isinstance(part, nn.Linear):
            linear = part
            layers.append((part.weight.detach().clone().t(), part.bias.detach().clone()))
    return layers


def _folded(layer: nn.Module) -> Affine:
    assert isinstance(layer, PointLayer)
    return _with_norm(layer.linear, layer.norm)


@torch.no_grad()
def _with_norm(linear: nn.Linear, norm: nn.BatchNorm1d) -> Affine:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    slope = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return linear.weight.t() * slope, (linear.bias - norm.running_mean) * slope + norm.bias


class _MatmulMax(torch.autograd.Function):
    """max over n of x (B, N, K) @ weight (C, K).T -> (B, C), with the gradient of x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        peak, index = matmul_max(x, weight)
        ctx.save_for_backward(weight, index)
        ctx.n = x.shape[1]
        return peak

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        weight, index = ctx.saved_tensors
        grad_x = grad.new_zeros(len(grad), ctx.n, weight.shape[1])
        for cloud, where, share in zip(grad_x, index, grad, strict=True):
            cloud.index_add_(0, where, share[:, None] * weight)
        return grad_x, None
