"""One cloud under one attack, with the predictions of several models: what the studio shows, as frozen values.

The window calls these functions from a worker thread; the command line and the tests call them directly.
"""

from core.live.outcome import Outcome, attacked_outcome, rescaled_outcome
from core.live.scene import Colouring, Scene, Setup, seed_matters
from core.live.steps import AttackResult, advance, attack, begin, refit, show, traces

__all__ = [
    "AttackResult",
    "Colouring",
    "Outcome",
    "Scene",
    "Setup",
    "advance",
    "attack",
    "attacked_outcome",
    "begin",
    "refit",
    "rescaled_outcome",
    "seed_matters",
    "show",
    "traces",
]
