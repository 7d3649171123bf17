"""Maximum over points of a linear layer, max_n <w_c, x_n> for each channel c, where PointNet spends its time.

Int8 products are two (AVX2) to four times (AVX-512 VNNI) faster than float32 products, and their error is bounded
(Cauchy-Schwarz). By that bound only a few points in a hundred can hold a channel's maximum, and only those are
multiplied in float32: the result is exact, in less time. ``peaks.c`` does this if a C compiler was available at
installation and the processor has such instructions. ``reference_peaks`` is the implementation in PyTorch, used
everywhere else.
"""

import ctypes
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

import torch
import torch.nn.functional as F
from torch import Tensor

_BLOCK = 64
"""Points in a block: a maximum is four times faster than an argmax, so only the block with the maximum is searched."""

_ROWS, _FOUR = 8, 4
"""An int8 weight is padded to multiples of this many rows and columns, as ``peaks.c`` expects."""


_MOST = 60_000
"""Largest number of inputs K for which a sum of int8 products fits 32 bits."""

_INTERFACE = 2
"""Version of the functions in ``peaks.c``: a library compiled from another version is not used."""

_INSTRUCTIONS = {"AVX2": 1, "AVX-512 VNNI": 2}
"""The sets of instructions, as ``peaks.c`` numbers them."""

_LARGEST = {"AVX2": 63, "AVX-512 VNNI": 127}
"""Largest value of a quantised weight; AVX2 adds up two products with bytes of points in 16 bits."""


@dataclass(frozen=True, eq=False)
class _QuantisedWeight:
    """A weight (C, K) quantised to int8 row by row, approximately ``scale[:, None] * values``."""

    values: Tensor
    """(C, K) int8, padded with zeros."""
    total: Tensor
    """(C,), sum of each row of ``values``."""
    scale: Tensor
    """(C,)"""
    size: Tensor
    """(C,), Euclidean norm of each row of ``values``."""
    residual: Tensor
    """(C,), Euclidean norm of each row's rounding error, weight / scale - values."""
    instructions: str
    """That it is for, a key of ``_LARGEST``."""


class Peaks:
    """max over n and argmax over n of ``weight @ points[n]`` for a copy of a weight (C, K) and clouds (N, K).

    Neither points nor weight get a gradient.
    """

    def __init__(self, weight: Tensor) -> None:
        self._weight = weight.detach().clone(memory_format=torch.contiguous_format)
        able = weight.dtype == torch.float32 and weight.device.type == "cpu" and weight.shape[1] <= _MOST
        instructions = int8_instructions()
        self._bytes = _quantise(self._weight, instructions) if able and instructions is not None else None

    @torch.no_grad()
    def values(self, clouds: Iterable[Tensor], points: int) -> Tensor:
        """Maxima (B, C) of B clouds (N, K) with N = ``points``."""
        if self._bytes is not None:
            return self.with_indices(clouds, points)[0]
        product = self._weight.new_empty(len(self._weight), points)
        return torch.stack([torch.mm(self._weight, cloud.t(), out=product).amax(1) for cloud in clouds])

    @torch.no_grad()
    def with_indices(self, clouds: Iterable[Tensor], points: int) -> tuple[Tensor, Tensor]:
        """Maxima and the index of the first point that attains each, both (B, C), of B clouds with N = ``points``."""
        if self._bytes is None:
            return reference_peaks(clouds, points, self._weight)
        peaks, indices = [], []
        for cloud in clouds:
            peak, index = self._int8_search(cloud, self._bytes) or reference_peaks([cloud], points, self._weight)
            peaks.append(peak.view(-1))
            indices.append(index.view(-1))
        return torch.stack(peaks), torch.stack(indices)

    def _int8_search(self, cloud: Tensor, weight: _QuantisedWeight) -> tuple[Tensor, Tensor] | None:
        """By int8 products; None if the bound excludes too few points or ``peaks.c`` can not read the tensors."""
        library, (c, k) = _library(), self._weight.shape
        if (
            library is None
            or not _is_plain_float32(cloud)
            or cloud.dim() != 2
            or cloud.shape[1] != k
            or len(cloud) == 0
        ):
            return None
        points, peak, index = cloud.contiguous(), self._weight.new_empty(c), torch.empty(c, dtype=torch.int64)
        done = library.peaks(
            _INSTRUCTIONS[weight.instructions],
            points.data_ptr(), len(points), k, c, self._weight.data_ptr(), weight.values.data_ptr(),
            weight.total.data_ptr(), weight.scale.data_ptr(), weight.size.data_ptr(), weight.residual.data_ptr(),
            torch.get_num_threads(), peak.data_ptr(), index.data_ptr(),
        )  # fmt: skip
        return (peak, index) if done else None

    @torch.no_grad()
    def critical_gradient(self, indices: Tensor, grad: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Back-propagate the maxima of one cloud to its points, through the ReLU that produced them.

        Parameters
        ----------
        indices : Tensor (C,), int64, the point that attains each maximum.
        grad : Tensor (C,), gradient of each maximum.
        points : Tensor (N, K), outputs of a ReLU.

        Returns
        -------
        Indices (M,) of the critical points, those that attain a maximum, ascending; and the gradient (M, K) of the
        inputs of the ReLU at these points.
        """
        library, (c, k) = _library(), self._weight.shape
        shapes = (indices.shape, grad.shape, points.shape) == ((c,), (c,), (len(points), k))
        floats = _is_plain_float32(grad) and _is_plain_float32(points) and indices.dtype == torch.int64
        if self._bytes is not None and library is not None and shapes and floats:
            n, indices, grad, points = len(points), indices.contiguous(), grad.contiguous(), points.contiguous()
            rows, gradient = torch.empty(min(n, c), dtype=torch.int64), points.new_empty(min(n, c), k)
            count = library.critical_slope(
                _INSTRUCTIONS[self._bytes.instructions],
                indices.data_ptr(), grad.data_ptr(), self._weight.data_ptr(), points.data_ptr(), n, k, c,
                rows.data_ptr(), gradient.data_ptr(),
            )  # fmt: skip
            if count >= 0:
                return rows[:count], gradient[:count]
        return reference_critical_gradient(indices, grad, self._weight, points)


def reference_critical_gradient(indices: Tensor, grad: Tensor, weight: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Reference implementation of ``Peaks(weight).critical_gradient``, for any precision and device."""
    order, channels = indices.sort()
    rows, count_per_point = torch.unique_consecutive(order, return_counts=True)
    gradient = F.embedding_bag(  # for each critical point, the sum over the channels whose maximum it attains
        channels, weight, count_per_point.cumsum(0) - count_per_point, mode="sum", per_sample_weights=grad[channels]
    )
    return rows, torch.ops.aten.threshold_backward(gradient, points.index_select(0, rows), 0)


def reference_peaks(clouds: Iterable[Tensor], points: int, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Reference implementation of ``Peaks(weight).with_indices``, for any precision and device."""
    c = len(weight)
    # one cloud's product stays in the processor's cache; the maximum runs along contiguous memory
    blocks = weight.new_empty(c, -(-points // _BLOCK), _BLOCK)
    rows = blocks.view(c, -1)
    rows[:, points:] = -torch.inf
    first = torch.arange(c, device=weight.device) * blocks.shape[1]
    peaks, indices = [], []
    for cloud in clouds:
        torch.mm(weight, cloud.t(), out=rows[:, :points])
        block = torch.max(blocks.amax(2), 1).indices
        peak, index = torch.max(blocks.view(-1, _BLOCK).index_select(0, first + block), 1)
        peaks.append(peak)
        indices.append(index.add_(block, alpha=_BLOCK))
    return torch.stack(peaks), torch.stack(indices)


def instruction_sets() -> list[str]:
    """The sets of instructions by which ``peaks.c`` can find maxima here, the fastest last; none without it."""
    library = _library()
    best = 0 if library is None else library.peaks_instructions()
    return [name for name, number in _INSTRUCTIONS.items() if number <= best]


def int8_instructions() -> str | None:
    """The set of instructions by which maxima on the CPU are found; None if all products are computed."""
    return next(reversed(instruction_sets()), None)


@cache
def _library() -> ctypes.CDLL | None:
    """The compiled ``peaks.c``, if there is one.

    It shares PyTorch's own OpenMP threads: a second pool would wait for the first, whose threads keep their cores busy
    for milliseconds after each operation.
    """
    found = find_spec("core.models.fast._peaks")
    if found is None or found.origin is None:
        return None
    try:
        library = ctypes.CDLL(found.origin)
        if library.peaks_interface() != _INTERFACE:
            return None
    except (OSError, AttributeError):
        return None
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    library.peaks.argtypes = [ctypes.c_int, pointer, *[number] * 3, *[pointer] * 6, ctypes.c_int32, pointer, pointer]
    library.critical_slope.argtypes = [ctypes.c_int, *[pointer] * 4, *[number] * 3, pointer, pointer]
    library.critical_slope.restype = number
    return library


def _is_plain_float32(tensor: Tensor) -> bool:
    """Whether the tensor's memory holds plain float32 values, as C reads it."""
    return tensor.dtype == torch.float32 and tensor.device.type == "cpu" and not tensor.is_neg()


def _quantise(weight: Tensor, instructions: str) -> _QuantisedWeight | None:
    """Quantise a weight (C, K); None if it is not finite."""
    largest = _LARGEST[instructions]
    scale = weight.abs().amax(1).div_(largest)
    scale.masked_fill_(scale == 0, 1)
    exact = weight / scale[:, None]
    values = exact.round().clamp_(-largest, largest)
    size, residual = torch.linalg.vector_norm(values, dim=1), torch.linalg.vector_norm(exact - values, dim=1)
    if not torch.isfinite(size + residual).all():
        return None
    c, k = weight.shape
    filled = torch.zeros(c + -c % _ROWS, k + -k % _FOUR, dtype=torch.int8)
    filled[:c, :k] = values
    return _QuantisedWeight(filled, values.sum(1, dtype=torch.int32), scale, size, residual, instructions)
