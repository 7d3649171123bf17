"""Batches of augmented clouds; everything random in them is a function of (seed, epoch, batch) and of nothing else.

That is what makes a resumed run equal an unbroken one: there is no state of a random generator to save.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.training.options import TrainOptions


@dataclass(frozen=True, eq=False)
class Batch:
    """One batch of training clouds."""

    clouds: Tensor
    """(B, N, 3) float32, in unit-sphere radii."""
    label: Tensor
    """(B,)"""
    seed: int
    """Source of the batch's further randomness: dropout and random starts of attacks."""


def batches(
    points: NDArray[np.float32],
    labels: NDArray[np.int64],
    rows: NDArray[np.int64],
    up: str,
    options: TrainOptions,
    epoch: int,
) -> Iterator[Batch]:
    """The batches of one epoch, all of nearly equal size: batch norm can't learn from a last batch of one.

    Parameters
    ----------
    points : array (n, P, 3)
        Stored clouds; only what a batch needs is read.
    labels : array (n,)
    rows : array (m,)
        The clouds of the epoch.
    up : str
        Axis of ``options.rotation``: "x", "y" or "z".
    epoch : int
        Counted from 1.
    """
    order = rows[torch.randperm(len(rows), generator=_generator(options.seed, epoch, 0)).numpy()]
    for number, chosen in enumerate(np.array_split(order, math.ceil(len(order) / options.batch_size)), 1):
        generator = _generator(options.seed, epoch, number)
        columns = _columns(len(chosen), points.shape[1], options, generator)
        clouds = torch.from_numpy(points[chosen]).gather(1, columns[:, :, None].expand(-1, -1, 3))
        seed = int(torch.randint(2**62, (), generator=generator))
        yield Batch(augmented(clouds, up, options, generator), torch.from_numpy(labels[chosen]), seed)


def augmented(clouds: Tensor, up: str, options: TrainOptions, generator: torch.Generator) -> Tensor:
    """Clouds (B, N, 3) turned about the up axis, scaled and jittered, each by its own random amount."""
    b = len(clouds)
    if options.rotation:
        angle = (2 * torch.rand(b, generator=generator) - 1) * math.radians(options.rotation)
        clouds = clouds @ _turns("xyz".index(up), angle).mT
    if options.scaling:
        clouds = clouds * (1 + options.scaling * (2 * torch.rand(b, 1, 1, generator=generator) - 1))
    if options.jitter:
        noise = options.jitter * torch.randn(clouds.shape, generator=generator)
        clouds = clouds + noise.clamp_(-options.jitter_clip, options.jitter_clip)
    return clouds


def _turns(axis: int, angle: Tensor) -> Tensor:
    """Rotations (B, 3, 3) by ``angle`` (B,) in radians about a coordinate axis."""
    i, j = (axis + 1) % 3, (axis + 2) % 3
    turns = torch.eye(3).repeat(len(angle), 1, 1)
    turns[:, i, i] = turns[:, j, j] = angle.cos()
    turns[:, j, i] = angle.sin()
    turns[:, i, j] = -angle.sin()
    return turns


def _columns(count: int, stored: int, options: TrainOptions, generator: torch.Generator) -> Tensor:
    """Indices (count, points) of the points drawn from each of ``count`` clouds of ``stored`` points."""
    if options.replacement:
        return torch.randint(stored, (count, options.points), generator=generator)
    if options.points == stored:
        return torch.arange(stored).expand(count, -1)
    places = torch.rand(count, stored, generator=generator).numpy()
    return torch.from_numpy(np.argpartition(places, options.points, axis=1)[:, : options.points])  # topk takes longer


def _generator(*place: int) -> torch.Generator:
    return torch.Generator().manual_seed(int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0]) >> 1)
