"""Batches of augmented clouds. Their random numbers depend only on the seed, the epoch and the number of the batch.

Therefore a resumed run equals an uninterrupted one, and no state of a random generator has to be saved.
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
    """Seed of the further random numbers for the batch: dropout and random starts of attacks."""


def batches(
    points: NDArray[np.float32],
    labels: NDArray[np.int64],
    rows: NDArray[np.int64],
    up: str,
    options: TrainOptions,
    epoch: int,
) -> Iterator[Batch]:
    """The batches of one epoch, all of nearly equal size, because batch norm can't be trained on a last batch of one.

    Parameters
    ----------
    points : array (n, P, 3)
        Stored clouds; only those of a batch are read at a time. Images (n, C, H, W) are learned as they are.
    labels : array (n,)
    rows : array (m,)
        Indices of the clouds of the epoch.
    up : str
        Axis of ``options.rotation``: "x", "y" or "z".
    epoch : int
        Counted from 1.
    """
    order = rows[torch.randperm(len(rows), generator=_generator(options.seed, epoch, 0)).numpy()]
    for number, chosen in enumerate(np.array_split(order, math.ceil(len(order) / options.batch_size)), 1):
        generator = _generator(options.seed, epoch, number)
        label = torch.from_numpy(labels[chosen])
        if points.ndim == 4:
            images = torch.from_numpy(points[chosen].astype(np.float32))
            yield Batch(images, label, int(torch.randint(2**62, (), generator=generator)))
            continue
        indices = _point_indices(len(chosen), points.shape[1], options, generator)
        clouds = torch.from_numpy(points[chosen]).gather(1, indices[:, :, None].expand(-1, -1, 3))
        seed = int(torch.randint(2**62, (), generator=generator))
        yield Batch(augmented(clouds, up, options, generator), label, seed)


def augmented(clouds: Tensor, up: str, options: TrainOptions, generator: torch.Generator) -> Tensor:
    """Clouds (B, N, 3), each rotated about the up axis, scaled and jittered at random."""
    b = len(clouds)
    if options.rotation:
        angle = (2 * torch.rand(b, generator=generator) - 1) * math.radians(options.rotation)
        clouds = clouds @ _rotations("xyz".index(up), angle).mT
    if options.scaling:
        clouds = clouds * (1 + options.scaling * (2 * torch.rand(b, 1, 1, generator=generator) - 1))
    if options.jitter:
        noise = options.jitter * torch.randn(clouds.shape, generator=generator)
        clouds = clouds + noise.clamp_(-options.jitter_clip, options.jitter_clip)
    return clouds


def _rotations(axis: int, angle: Tensor) -> Tensor:
    """Rotations (B, 3, 3) by ``angle`` (B,) in radians about a coordinate axis."""
    i, j = (axis + 1) % 3, (axis + 2) % 3
    rotations = torch.eye(3).repeat(len(angle), 1, 1)
    rotations[:, i, i] = rotations[:, j, j] = angle.cos()
    rotations[:, j, i] = angle.sin()
    rotations[:, i, j] = -angle.sin()
    return rotations


def _point_indices(count: int, stored: int, options: TrainOptions, generator: torch.Generator) -> Tensor:
    """Indices (count, points) of points that are drawn from each of ``count`` clouds with ``stored`` points."""
    if options.replacement:
        return torch.randint(stored, (count, options.points), generator=generator)
    if options.points == stored:
        return torch.arange(stored).expand(count, -1)
    order = torch.rand(count, stored, generator=generator).numpy()
    return torch.from_numpy(np.argpartition(order, options.points, axis=1)[:, : options.points])  # faster than topk


def _generator(*key: int) -> torch.Generator:
    """A generator whose seed is derived from several integers."""
    return torch.Generator().manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0]) >> 1)
