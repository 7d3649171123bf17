"""The position of a new latent in a finished t-SNE map."""

import numpy as np
from numpy.typing import ArrayLike

from core.evaluation.tsne import Floats, Map

NEIGHBOURS = 9
"""Nearest latents of the map from which a position is computed."""


class Placer:
    """Computes positions of new latents in a finished map, without fitting the map again.

    The position is the weighted median of those of the nearest latents of the map, with weights 1 / squared distance. A
    latent of the map gets its own position. A mean would often be between two clusters, where there are no points.
    It is fast enough to follow a slider: 16 latents in a map of 2,874 take less than a millisecond, twenty times less
    than with openTSNE's ``transform`` (``make bench``).

    Parameters
    ----------
    latents : (n, d)
        The latents on which ``map`` was fitted, in the same order.
    map : Map

    Raises
    ------
    ValueError
        If there are more or fewer latents than points of the map.
    """

    def __init__(self, latents: ArrayLike, map: Map) -> None:
        self._map = map
        self._features = map.features(latents)
        if len(self._features) != len(map.xy):
            raise ValueError(f"The map has {len(map.xy)} points, but {len(self._features)} latents were given.")
        self._half_squares = np.einsum("nk,nk->n", self._features, self._features) / 2
        self._neighbours = min(NEIGHBOURS, len(map.xy))

    def place(self, latents: ArrayLike) -> Floats:
        """Positions (m, 2) in the map of latents (m, d)."""
        points = self._map.features(latents)
        # half the squared distance, without the term that is the same for all latents of the map
        half_squares = self._half_squares - points @ self._features.T
        nearest = np.argpartition(half_squares, self._neighbours - 1, axis=1)[:, : self._neighbours]
        squares = np.square(self._features[nearest] - points[:, None]).sum(axis=2)
        weights = 1 / np.maximum(squares, 1e-12)
        return np.stack([_weighted_median(self._map.xy[nearest, axis], weights) for axis in (0, 1)], axis=1)


def _weighted_median(values: Floats, weights: Floats) -> Floats:
    """(m,), for each row of ``values`` (m, k) the smallest value up to which the weights reach half of their sum."""
    order = np.argsort(values, axis=1)
    running = np.cumsum(np.take_along_axis(weights, order, axis=1), axis=1)
    middle = np.argmax(running >= running[:, -1:] / 2, axis=1)
    chosen: Floats = np.take_along_axis(values, order, axis=1)[np.arange(len(values)), middle]
    return chosen
