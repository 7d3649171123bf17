"""PointNet in eval mode as plain arithmetic: batch norms and alignments folded into the next layer's weights.

A ``FoldedPointNet`` answers like the model it was made from, up to rounding, in a fraction of the time, and the
gradient with respect to the clouds is computed of the critical points alone, which won a channel of a maximum. It is a
snapshot: weights get no gradient through it. ``answering`` gives the one of a model's present weights; the model itself
is the slow twin.
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
from core.models.peaks import Peaks
from core.models.pointnet import PointLayer, PointNet, TNet

Affine = tuple[Tensor, Tensor]
"""Weight (K, C), with the outputs last, or (B, K, C), another for each cloud; and offset (C,) of a linear layer."""

Version = tuple[tuple[int, int], ...]
"""Address and count of changes of each of a model's tensors: what is written to one in place raises its count."""

Pool = tuple[Peaks, Tensor]
"""A layer whose maximum over points is taken: the maximum without its offset, and the offset (C,)."""

_twins: "WeakKeyDictionary[nn.Module, tuple[Version, FoldedPointNet]]" = WeakKeyDictionary()


@contextmanager
def answering(model: Classifier) -> Iterator[Classifier]:
    """The fastest exact way to ask ``model`` in eval mode, whatever mode it is in; it is left in its own.

    Through it the clouds get a gradient, and weights may get none. A PointNet on the CPU is folded, and folded anew
    once its weights have changed in the ways PyTorch counts (optimisers, ``load_state_dict``, in-place operations, but
    not writes through ``.data``); any other model answers itself.
    """
    if type(model) is PointNet and _on_cpu(model) and not torch.is_autocast_enabled("cpu"):
        yield _twin(model)
    else:
        with evaluating(model):
            yield model


def _on_cpu(model: PointNet) -> bool:
    return model.first.linear.weight.device.type == "cpu"


def _twin(model: PointNet) -> "FoldedPointNet":
    tensors = (  # of model.parameters() and model.buffers(), which take twice as long: a percent of a cloud's time
        tensor
        for module in model.modules()
        for tensor in chain(module._parameters.values(), module._buffers.values())
        if tensor is not None
    )
    version = tuple((tensor.data_ptr(), tensor._version) for tensor in tensors)
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
        self._pool = _pool(model.pool)
        self._classifier = _folded_head(model.classifier)

    def __call__(self, clouds: Tensor, /) -> Output:
        x, first, later = clouds, _aligned(self._input_transform(clouds), self._first), [self._second]
        if self._feature_transform is not None:
            x = torch.baddbmm(first[1], x, first[0]).relu_()
            first, later = _aligned(self._feature_transform(x), self._second), []
        latent = _pooled(x, [first, *later], self._pool)
        return Output(_dense(latent, self._classifier), latent)


class _FoldedTNet:
    """Points (B, N, size) -> alignments (B, size, size)."""

    def __init__(self, net: TNet) -> None:
        self._size = net.size
        self._points = [_folded(layer) for layer in net.points]
        self._pool = _pool(net.pool)
        *hidden, (weight, offset) = _folded_head(net.head)
        identity = torch.eye(net.size, dtype=offset.dtype, device=offset.device)
        self._head = [*hidden, (weight, offset + identity.flatten())]

    def __call__(self, x: Tensor) -> Tensor:
        pooled = _pooled(x, self._points, self._pool)
        return _dense(pooled.relu_(), self._head).view(-1, self._size, self._size)


def _aligned(transform: Tensor, layer: Affine) -> Affine:
    """The layer after an alignment (B, K, K) as one: its weight is (B, K, C), another for each cloud."""
    weight, offset = layer
    return transform @ weight, offset


def _pooled(x: Tensor, hidden: list[Affine], pool: Pool) -> Tensor:
    """Maximum over the points x (B, N, K) of a layer after hidden ones with ReLU: (B, C)."""
    peaks, offset = pool
    if torch.is_grad_enabled() and x.requires_grad:
        return _CriticalMax.apply(x, hidden[0][0], hidden, peaks) + offset
    return peaks.of(_each_through(x, hidden), x.shape[1]) + offset


def _each_through(x: Tensor, layers: list[Affine], kept: list[list[Tensor]] | None = None) -> Iterator[Tensor]:
    """The points (N, C) of each cloud after the layers, kept with those after each; one cloud's stay in the cache."""
    for place, points in enumerate(x):
        steps = []
        for weight, offset in layers:
            points = torch.addmm(offset, points, weight[place] if weight.dim() == 3 else weight).relu_()
            steps.append(points)
        if kept is not None:
            kept.append(steps)
        yield points


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


def _pool(layer: nn.Module) -> Pool:
    weight, offset = _folded(layer)
    return Peaks(weight.t()), offset


def _folded(layer: nn.Module) -> Affine:
    assert isinstance(layer, PointLayer)
    return _with_norm(layer.linear, layer.norm)


@torch.no_grad()
def _with_norm(linear: nn.Linear, norm: nn.BatchNorm1d) -> Affine:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    slope = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return linear.weight.t() * slope, (linear.bias - norm.running_mean) * slope + norm.bias


class _CriticalMax(torch.autograd.Function):
    """Maximum over the points x (B, N, K) of hidden layers with ReLU and a product with a weight: (B, C).

    ``first`` is the weight of the first hidden layer, given apart because it may have a gradient beside x.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, first: Tensor, hidden: list[Affine], peaks: Peaks) -> Tensor:
        ctx.steps = []
        peak, place = peaks.with_places(_each_through(x, hidden, ctx.steps), x.shape[1])
        ctx.save_for_backward(x, first, place)
        ctx.later, ctx.peaks = [weight for weight, _ in hidden[1:]], peaks
        return peak

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, first, places = ctx.saved_tensors
        grad_x = torch.zeros_like(x)
        grad_first = torch.empty_like(first) if ctx.needs_input_grad[1] else None
        for cloud, (steps, place, share) in enumerate(zip(ctx.steps, places, grad, strict=True)):
            rows, slope = ctx.peaks.critical_slope(place, share, steps[-1])
            for weight, before in zip(ctx.later[::-1], steps[-2::-1], strict=True):
                slope = torch.ops.aten.threshold_backward(slope @ weight.t(), before.index_select(0, rows), 0)
            if grad_first is not None:
                torch.mm(x[cloud].index_select(0, rows).t(), slope, out=grad_first[cloud])
            grad_x[cloud].index_copy_(0, rows, slope @ (first[cloud] if first.dim() == 3 else first).t())
        return grad_x, grad_first, None, None
