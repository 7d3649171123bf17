"""PointNet in eval mode as plain arithmetic: batch norms and alignments folded into the next layer's weights.

A ``FoldedPointNet`` answers like the model it was made from, up to rounding, in a fraction of the time, and the
gradient with respect to the clouds starts at the critical points, which won a channel of a maximum. Each part returns
its output and its VJP, a function from the gradient of that output to the gradient of its input: autograd's bookkeeping
of so many small steps costs a twentieth of a cloud's time. It is a snapshot: weights get no gradient through it.
``eval_view`` gives the one of a model's present weights; the model itself is the slow twin.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from core.models.fast.peaks import Peaks
from core.models.port import Classifier, Output, evaluating
from core.models.zoo.pointnet import PointLayer, PointNet, TNet

Affine = tuple[Tensor, Tensor]
"""Weight (K, C), with the outputs last, or (B, K, C), another for each cloud; and offset (C,) of a linear layer."""

VJP = Callable[[Tensor], Tensor]
"""Vector-Jacobian product: gradient of an output -> gradient of the input."""

Version = tuple[tuple[int, int], ...]
"""Address and count of changes of each of a model's tensors: what is written to one in place raises its count."""

Pool = tuple[Peaks, Tensor]
"""A layer whose maximum over points is taken: the maximum without its offset, and the offset (C,)."""

_twins: "WeakKeyDictionary[nn.Module, tuple[Version, FoldedPointNet]]" = WeakKeyDictionary()


@contextmanager
def eval_view(model: Classifier) -> Iterator[Classifier]:
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
        self._first = _AlignedLayer(model.input_transform, model.first)
        transform = model.feature_transform
        self._second = _AlignedLayer(transform, model.second) if transform is not None else _folded(model.second)
        self._pool = _folded_pool(model.pool)
        self._classifier = _folded_head(model.classifier)

    def __call__(self, clouds: Tensor, /) -> Output:
        if torch.is_grad_enabled() and clouds.requires_grad:
            return Output(*_Answer.apply(clouds, self))
        latent, _ = self.latent(clouds, with_vjp=False)
        return Output(self.logits(latent)[0], latent)

    def latent(self, clouds: Tensor, *, with_vjp: bool) -> tuple[Tensor, VJP]:
        """Latents (B, D), and the VJP to clouds (B, N, 3)."""
        first, vjp_first = self._first(clouds, with_vjp=with_vjp)
        if not isinstance(self._second, _AlignedLayer):
            latent, vjp = _pooled(clouds, [first, self._second], self._pool, with_vjp=with_vjp)
            return latent, lambda grad: vjp_first(*vjp(grad))
        x = torch.baddbmm(first[1], clouds, first[0]).relu_()
        second, vjp_second = self._second(x, with_vjp=with_vjp)
        latent, vjp = _pooled(x, [second], self._pool, with_vjp=with_vjp)

        def vjp_both(grad: Tensor) -> Tensor:
            slope = _behind_relu(vjp_second(*vjp(grad)), x)
            return vjp_first(slope @ first[0].mT, clouds.mT @ slope)

        return latent, vjp_both

    def logits(self, latent: Tensor) -> tuple[Tensor, VJP]:
        """Logits (B, K), and the VJP to latents (B, D)."""
        return _dense(latent, self._classifier)


class _Answer(torch.autograd.Function):
    """Clouds (B, N, 3) -> logits (B, K) and latents (B, D)."""

    @staticmethod
    def forward(ctx: Any, clouds: Tensor, model: FoldedPointNet) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(clouds)
        latent, ctx.vjp_latent = model.latent(clouds, with_vjp=True)
        logits, ctx.vjp_logits = model.logits(latent)
        return logits, latent

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, logits: Tensor, latent: Tensor) -> tuple[Tensor, None]:
        assert ctx.saved_tensors  # which fails where the clouds were written to since
        return ctx.vjp_latent(ctx.vjp_logits(logits) + latent), None


class _AlignedLayer:
    """A layer behind a T-Net's alignment of its points, as one layer whose weight is another for each cloud."""

    def __init__(self, net: TNet, layer: nn.Module) -> None:
        self._points = [_folded(each) for each in net.points]
        self._pool = _folded_pool(net.pool)
        *hidden, (weight, offset) = _folded_head(net.head)
        identity = torch.eye(net.size, dtype=offset.dtype, device=offset.device)
        self._head = [*hidden, (weight, offset + identity.flatten())]
        self._layer = _folded(layer)

    def __call__(self, x: Tensor, *, with_vjp: bool) -> tuple[Affine, Callable[[Tensor, Tensor], Tensor]]:
        """The layer for points (B, N, K), and the VJP to them of what reached them already and of the layer's."""
        weight, offset = self._layer
        pooled, vjp_pooled = _pooled(x, self._points, self._pool, with_vjp=with_vjp)
        pooled.relu_()
        alignment, vjp_alignment = _dense(pooled, self._head)
        aligned = alignment.view(len(x), *2 * x.shape[2:]) @ weight

        def vjp(points: Tensor, layer: Tensor) -> Tensor:
            grad = vjp_alignment((layer @ weight.t()).flatten(1))
            return points.add_(vjp_pooled(_behind_relu(grad, pooled))[0])

        return (aligned, offset), vjp


def _pooled(
    x: Tensor, hidden: list[Affine], pool: Pool, *, with_vjp: bool
) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, Tensor]]]:
    """Maximum over the points x (B, N, K) of a layer after hidden ones with ReLU: (B, C).

    Its VJP gives the gradients of x and, where it is another for each cloud, of the first hidden weight. They start at
    the critical points, and it works only where it was asked for.
    """
    peaks, offset = pool
    steps: list[list[Tensor]] = []
    points = _each_through(x, hidden, steps if with_vjp else None)
    if not with_vjp:
        return peaks.of(points, x.shape[1]) + offset, _no_vjp
    peak, places = peaks.with_places(points, x.shape[1])
    first, *later = [weight for weight, _ in hidden]

    def vjp(grad: Tensor) -> tuple[Tensor, Tensor]:
        grad_x, grad_first = torch.zeros_like(x), torch.empty_like(first)
        for cloud, (after, place, share) in enumerate(zip(steps, places, grad, strict=True)):
            rows, slope = peaks.critical_slope(place, share, after[-1])
            for weight, before in zip(later[::-1], after[-2::-1], strict=True):
                slope = _behind_relu(slope @ weight.t(), before.index_select(0, rows))
            if first.dim() == 3:
                torch.mm(x[cloud].index_select(0, rows).t(), slope, out=grad_first[cloud])
            grad_x[cloud].index_copy_(0, rows, slope @ (first[cloud] if first.dim() == 3 else first).t())
        return grad_x, grad_first

    return peak + offset, vjp


def _no_vjp(_: Tensor) -> tuple[Tensor, Tensor]:
    raise RuntimeError("no gradient was asked for")


def _each_through(x: Tensor, layers: list[Affine], kept: list[list[Tensor]] | None) -> Iterator[Tensor]:
    """The points (N, C) of each cloud after the layers, kept with those after each; one cloud's stay in the cache."""
    for place, points in enumerate(x):
        steps = []
        for weight, offset in layers:
            points = torch.addmm(offset, points, weight[place] if weight.dim() == 3 else weight).relu_()
            steps.append(points)
        if kept is not None:
            kept.append(steps)
        yield points


def _dense(x: Tensor, layers: list[Affine]) -> tuple[Tensor, VJP]:
    """Layers, all but the last with ReLU, of rows x (B, K), and the VJP to them."""
    *hidden, (weight, offset) = layers
    steps = []
    for matrix, shift in hidden:
        x = torch.addmm(shift, x, matrix).relu_()
        steps.append(x)

    def vjp(grad: Tensor) -> Tensor:
        grad = grad @ weight.t()
        for (matrix, _), after in zip(hidden[::-1], steps[::-1], strict=True):
            grad = _behind_relu(grad, after) @ matrix.t()
        return grad

    return torch.addmm(offset, x, weight), vjp


def _behind_relu(grad: Tensor, after: Tensor) -> Tensor:
    """The gradient before a ReLU that gave ``after``."""
    return torch.ops.aten.threshold_backward(grad, after, 0)  # type: ignore[no-any-return]


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


def _folded_pool(layer: nn.Module) -> Pool:
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
