"""Attacks on point clouds: one loop, kinds of attack that find the next iterate, and the presets known by name."""

from core.attacks.attack import Attack
from core.attacks.composed import GradientAttack
from core.attacks.constraint import NORMS, ConstraintName, random_unit_delta
from core.attacks.direction import DIRECTIONS, Direction
from core.attacks.evaluation import Evaluation, ObjectiveFunction, evaluate
from core.attacks.presets import BUDGET, PRESETS, Preset, constraint_for, fgsm, preset
from core.attacks.state import Ended, Proposal, State, Stop

__all__ = [
    "BUDGET",
    "DIRECTIONS",
    "NORMS",
    "PRESETS",
    "Attack",
    "ConstraintName",
    "Direction",
    "Ended",
    "Evaluation",
    "GradientAttack",
    "ObjectiveFunction",
    "Preset",
    "Proposal",
    "State",
    "Stop",
    "constraint_for",
    "evaluate",
    "fgsm",
    "preset",
    "random_unit_delta",
]
