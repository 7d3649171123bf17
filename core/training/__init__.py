"""Training: the options, the regimes, one resumable loop, and the folder of a run."""

from core.training.engine import train
from core.training.options import TrainOptions
from core.training.regimes import REGIMES
from core.training.runs import RunResult, begun, command, remembered, stored_options, trained_on

__all__ = [
    "REGIMES",
    "RunResult",
    "TrainOptions",
    "begun",
    "command",
    "remembered",
    "stored_options",
    "train",
    "trained_on",
]
