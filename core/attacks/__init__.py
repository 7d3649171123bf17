"""Gradient attacks on point clouds: one composition, its state, and the presets known by name."""

from core.attacks.attack import Attack, State
from core.attacks.constraint import Constraint
from core.attacks.direction import Direction
from core.attacks.gradient import Evaluation, evaluate
from core.attacks.presets import BUDGET, PRESETS, preset

__all__ = ["BUDGET", "PRESETS", "Attack", "Constraint", "Direction", "Evaluation", "State", "evaluate", "preset"]
