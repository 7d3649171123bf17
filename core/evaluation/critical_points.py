"""Critical points: those whose values are the maxima that a model takes over all points of a cloud.

The maximum of each channel of a PointNet's latent is attained at one point, and moving any other point changes nothing
until it exceeds that maximum, apart from the alignment, whose network takes a maximum of its own (Qi et al., PointNet,
2017, section 4.3).
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.overrides import TorchFunctionMode

from core.defenses.defended import Defended
from core.models import Classifier
from core.models.framed import Framed
from core.models.port import evaluating

_MAXIMA = (torch.max, torch.amax, Tensor.max, Tensor.amax)
_POOLS = ("max_pool1d", "max_pool2d", "adaptive_max_pool1d", "adaptive_max_pool2d")


def critical_channels(model: Classifier, cloud: Tensor) -> NDArray[np.int64] | None:
    """Count the channels whose maximum over points each point attains, in the maximum that makes the latent.

    That of PointNet, DGCNN and GDANet has one. It is found by watching the maxima that are computed, so it works for
    models of other projects too; of one whose latent is not known the last maximum is taken.

    Parameters
    ----------
    cloud : Tensor (1, N, 3).

    Returns
    -------
    (N,); of points that attain one maximum together the first counts, and a channel with one value at all points counts
    for none. None for a model that takes no maximum over all points (PointNet++ takes it over chosen centres), for a
    graph, whose operations cannot be watched, and behind a defence, where the model sees other points than these.
    """
    points = cloud.shape[1]
    if points < 2 or _is_defended(model):
        return None
    with evaluating(model), torch.no_grad(), _WatchMaxima(points) as watch:
        latent = model(cloud).latent
    found = [winners for winners, maxima in watch.maxima if not latent.numel() or _make_up(maxima, latent[0])]
    return np.bincount(found[-1].numpy(force=True), minlength=points) if found else None


def _make_up(maxima: Tensor, latent: Tensor) -> bool:
    """Whether maxima (C,) are at least half of a latent (D,), also if a ReLU follows them."""
    same = torch.isin(latent, maxima) | (torch.isin(latent, maxima.relu()) & (latent > 0))
    return int(same.sum()) * 2 >= len(latent)


def _is_defended(model: Classifier) -> bool:
    inner = model.model if isinstance(model, Framed) else model
    return isinstance(inner, Defended)


class _WatchMaxima(TorchFunctionMode):
    """Notes each maximum over a dimension of N values, for N points of a single cloud."""

    def __init__(self, points: int) -> None:
        super().__init__()
        self._points = points
        self.maxima: list[tuple[Tensor, Tensor]] = []
        """For each, the index of the point that attains it in each channel whose values differ, and (C,) all maxima."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        arguments, result = kwargs or {}, func(*args, **(kwargs or {}))
        if func in _MAXIMA:
            self._note(
                args[0] if args else arguments["input"], arguments.get("dim", args[1] if len(args) > 1 else None)
            )
        elif getattr(func, "__name__", "") in _POOLS:
            values = args[0] if args else arguments["input"]
            channels = (result[0] if isinstance(result, tuple) else result).numel()
            self._note(values.reshape(channels, -1), 1)  # one maximum for each channel, if there are N values for it
        return result

    def _note(self, values: Tensor, dim: Any) -> None:
        dim = dim[0] if isinstance(dim, tuple | list) and len(dim) == 1 else dim
        if isinstance(dim, int) and values.dim() > 1 and values.shape[dim] == self._points:
            rows = values.detach().movedim(dim, 0).flatten(1)
            maxima, winners = rows.max(0)
            self.maxima.append((winners[maxima > rows.amin(0)], maxima))
