"""The record and the metrics in the folder of a run, validated when they are read, because a person can edit them."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from urllib.parse import unquote_to_bytes

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    model_validator,
)

from core.clouds.frames import AS_IT_IS, Axis, Orientation
from core.models.cards import ModelCard
from core.options import explain
from core.results.records import read_as, read_jsonl
from core.runtime.files import FormatError, readable
from core.training.options import MULTI_STEP_REGIMES, RegimeName, TrainOptions
from core.training.regimes import REGIMES

OPTIONS, METRICS = "options.json", "metrics.jsonl"

Text = Annotated[str, Field(max_length=10_000)]
Share = Annotated[float, Field(ge=0, le=1)]


def _path_to_text(path: Path) -> str:
    """A path as text; if its name is not valid UTF-8, as a ``file:`` URL, which can encode it."""
    return str(path) if readable(path) == str(path) else path.resolve().as_uri()


def _path_from_text(value: Any) -> Path:
    """The path that ``_path_to_text`` has written."""
    if isinstance(value, str) and value.startswith("file://"):
        return Path(os.fsdecode(unquote_to_bytes(value.removeprefix("file://"))))
    if not isinstance(value, str | Path):
        raise ValueError("input should be a path")
    return Path(value)


class RunRecord(BaseModel):
    """``options.json``: how a run was started, and whether it is complete. Its extra fields are the provenance."""

    model_config = ConfigDict(frozen=True, extra="allow")

    dataset_name: Text
    data_root: Annotated[Path, PlainValidator(_path_from_text), PlainSerializer(_path_to_text)] | None
    """Where the dataset was found; None for a built-in one."""
    given_up: Axis | None = None
    """Axis that points up in its files, as given by the user."""
    turn: Annotated[FiniteFloat, Field(ge=-360, le=360)] = 0.0
    """Angle by which its clouds were turned about the up axis, in degrees."""
    options: TrainOptions
    dataset: Text
    """Fingerprint of the dataset."""
    weights: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """SHA-256 of the file of the initial weights; None if these were random."""
    versions: dict[Text, Annotated[str, Field(max_length=2000)]]
    complete: bool
    time: Text = ""
    """When it was begun, UTC in ISO 8601."""
    title: Text = ""
    """Name that a person gave it; empty: none."""

    @model_validator(mode="before")
    @classmethod
    def _keep_validation_attack(cls, record: Any) -> Any:
        """Runs without ``validation_attack`` are of an older version, which validated with the training's attack."""
        options = record.get("options") if isinstance(record, dict) else None
        if isinstance(options, dict) and options.get("regime") in MULTI_STEP_REGIMES:
            return record | {"options": {"validation_attack": "training"} | options}
        return record


class EpochMetrics(BaseModel):
    """A line of ``metrics.jsonl``: a finished epoch. Its extra fields are losses and accuracies on training clouds."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")
    __pydantic_extra__: dict[str, FiniteFloat]

    epoch: int = Field(ge=1)
    validation_clean: Share
    validation_adversarial: Share
    learning_rate: FiniteFloat
    seconds: Annotated[FiniteFloat, Field(gt=0)]
    clouds_per_second: Annotated[FiniteFloat, Field(gt=0)]


def read_run(folder: Path) -> RunRecord:
    """The record of the run in ``folder``.

    Raises
    ------
    ValueError
        If there is no run, its record is damaged, or it was made with options this version does not have.
    """
    if not run_exists(folder):
        raise ValueError(f"There is no run to resume in {readable(folder)}: it has no {OPTIONS}.")
    return read_as(folder / OPTIONS, RunRecord, "the record of a training run of this version")


def read_metrics(folder: Path, epochs: int) -> list[dict[str, float]]:
    """The metrics of the first ``epochs`` epochs of the run in ``folder``.

    Raises
    ------
    FormatError
        If a line is damaged, or has other metrics than the first line.
    ValueError
        If the metrics of some epochs are missing.
    """
    path = folder / METRICS
    history: list[dict[str, float]] = []
    for number, line in enumerate((read_jsonl(path) if path.is_file() else [])[:epochs], 1):
        try:
            EpochMetrics.model_validate(line)
        except ValidationError as error:
            problem = f"line {number} is not the metrics of an epoch ({explain(error)})"
            raise FormatError(path, problem, "restore it, or train anew") from None
        if history and line.keys() != history[0].keys():
            raise FormatError(path, f"line {number} has other metrics than line 1", "restore it, or train anew")
        history.append(line)
    if [line["epoch"] for line in history] != list(range(1, epochs + 1)):
        raise ValueError(
            f"{readable(path)} lacks some of the {epochs} finished epochs, so the run can't go on; restore it, or "
            "train anew in another folder."
        )
    return history


def best_epoch(history: Sequence[Mapping[str, float]], regime: RegimeName) -> int:
    """The best of the finished epochs, counted from 1; 0 if there is none.

    It is the first with the highest clean accuracy in the simple regime, and with the highest mean of clean and
    adversarial accuracy in the others, under ``TrainOptions.attack_of_validation``.
    """
    keys = ("validation_clean", "validation_adversarial") if REGIMES[regime].robust else ("validation_clean",)
    scores = [sum(line[key] for key in keys) for line in history]
    return scores.index(max(scores)) + 1 if scores else 0


def stored_options(folder: Path) -> TrainOptions:
    """The options of the run in ``folder``; raises as ``read_run``."""
    return read_run(folder).options


def run_exists(folder: Path) -> bool:
    """Whether there is a run to resume in ``folder``; false for one that was killed before its record was written."""
    return (folder / OPTIONS).is_file()


class DatasetPlace(NamedTuple):
    """The dataset a model was trained on, and what is needed to open it again."""

    name: str
    root: Path | None = None
    """Where it was found; None for a built-in one, or if that is not known."""
    orientation: Orientation = AS_IT_IS
    """Orientation of its clouds in their files, as given by the user."""


def dataset_of_run(folder: Path) -> DatasetPlace:
    """The dataset of the run in ``folder``; raises as ``read_run``."""
    record = read_run(folder)
    return DatasetPlace(record.dataset_name, record.data_root, Orientation(record.given_up, record.turn))


def dataset_of_weights(weights: Path, card: ModelCard) -> DatasetPlace:
    """The dataset that weights were trained on; its root is known only if they are in the folder of a run.

    Raises
    ------
    ValueError
        As ``read_run``, or if the card has no dataset, as that of an imported model.
    """
    if run_exists(weights.parent):
        return dataset_of_run(weights.parent)
    if card.dataset is None:
        raise ValueError(f"{card.name} does not say what it was trained on: say with --dataset what it is tried on.")
    return DatasetPlace(card.dataset)
