"""``pointward datasets``."""

from typing import Annotated

from core.commands.checks import check_dataset, validated
from core.commands.console import UsageError, show
from core.commands.orientation import NOT_GIVEN, GivenOrientation
from core.commands.shared import AllowMissing, DataRoot, FigureFile, Json, find_dataset
from core.datasets import REGISTRY
from core.results.records import provenance


def datasets(
    name: Annotated[str | None, validated(check_dataset)] = None,
    *,
    data_root: DataRoot = None,
    allow_missing: AllowMissing = False,
    orientation: GivenOrientation = NOT_GIVEN,
    sheet: FigureFile = None,
    as_json: Json = False,
) -> None:
    """List the datasets, or open one and print its card.

    Parameters
    ----------
    name
        Dataset to open; without it all are listed.
    sheet
        Picture (.png .svg .pdf) of the first test shapes of every class.
    """
    if name is None and sheet is not None:
        raise UsageError("--sheet needs the name of a dataset.")
    if name is None:
        show({key: spec.summary for key, spec in REGISTRY.items()}, as_json)
        return
    data = find_dataset(name, data_root, allow_missing, orientation.value)
    if sheet is not None:
        from core.figures import contact_sheet, save

        split = data.split("test")
        rows = [row for label in range(len(data.card.classes)) for row in (split.labels == label).nonzero()[0][:4]]
        clouds = [data.cloud("test", row, 1024) for row in rows]
        points, names = [cloud.points for cloud in clouds], [cloud.class_name or "" for cloud in clouds]
        made_with = {
            "dataset_name": name,
            **provenance({"split": "test", "points": 1024}, dataset=data.card.fingerprint),
        }
        save(
            contact_sheet(points, names, columns=8, up=data.card.drawn_up), sheet, made_with, f"Test shapes of {name}."
        )
    show(data.card.model_dump(), as_json)
