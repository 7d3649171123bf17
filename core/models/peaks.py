"""The largest product of each channel's weight with the points of a cloud: where PointNet spends its time.

Products of bytes are four times faster than of single precision, and how far they are from the exact ones is bounded
(Cauchy-Schwarz). By that only one or two points in a hundred can be a channel's largest, and those alone are multiplied
in single precision: the answer is exact, in less than half the time. ``peaks.c`` does it if a C compiler was at hand
at the installation and the processor multiplies bytes (AVX-512 VNNI). ``plain_peaks`` is the slow twin, for all else.
"""

import ctypes
from collections.abc import Iterable, Iterator
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
    """(C,), norm of what the values stand for."""
    rest: Tensor
    """(C,), norm of what they leave."""


class Peaks:
    """The largest product of each row of a weight (C, K) with the points of a cloud (N, K). Without gradient."""

    def __init__(self, weight: Tensor) -> None:
        self._weight = weight.detach().contiguous()
        able = weight.dtype == torch.float32 and weight.device.type == "cpu" and _library() is not None
        self._bytes = _as_bytes(self._weight) if able else None

    def of(self, clouds: Iterable[Tensor], points: int) -> Tensor:
        """Of clouds of ``points`` points each: (B, C)."""
        if self._bytes is not None:
            return self.with_places(clouds, points)[0]
        product = self._weight.new_empty(len(self._weight), points)
        return torch.stack([torch.mm(self._weight, cloud.t(), out=product).amax(1) for cloud in clouds])

    def with_places(self, clouds: Iterable[Tensor], points: int) -> tuple[Tensor, Tensor]:
        """Of clouds of ``points`` points each, and the first point that has it, both (B, C)."""
        if self._bytes is None:
            return plain_peaks(clouds, points, self._weight)
        peaks, places = zip(*self._searched(clouds, self._bytes), strict=True)
        return torch.stack(peaks), torch.stack(places)

    def _searched(self, clouds: Iterable[Tensor], weight: _Bytes) -> Iterator[tuple[Tensor, Tensor]]:
        library = _library()
        assert library is not None
        c, k = self._weight.shape
        fixed = (self._weight, weight.values, weight.total, weight.scale, weight.size, weight.rest)
        for cloud in clouds:
            points = cloud.detach().contiguous()
            peak, place = self._weight.new_empty(c), torch.empty(c, dtype=torch.int64)
            if points.dtype == torch.float32 and points.shape[1] == k and library.peaks(
                points.data_ptr(), len(points), k, c, *(tensor.data_ptr() for tensor in fixed),
                torch.get_num_threads(), peak.data_ptr(), place.data_ptr(),
            ):  # fmt: skip
                yield peak, place
            else:  # a point is not finite, which has to be seen in the answer
                peaks, places = plain_peaks([points], len(points), self._weight)
                yield peaks[0], places[0]

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
        if self._bytes is None or (library := _library()) is None:
            return plain_critical_slope(places, share, self._weight, after)
        (n, k), c = after.shape, len(places)
        rows, slope = torch.empty(min(n, c), dtype=torch.int64), after.new_empty(min(n, c), k)
        places, share, after = places.contiguous(), share.contiguous(), after.contiguous()
        count = library.critical_slope(
            places.data_ptr(), share.data_ptr(), self._weight.data_ptr(), after.data_ptr(), n, k, c,
            rows.data_ptr(), slope.data_ptr(),
        )  # fmt: skip
        if count < 0:
            raise MemoryError("There is no memory left for the gradient of a maximum over points.")
        return rows[:count], slope[:count]


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
    first = torch.arange(c) * blocks.shape[1]
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
    found = find_spec("core.models._peaks")
    if found is None or found.origin is None:
        return None
    try:
        library = ctypes.CDLL(found.origin)
    except OSError:
        return None
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    library.peaks.argtypes = [pointer, *[number] * 3, *[pointer] * 6, ctypes.c_int32, pointer, pointer]
    library.critical_slope.argtypes = [*[pointer] * 4, *[number] * 3, pointer, pointer]
    library.critical_slope.restype = number
    return library if library.peaks_supported() else None


@torch.no_grad()
def _as_bytes(weight: Tensor) -> _Bytes | None:
    """None if the weight is not all finite."""
    scale = weight.abs().amax(1).div_(127)
    scale.masked_fill_(scale == 0, 1)
    whole = (weight / scale[:, None]).round_()
    nearly = whole * scale[:, None]
    size, rest = torch.linalg.vector_norm(nearly, dim=1), torch.linalg.vector_norm(weight - nearly, dim=1)
    if not torch.isfinite(size + rest).all():
        return None
    c, k = weight.shape
    values = torch.zeros(c + -c % _ROWS, k + -k % _FOUR, dtype=torch.int8)
    values[:c, :k] = whole
    return _Bytes(values, whole.sum(1, dtype=torch.int32), scale, size, rest)
