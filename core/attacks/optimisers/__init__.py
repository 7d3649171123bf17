"""The optimisers by name: how an attack goes from gradients to its next iterate. A new one is a file and a row here."""

from core.attacks.optimisers.adam import AdaBelief, Adam, LAdam
from core.attacks.optimisers.apgd import AutoPGD
from core.attacks.optimisers.base import Iterate, Optimiser, Slots, Variant
from core.attacks.optimisers.momentum import (
    GradientDescent,
    Momentum,
    MomentumIterative,
    Nesterov,
    NesterovIterative,
)
from core.attacks.optimisers.msvag import MSVAG

OPTIMISERS: dict[str, Optimiser] = {
    "gd": GradientDescent(),
    "m-gd": Momentum(),
    "mi": MomentumIterative(),
    "na-gd": Nesterov(),
    "ni": NesterovIterative(),
    "adam": Adam(),
    "l-adam": LAdam(),
    "adabelief": AdaBelief(),
    "m-svag": MSVAG(),
    "apgd": AutoPGD(),
}

__all__ = ["OPTIMISERS", "Iterate", "Optimiser", "Slots", "Variant"]
