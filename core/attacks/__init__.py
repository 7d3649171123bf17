"""Gradient attacks on point clouds: one composition, its state, and the presets known by name."""

from core.attacks.attack import Attack, State
from core.attacks.constraint import Constraint, random_unit_delta
from core.attacks.direction import DIRECTIONS, Direction
from core.attacks.gradient import Evaluation, Loss, evaluate
from core.attacks.presets import BUDGET, PRESETS, describe, preset

__all__ = [
    "BUDGET",
    "DIRECTIONS",
    "PRESETS",
    "Attack",
    "Constraint",
    "Direction",
    "Evaluation",
    "Loss",
    "State",
    "describe",
    "evaluate",
    "preset",
    "random_unit_delta",
]
