"""Training: the options, the regimes, one resumable loop, and the folder of a run."""

from core.training.engine import train
from core.training.listing import (
    RunReader,
    RunState,
    RunSummary,
    remember_run_folder,
    rename_run,
    run_folders,
    run_title,
    summarise,
)
from core.training.options import TrainOptions
from core.training.record import dataset_of_run, dataset_of_weights, read_run, run_exists, stored_options
from core.training.regimes import REGIMES
from core.training.runs import RunResult, command
from core.training.shares import leads

__all__ = [
    "REGIMES",
    "RunReader",
    "RunResult",
    "RunState",
    "RunSummary",
    "TrainOptions",
    "command",
    "dataset_of_run",
    "dataset_of_weights",
    "leads",
    "read_run",
    "remember_run_folder",
    "rename_run",
    "run_exists",
    "run_folders",
    "run_title",
    "stored_options",
    "summarise",
    "train",
]
