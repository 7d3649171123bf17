"""PointNet in eval mode with batch norms and alignments folded into the next layer's weights.

A ``FoldedPointNet`` gives the outputs of the model it was made from, up to rounding, in a fraction of the time, and its
gradient with respect to the clouds starts at the critical points, those that attain a channel's maximum. The backward
pass is written out as vector-Jacobian products, because autograd's bookkeeping of so many small steps costs a twentieth
of the time of one cloud. It is a snapshot of the weights, which get no gradient through it. ``eval_view`` gives the
snapshot of a model's present weights; the tests compare it with the model itself.
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
from core.models.framed import Framed
from core.models.port import Classifier, Output, evaluating, without_weight_gradients
from core.models.zoo.pointnet import PointLayer, PointNet, TNet

Affine = tuple[Tensor, Tensor]
"""Weight (K, C), with the outputs last, or (B, K, C), another for each cloud; and offset (C,) of a linear layer."""

VJP = Callable[[Tensor], Tensor]
"""Vector-Jacobian product: gradient of an output -> gradient of the input."""

Version = tuple[tuple[int, int], ...]
"""Address and PyTorch version counter of each of a model's tensors; in-place changes raise the counter."""

Pool = tuple[Peaks, Tensor]
"""A layer followed by the maximum over points: the maximum without the offset, and the offset (C,)."""

_folded_cache: "WeakKeyDictionary[nn.Module, tuple[Version, FoldedPointNet]]" = WeakKeyDictionary()


@contextmanager
def eval_view(model: Classifier) -> Iterator[Classifier]:
    """The fastest exact callable that computes ``model`` in eval mode; the model's own modes are restored afterwards.

    Clouds get a gradient through it, weights need not. For a PointNet on the CPU it is a ``FoldedPointNet``, which is
    made again when the weights have changed in a way PyTorch's version counters see (optimisers, ``load_state_dict``,
    in-place operations, but not writes through ``.data``), also behind a ``Framed``; any other model is used itself.
    """
    if type(model) is Framed:
        framed = model
        with eval_view(framed.model) as ask:
            yield lambda clouds: ask(framed.place(clouds))
    elif type(model) is PointNet and _on_cpu(model) and not torch.is_autocast_enabled("cpu"):
        yield _folded_from_cache(model)
    else:
        with evaluating(model), without_weight_gradients(model):
            yield model


def _on_cpu(model: PointNet) -> bool:
    return model.first.linear.weight.device.type == "cpu"


def _folded_from_cache(model: PointNet) -> "FoldedPointNet":
    tensors = (  # parameters() and buffers() take twice as long, which is a percent of the time of one cloud
        tensor
        for module in model.modules()
        for tensor in chain(module._parameters.values(), module._buffers.values())
        if tensor is not None
    )
    version = tuple((tensor.data_ptr(), tensor._version) for tensor in tensors)
    known = _folded_cache.get(model)
    if known is None or known[0] != version:
        with torch.inference_mode(False):  # tensors made in inference mode could never take part in a gradient
            known = _folded_cache[model] = version, FoldedPointNet(model)
    return known[1]


class FoldedPointNet:
    """Clouds (B, N, 3) -> ``Output`` of the model in eval mode; differentiable with respect to the clouds."""

    def __init__(self, model: PointNet) -> None:
        self._first = _AlignedLayer(model.input_transform, model.first)
        transform = model.feature_transform
        self._second = _AlignedLayer(transform, model.second) if transform is not None else _fold_layer(model.second)
        self._pool = _fold_pool(model.pool)
        self._classifier = _fold_head(model.classifier)

    def __call__(self, clouds: Tensor, /) -> Output:
        if torch.is_grad_enabled() and clouds.requires_grad:
            return Output(*_FoldedFunction.apply(clouds, self))
        latent, _ = self.latent(clouds, with_vjp=False)
        return Output(self.logits(latent)[0], latent)

    def latent(self, clouds: Tensor, *, with_vjp: bool) -> tuple[Tensor, VJP]:
        """Latents (B, D), and the VJP to clouds (B, N, 3)."""
        first, vjp_first = self._first(clouds, with_vjp=with_vjp)
        if not isinstance(self._second, _AlignedLayer):
            latent, vjp = _max_of_layers(clouds, [first, self._second], self._pool, with_vjp=with_vjp)
            return latent, lambda grad: vjp_first(*vjp(grad))
        x = torch.baddbmm(first[1], clouds, first[0]).relu_()
        second, vjp_second = self._second(x, with_vjp=with_vjp)
        latent, vjp = _max_of_layers(x, [second], self._pool, with_vjp=with_vjp)

        def vjp_both(grad: Tensor) -> Tensor:
            slope = _behind_relu(vjp_second(*vjp(grad)), x)
            return vjp_first(slope @ first[0].mT, clouds.mT @ slope)

        return latent, vjp_both

    def logits(self, latent: Tensor) -> tuple[Tensor, VJP]:
        """Logits (B, K), and the VJP to latents (B, D)."""
        return _apply_head(latent, self._classifier)


class _FoldedFunction(torch.autograd.Function):
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
        assert ctx.saved_tensors  # reading them fails if the clouds were modified since the forward pass
        return ctx.vjp_latent(ctx.vjp_logits(logits) + latent), None


class _AlignedLayer:
    """A T-Net's alignment and the layer after it, as one layer with a weight for each cloud."""

    def __init__(self, net: TNet, layer: nn.Module) -> None:
        self._points = [_fold_layer(each) for each in net.points]
        self._pool = _fold_pool(net.pool)
        *hidden, (weight, offset) = _fold_head(net.head)
        identity = torch.eye(net.size, dtype=offset.dtype, device=offset.device)
        self._head = [*hidden, (weight, offset + identity.flatten())]
        self._layer = _fold_layer(layer)

    def __call__(self, x: Tensor, *, with_vjp: bool) -> tuple[Affine, Callable[[Tensor, Tensor], Tensor]]:
        """The layer for points (B, N, K), and the VJP to them of what reached them already and of the layer's."""
        weight, offset = self._layer
        pooled, vjp_pooled = _max_of_layers(x, self._points, self._pool, with_vjp=with_vjp)
        pooled.relu_()
        alignment, vjp_alignment = _apply_head(pooled, self._head)
        aligned = alignment.view(len(x), *2 * x.shape[2:]) @ weight

        def vjp(points: Tensor, layer: Tensor) -> Tensor:
            grad = vjp_alignment((layer @ weight.t()).flatten(1))
            return points.add_(vjp_pooled(_behind_relu(grad, pooled))[0])

        return (aligned, offset), vjp


def _max_of_layers(
    x: Tensor, hidden: list[Affine], pool: Pool, *, with_vjp: bool
) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, Tensor]]]:
    """Maximum over the points x (B, N, K) of a layer after hidden ones with ReLU: (B, C).

    Its VJP gives the gradients of x and, where it is another for each cloud, of the first hidden weight. They start at
    the critical points, and it works only where it was asked for.
    """
    peaks, offset = pool
    steps: list[list[Tensor]] = []
    points = _points_after(x, hidden, steps if with_vjp else None)
    if not with_vjp:
        return peaks.values(points, x.shape[1]) + offset, _no_vjp
    peak, indices = peaks.with_indices(points, x.shape[1])
    first, *later = [weight for weight, _ in hidden]

    def vjp(grad: Tensor) -> tuple[Tensor, Tensor]:
        grad_x, grad_first = torch.zeros_like(x), torch.empty_like(first)
        for cloud, (after, index, share) in enumerate(zip(steps, indices, grad, strict=True)):
            rows, slope = peaks.critical_gradient(index, share, after[-1])
            for weight, before in zip(later[::-1], after[-2::-1], strict=True):
                slope = _behind_relu(slope @ weight.t(), before.index_select(0, rows))
            if first.dim() == 3:
                torch.mm(x[cloud].index_select(0, rows).t(), slope, out=grad_first[cloud])
            grad_x[cloud].index_copy_(0, rows, slope @ (first[cloud] if first.dim() == 3 else first).t())
        return grad_x, grad_first

    return peak + offset, vjp


def _no_vjp(_: Tensor) -> tuple[Tensor, Tensor]:
    raise RuntimeError("the forward pass was computed without its vector-Jacobian product")


def _points_after(x: Tensor, layers: list[Affine], kept: list[list[Tensor]] | None) -> Iterator[Tensor]:
    """Points (N, C) of each cloud after the layers, cloud by cloud so that they stay in the processor's cache.

    With ``kept``, the outputs of every layer are appended to it, a list for each cloud.
    """
    for index, points in enumerate(x):
        steps = []
        for weight, offset in layers:
            points = torch.addmm(offset, points, weight[index] if weight.dim() == 3 else weight).relu_()
            steps.append(points)
        if kept is not None:
            kept.append(steps)
        yield points


def _apply_head(x: Tensor, layers: list[Affine]) -> tuple[Tensor, VJP]:
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
    """The gradient of the input of a ReLU with output ``after``."""
    return torch.ops.aten.threshold_backward(grad, after, 0)  # type: ignore[no-any-return]


def _fold_head(head: nn.Sequential) -> list[Affine]:
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


def _fold_pool(layer: nn.Module) -> Pool:
    weight, offset = _fold_layer(layer)
    return Peaks(weight.t()), offset


def _fold_layer(layer: nn.Module) -> Affine:
    assert isinstance(layer, PointLayer)
    return _with_norm(layer.linear, layer.norm)


@torch.no_grad()
def _with_norm(linear: nn.Linear, norm: nn.BatchNorm1d) -> Affine:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    slope = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return linear.weight.t() * slope, (linear.bias - norm.running_mean) * slope + norm.bias
