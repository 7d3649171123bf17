"""``pointward reproduce``."""

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from core.commands.app import STOPPED
from core.commands.checks import check_device, check_exists, require
from core.commands.console import follow, note, show
from core.commands.orientation import NOT_GIVEN, GivenOrientation
from core.commands.shared import AllowMissing, DataRoot, DatasetName, Flat, Folder, Json, find_dataset
from core.studies.defense_pointnet.options import ReproduceOptions, TrainingChanges, recipe
from core.training import remember_run_folder


def reproduce(
    paper: Literal["defense-pointnet"],
    *,
    out: Folder,
    dataset: DatasetName = "shapes16",
    data_root: DataRoot = None,
    allow_missing: AllowMissing = False,
    orientation: GivenOrientation = NOT_GIVEN,
    runs: Annotated[tuple[Path, ...], Parameter(name="--from", negative="")] = (),
    options: Annotated[ReproduceOptions | None, Flat] = None,
    training: Annotated[TrainingChanges | None, Flat] = None,  # type: ignore[valid-type]
    as_json: Json = False,
) -> int:
    """Train, measure and report everything that a paper shows. Called again, it goes on where it was ended.

    Parameters
    ----------
    paper
        The paper to reproduce.
    out
        Folder of the runs, tables, figures, records and report.html.
    dataset
        Dataset to train and test on. On shapenetpart the trainings are the paper's and, where it is silent, those of
        the code it builds on.
    runs
        Runs, or folders of runs, that are used in the place of trainings; may be given more than once.
    """
    from core.studies.defense_pointnet.reproduction import reproduce as reproducing  # half a second to import

    changes: dict[str, Any] = {} if training is None else training.model_dump(exclude_none=True)
    for run in runs:
        require(check_exists, run)
    require(check_device, changes.get("device", "auto"))
    data = find_dataset(dataset, data_root, allow_missing, orientation.value)
    remember_run_folder(out / "runs")
    findings, complete = follow(
        lambda cancel: reproducing(
            data, options or ReproduceOptions(), recipe(dataset) | changes, out, cancel, runs=runs, data_root=data_root
        ),
        f"reproducing {paper}",
    )
    if findings is None:
        note(f"Stopped. What is finished is in {out}; the same command goes on there.")
        return STOPPED
    accuracies = {
        label: {
            "clean": findings.clean(label).value,
            "adversarial": findings.adversarial(label).value,
            "pgd": findings.strong(label).value,
        }
        for label in findings.groups
    }
    show({"report": str(out / "report.html"), **accuracies, "complete": complete}, as_json)
    return 0
