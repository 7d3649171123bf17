"""Distances of adversarial samples from the clean ones, those of the eye among them."""

import numpy as np
import torch
from numpy.typing import NDArray

from core.attacks.geometric.neighbours import normals
from core.attacks.geometric.regularisers import curvature
from core.clouds import chamfer_and_hausdorff, linf, rmse
from core.studies.transferability.findings import Floats

Array = NDArray[np.float32]
_BATCH = 32


def distance_columns(clean: Array, samples: Array) -> dict[str, Floats]:
    """The distances of ``findings.Made`` (n,) of samples (n, ...) from the clean ones."""
    chamfer, hausdorff = chamfer_and_hausdorff(clean, samples)
    return {
        "linf": linf(clean, samples),
        "rmse": rmse(clean, samples),
        "chamfer": chamfer,
        "hausdorff": hausdorff,
        "curvature": curvature_change(clean, samples),
    }


def curvature_change(clean: Array, samples: Array) -> Floats:
    """(n,), mean over points of the absolute change of the curvature (see ``geometric.regularisers.curvature``).

    Both clouds (n, N, 3) are seen along the normals of the clean one. NaN of images (n, C, H, W).
    """
    if clean.ndim == 4:
        return np.full(len(clean), np.nan)
    changes = []
    for start in range(0, len(clean), _BATCH):
        before, after = (torch.from_numpy(part[start : start + _BATCH]) for part in (clean, samples))
        along = normals(before)
        changes.append((curvature(after, along) - curvature(before, along)).abs().mean(1).numpy())
    return np.concatenate(changes).astype(np.float64)
