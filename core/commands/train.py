"""``pointward train``."""

from pathlib import Path
from typing import Annotated

from core import training
from core.commands.app import STOPPED
from core.commands.checks import check_dataset, check_device, check_folder, check_new_folder, require, validated
from core.commands.console import follow, show
from core.commands.orientation import NOT_GIVEN, GivenOrientation
from core.commands.shared import AllowMissing, DataRoot, Flat, Json, find_dataset
from core.training import TrainOptions


def train(
    *,
    dataset: Annotated[str | None, validated(check_dataset)] = None,
    data_root: DataRoot = None,
    allow_missing: AllowMissing = False,
    orientation: GivenOrientation = NOT_GIVEN,
    out: Path | None = None,
    resume: bool = False,
    options: Annotated[TrainOptions | None, Flat] = None,
    as_json: Json = False,
) -> int:
    """Train a model in one of the regimes of the first paper.

    Parameters
    ----------
    dataset
        Dataset to train on; the default is shapes16, and for --resume the run's own.
    out
        Run folder; the default is runs/DATASET-REGIME.
    resume
        Continue the run in --out after its last full epoch, with its own options; --epochs may differ. A run that has
        not started yet is started.
    """
    options = options or TrainOptions()
    folder = out or Path("runs") / f"{dataset or 'shapes16'}-{options.regime}"
    resume = resume and training.run_exists(folder)
    require(check_folder if resume else check_new_folder, folder)
    require(check_device, options.device)
    file_orientation = orientation.value
    if resume:
        run_dataset, run_root, run_orientation = training.dataset_of_run(folder)
        if not file_orientation.given:
            file_orientation = run_orientation
        if dataset is None:
            dataset, data_root = run_dataset, data_root or run_root
    data = find_dataset(dataset or "shapes16", data_root, allow_missing, file_orientation)
    training.remember_run_folder(folder.parent)
    result, complete = follow(
        lambda cancel: training.train(data, options, folder, cancel, resume=resume, data_root=data_root),
        f"training {options.regime}",
        quiet=not training.leads(),
    )
    if training.leads():
        show(
            {
                "run": str(result.folder),
                "epochs": result.epochs,
                "best_epoch": result.best_epoch,
                "metrics": dict(result.metrics),
                "complete": complete,
            },
            as_json,
        )
    return 0 if complete else STOPPED
