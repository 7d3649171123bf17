"""One adversarial set from several attacks on the same clouds: the result of the strongest attack on each cloud."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.evaluation.make import AdversarialSet
from core.evaluation.set_folder import SHAPE_DISTANCES

NOT_FOOLED, CLEAN = "", "clean"
"""Values of ``AdversarialSet.by`` where no attack fooled the model, and where the clean cloud is misclassified."""


def with_stage_name(part: AdversarialSet, name: str) -> AdversarialSet:
    """The set with the stage's name in ``by`` where the model is fooled, and without traces, whose lengths differ."""
    none = np.empty((len(part.row), 0))
    return replace(part, by=np.where(part.success, name, NOT_FOOLED), loss_trace=none, rmse_trace=none)


def with_clean_clouds(
    attacked: AdversarialSet, points: NDArray[np.float32], where: NDArray[np.bool_]
) -> AdversarialSet:
    """The set with the clean cloud in the place of the adversarial one at ``where`` (n,), at distance 0."""
    clean = {"logits": attacked.clean_logits, "latent": attacked.clean_latent, "clouds": points}
    changed = {name: _select_rows(where, value, getattr(attacked, name)) for name, value in clean.items()}
    distances = ("linf", "per_point_l2", "l2", "rmse", *SHAPE_DISTANCES)
    zero = {name: np.where(where, 0, getattr(attacked, name)) for name in distances}
    by, success = np.where(where, CLEAN, attacked.by), attacked.success | where
    return replace(attacked, **changed, **zero, by=by, success=success)


def with_stronger(
    strongest: AdversarialSet, remaining: NDArray[np.int64], part: AdversarialSet, stronger: NDArray[np.bool_]
) -> AdversarialSet:
    """The set with clouds of ``part`` at those of the indices ``remaining`` (m,) where ``stronger`` (m,) is true."""
    mask = np.zeros(len(strongest.row), dtype=bool)
    mask[remaining] = stronger
    index_in_part = np.zeros(len(strongest.row), dtype=np.int64)
    index_in_part[remaining] = np.arange(len(remaining))
    spread = part.of(index_in_part)
    kept = ("row", "label", "clean_logits", "clean_latent")
    names = [field.name for field in fields(strongest) if field.name not in kept]
    changed = {name: _select_rows(mask, getattr(spread, name), getattr(strongest, name)) for name in names}
    return replace(strongest, **changed)


def _select_rows(mask: NDArray[np.bool_], one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    """The rows of ``one`` where ``mask`` (n,) is true, and of ``other`` elsewhere; both (n, ...)."""
    return np.where(mask.reshape(-1, *[1] * (other.ndim - 1)), one, other)
