"""``auto`` on the shipped models: it fools every cloud that any single attack within the same budget fools."""

import numpy as np
import pytest

from core.attacks import PRESETS, preset
from core.attacks.scale import RADII
from core.datasets import Split
from core.evaluation.accuracy import EvaluationOptions
from core.evaluation.auto import AutoAttack, auto_set, other_shipped_models
from core.evaluation.make import AdversarialSet, make_set
from core.events import result
from core.models.checkpoints import builtin_models, load_model
from tests.core.test_datasets import shared
from tests.core.toys import modelnet16_split, shapes16_split

EPSILON = 0.05
WITHIN_BUDGET = [
    name
    for name, row in PRESETS.items()
    if (attack := row.kind.model_validate(row.settings)).constraint == "linf" and attack.epsilon_scale == RADII
]
"""The attacks whose epsilon is an L-infinity norm, which is what that of ``auto`` is."""


@pytest.mark.long
@pytest.mark.parametrize("name", builtin_models())
def test_no_attack_does_better_on_any_cloud(name: str) -> None:
    assert len(WITHIN_BUDGET) > 15
    loaded, options = load_model(builtin_models()[name]), EvaluationOptions(points=256)
    split = clouds_for(name, 8, 256)
    auto: AdversarialSet = result(
        auto_set(loaded.module, split, AutoAttack(epsilon=EPSILON), options, surrogates=other_shipped_models(loaded))
    )
    assert auto.linf.max() <= EPSILON + 1e-6
    until_fooled = options.model_copy(update={"stop_on_success": True})
    for attack in WITHIN_BUDGET:
        alone: AdversarialSet = result(make_set(loaded.module, split, preset(attack, epsilon=EPSILON), until_fooled))
        missed = np.flatnonzero(alone.success & ~auto.success)
        assert not missed.size, f"{attack} fools {name} where auto does not: {[split.names[row] for row in missed]}"


def clouds_for(name: str, count: int, points: int) -> Split:
    """Clouds of the classes that a shipped model knows."""
    if name.startswith("pointnet"):
        return shapes16_split(count, points)
    return modelnet16_split(shared("modelnet40_1024.npz"), count, points)
