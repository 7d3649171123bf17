"""How well classes are separated among latents, or among positions in a t-SNE map of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

PURITY_NEIGHBOURS = 10
"""Nearest neighbours that are compared for the purity."""


@dataclass(frozen=True)
class Separation:
    """How well classes are separated.

    Attributes
    ----------
    silhouette : float
        Mean silhouette (Rousseeuw 1987), -1 to 1; NaN where fewer than two classes are present.
    purity : float
        Mean share of a point's ten nearest neighbours that are of its own class, 0 to 1.
    """

    silhouette: float
    purity: float


def separation(points: ArrayLike, labels: ArrayLike) -> Separation:
    """Separation of the classes ``labels`` (n,) among ``points`` (n, d): latents, or positions in a map.

    For the clean and for the adversarial points of a map, it measures what Figures 8 and 9 of the Defense-PointNet
    paper show.

    Raises
    ------
    ValueError
        If there are at most ten points, or the numbers of labels and points differ.
    """
    from sklearn.metrics import silhouette_score
    from sklearn.neighbors import NearestNeighbors

    points, labels = np.asarray(points), np.asarray(labels)
    if len(points) != len(labels):
        raise ValueError(f"There are {len(points)} points but {len(labels)} labels.")
    if len(points) <= PURITY_NEIGHBOURS:
        raise ValueError(f"Separation needs more than {PURITY_NEIGHBOURS} points, and there are {len(points)}.")
    nearest = NearestNeighbors(n_neighbors=PURITY_NEIGHBOURS).fit(points).kneighbors(return_distance=False)
    classes = len(np.unique(labels))
    silhouette = silhouette_score(points, labels) if 1 < classes < len(points) else np.nan
    return Separation(float(silhouette), float((labels[nearest] == labels[:, None]).mean()))
