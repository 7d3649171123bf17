"""Training: the options, the regimes, one resumable loop, and the folder of a run."""

from core.training.engine import train
from core.training.options import TrainOptions
from core.training.record import dataset_of_run, dataset_of_weights, run_exists, stored_options
from core.training.regimes import REGIMES
from core.training.runs import RunResult, command
from core.training.shares import leads

__all__ = [
    "REGIMES",
    "RunResult",
    "TrainOptions",
    "command",
    "dataset_of_run",
    "dataset_of_weights",
    "leads",
    "run_exists",
    "stored_options",
    "train",
]
