"""The largest product of each channel's weight with the points of a cloud: where PointNet spends its time.

Products of bytes are four times faster than of single precision, and how far they are from the exact ones is bounded
(Cauchy-Schwarz). By that only a few points in a hundred can be a channel's largest, and those alone are multiplied
in single precision: the answer is exact, in less than half the time. ``peaks.c`` does it if a C compiler was at hand
at the installation and the processor multiplies bytes (AVX-512 VNNI). ``plain_peaks`` is the slow twin, for all else.
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
"""Points: a maximum alone is four times faster than one with its place, so only the block that holds it is searched."""

_ROWS, _FOUR = 8, 4
"""Rows and columns to whose multiples a weight of bytes is filled up, as in ``peaks.c``."""


_MOST = 60_000
"""Inputs, beyond which a sum of products of bytes may not fit its 32 bits."""

_INTERFACE = 1
"""That of ``peaks.c``: a library that was left from another version is not opened."""


@dataclass(frozen=True, eq=False)
class _Bytes:
    """A weight (C, K) as bytes, row by row: nearly ``scale * values``."""

    values: Tensor
    """(C, K), filled up with zeros."""
    total: Tensor
    """(C,), of the values of a row."""
    scale: Tensor
    """(C,)"""
    size: Tensor
    """(C,), norm of the values."""
    residual: Tensor
    """(C,), norm of what they leave of the weight, in units of them."""


class Peaks:
    """The largest product of each row of a weight (C, K), as it is now, with the points of a cloud (N, K).

    Points and weight get no gradient.
    """

    def __init__(self, weight: Tensor) -> None:
        self._weight = weight.detach().clone(memory_format=torch.contiguous_format)
        able = weight.dtype == torch.float32 and weight.device.type == "cpu" and weight.shape[1] <= _MOST
        self._bytes = _as_bytes(self._weight) if able and searches_by_bytes() else None

    @torch.no_grad()
    def of(self, clouds: Iterable[Tensor], points: int) -> Tensor:
        """Of clouds of ``points`` points each: (B, C)."""
        if self._bytes is not None:
            return self.with_places(clouds, points)[0]
        product = self._weight.new_empty(len(self._weight), points)
        return torch.stack([torch.mm(self._weight, cloud.t(), out=product).amax(1) for cloud in clouds])

    @torch.no_grad()
    def with_places(self, clouds: Iterable[Tensor], points: int) -> tuple[Tensor, Tensor]:
        """Of clouds of ``points`` points each, and the first point that has it, both (B, C)."""
        if self._bytes is None:
            return plain_peaks(clouds, points, self._weight)
        peaks, places = [], []
        for cloud in clouds:
            peak, place = self._searched(cloud, self._bytes) or plain_peaks([cloud], points, self._weight)
            peaks.append(peak.view(-1))
            places.append(place.view(-1))
        return torch.stack(peaks), torch.stack(places)

    def _searched(self, cloud: Tensor, weight: _Bytes) -> tuple[Tensor, Tensor] | None:
        """By bytes, or None where these points need all products; see ``peaks.c``."""
        library, (c, k) = _library(), self._weight.shape
        if library is None or not _plain_floats(cloud) or cloud.dim() != 2 or cloud.shape[1] != k or len(cloud) == 0:
            return None
        points, peak, place = cloud.contiguous(), self._weight.new_empty(c), torch.empty(c, dtype=torch.int64)
        done = library.peaks(
            points.data_ptr(), len(points), k, c, self._weight.data_ptr(), weight.values.data_ptr(),
            weight.total.data_ptr(), weight.scale.data_ptr(), weight.size.data_ptr(), weight.residual.data_ptr(),
            torch.get_num_threads(), peak.data_ptr(), place.data_ptr(),
        )  # fmt: skip
        return (peak, place) if done else None

    @torch.no_grad()
    def critical_slope(self, places: Tensor, share: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
        """The gradient of one cloud's peaks behind the ReLU that its points come from.

        Parameters
        ----------
        places, share : Tensor (C,), the point that has each peak, and the peak's gradient.
        after : Tensor (N, K), the points.

        Returns
        -------
        The critical points' rows (M,), which have a peak, in order; and their gradient (M, K) before the ReLU.
        """
        library, (c, k) = _library(), self._weight.shape
        shapes = (places.shape, share.shape, after.shape) == ((c,), (c,), (len(after), k))
        floats = _plain_floats(share) and _plain_floats(after) and places.dtype == torch.int64
        if self._bytes is not None and library is not None and shapes and floats:
            n, places, share, after = len(after), places.contiguous(), share.contiguous(), after.contiguous()
            rows, slope = torch.empty(min(n, c), dtype=torch.int64), after.new_empty(min(n, c), k)
            count = library.critical_slope(
                places.data_ptr(), share.data_ptr(), self._weight.data_ptr(), after.data_ptr(), n, k, c,
                rows.data_ptr(), slope.data_ptr(),
            )  # fmt: skip
            if count >= 0:
                return rows[:count], slope[:count]
        return plain_critical_slope(places, share, self._weight, after)


def plain_critical_slope(places: Tensor, share: Tensor, weight: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
    """What ``Peaks(weight).critical_slope`` answers. Any precision and device."""
    points, channels = places.sort()
    rows, won = torch.unique_consecutive(points, return_counts=True)
    slope = F.embedding_bag(  # for each critical point, the sum of the channels that it won
        channels, weight, won.cumsum(0) - won, mode="sum", per_sample_weights=share[channels]
    )
    return rows, torch.ops.aten.threshold_backward(slope, after.index_select(0, rows), 0)


def plain_peaks(clouds: Iterable[Tensor], points: int, weight: Tensor) -> tuple[Tensor, Tensor]:
    """What ``Peaks(weight).with_places`` answers, by all products. Any precision and device."""
    c = len(weight)
    # one cloud's product stays in the cache; a maximum along points that lie side by side is fast
    blocks = weight.new_empty(c, -(-points // _BLOCK), _BLOCK)
    rows = blocks.view(c, -1)
    rows[:, points:] = -torch.inf
    first = torch.arange(c, device=weight.device) * blocks.shape[1]
    peaks, places = [], []
    for cloud in clouds:
        torch.mm(weight, cloud.t(), out=rows[:, :points])
        block = torch.max(blocks.amax(2), 1).indices
        peak, place = torch.max(blocks.view(-1, _BLOCK).index_select(0, first + block), 1)
        peaks.append(peak)
        places.append(place.add_(block, alpha=_BLOCK))
    return torch.stack(peaks), torch.stack(places)


def searches_by_bytes() -> bool:
    """Whether maxima on the CPU are found the fast way here."""
    return _library() is not None


@cache
def _library() -> ctypes.CDLL | None:
    """``peaks.c``, if it was compiled and the processor can do what it asks.

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
    library.peaks.argtypes = [pointer, *[number] * 3, *[pointer] * 6, ctypes.c_int32, pointer, pointer]
    library.critical_slope.argtypes = [*[pointer] * 4, *[number] * 3, pointer, pointer]
    library.critical_slope.restype = number
    return library


def _plain_floats(tensor: Tensor) -> bool:
    """Whether the memory behind a tensor is what C takes it for."""
    return tensor.dtype == torch.float32 and tensor.device.type == "cpu" and not tensor.is_neg()


def _as_bytes(weight: Tensor) -> _Bytes | None:
    """None if the weight is not all finite."""
    scale = weight.abs().amax(1).div_(127)
    scale.masked_fill_(scale == 0, 1)
    exact = weight / scale[:, None]
    values = exact.round().clamp_(-127, 127)
    size, residual = torch.linalg.vector_norm(values, dim=1), torch.linalg.vector_norm(exact - values, dim=1)
    if not torch.isfinite(size + residual).all():
        return None
    c, k = weight.shape
    filled = torch.zeros(c + -c % _ROWS, k + -k % _FOUR, dtype=torch.int8)
    filled[:c, :k] = values
    return _Bytes(filled, values.sum(1, dtype=torch.int32), scale, size, residual)
