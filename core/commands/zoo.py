"""``pointward zoo``."""

from typing import Annotated, Any

from cyclopts import App

from core.commands.app import STOPPED
from core.commands.checks import check_device, require
from core.commands.console import UsageError, follow, note, show
from core.commands.orientation import NOT_GIVEN, GivenOrientation
from core.commands.shared import AllowMissing, DataRoot, DatasetName, Flat, Folder, Json, find_dataset
from core.studies.transferability.zoo import TrainingChanges, member_file, members_of, train_zoo
from core.training import remember_run_folder

zoo = App(name="zoo", help_format="plaintext")


def _names(text: str | None, dataset: str) -> list[str]:
    """Names of members of the zoo for a dataset, separated by commas; None is all.

    Raises
    ------
    UsageError
        If one is unknown, or there is no zoo for the dataset.
    """
    members = members_of(dataset)
    if not members:
        raise UsageError(
            f"No models are trained for {dataset}: import classifiers of images with `pointward models import`."
        )
    names = list(members) if text is None else [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in members]
    if unknown:
        raise UsageError(f"There is no model {unknown[0]!r} in the zoo; there are {', '.join(members)}.")
    return list(dict.fromkeys(names))


@zoo.default
def list_zoo(*, dataset: DatasetName = "shapes16", as_json: Json = False) -> None:
    """The models of the transfer study: list them, or train them.

    The list says how each is trained, and whether it is installed, under the name DATASET-MODEL.

    Parameters
    ----------
    dataset
        Dataset that they are for.
    """
    show(
        {
            name: {
                "role": member.role,
                "regime": member.options({}).regime,
                "model": member.options({}).model,
                "installed": member_file(name, dataset) is not None,
            }
            for name, member in members_of(dataset).items()
        },
        as_json,
    )


@zoo.command(name="train")
def train_(
    *,
    out: Folder,
    dataset: DatasetName = "shapes16",
    data_root: DataRoot = None,
    allow_missing: AllowMissing = False,
    orientation: GivenOrientation = NOT_GIVEN,
    models: str | None = None,
    training: Annotated[TrainingChanges | None, Flat] = None,  # type: ignore[valid-type]
    as_json: Json = False,
) -> int:
    """Train models of the transfer study by one recipe, the cheapest first. Called again, it goes on where it ended.

    Parameters
    ----------
    out
        Folder of the runs, one for each model.
    dataset
        Dataset to train on.
    models
        Names of models, separated by commas; the default is all.
    """
    changes: dict[str, Any] = {} if training is None else training.model_dump(exclude_none=True)  # type: ignore[attr-defined]
    require(check_device, changes.get("device", "auto"))
    names = _names(models, dataset)
    data = find_dataset(dataset, data_root, allow_missing, orientation.value)
    remember_run_folder(out)
    results, complete = follow(
        lambda cancel: train_zoo(data, names, changes, out, cancel, data_root=data_root), "training the zoo"
    )
    if not complete:
        note(f"Stopped. What is finished is in {out}; the same command goes on there.")
    show(
        {
            **{
                name: {"run": str(run.folder), "epochs": run.epochs, "best_epoch": run.best_epoch, **run.metrics}
                for name, run in results.items()
            },
            "complete": complete,
        },
        as_json,
    )
    return 0 if complete else STOPPED
