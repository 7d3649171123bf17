"""The folder of a training run: what was asked, what was measured, the best weights, and the state to go on from.

* ``options.json``: options, dataset and provenance.
* ``metrics.jsonl``: a line for each finished epoch.
* ``best.safetensors``: the weights of the best epoch on the validation clouds, with their model card.
* ``last.safetensors``: the weights after the last finished epoch and everything the next one depends on.

The best epoch is the first with the highest clean accuracy in the simple regime, and with the highest mean of clean and
adversarial accuracy in the others. ``last.safetensors`` is the commit: an epoch counts once it is in there. It is
written after the other two, so a run killed at any instant repeats at most one epoch, with the same random numbers, and
overwrites what that epoch had left.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from core.clouds.frames import AS_IT_IS, Orientation
from core.datasets import Card
from core.models.checkpoints import BEST, LAST, ModelCard, load_training, read_card, save_model
from core.options import explain
from core.results.records import append_jsonl, provenance, read_json, read_jsonl, write_json
from core.runtime.devices import choose_device, describe_device
from core.runtime.files import atomic_path, leftovers
from core.training.learner import Learner
from core.training.options import TrainOptions
from core.training.regimes import REGIMES

OPTIONS, METRICS = "options.json", "metrics.jsonl"


@dataclass(frozen=True)
class RunResult:
    """What a training run has come to."""

    folder: Path
    epochs: int
    """Finished epochs."""
    best_epoch: int
    """0 if none is finished."""
    metrics: Mapping[str, float]
    """Of the best epoch."""


class Run:
    """A run's folder while it is being trained; made by ``create`` or ``resume``."""

    def __init__(self, folder: Path, options: TrainOptions, dataset: Card, record: Mapping[str, Any]) -> None:
        self.folder = folder
        self.options = options
        self.history: list[dict[str, float]] = []
        """Metrics of the finished epochs."""
        self._dataset = dataset
        self._record = record

    @classmethod
    def create(cls, folder: Path, options: TrainOptions, dataset: Card, data_root: Path | None) -> "Run":
        """Begin a run in a folder that does not exist or is empty."""
        if folder.is_dir():
            _sweep_up(folder)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ValueError(f"{folder} exists already: choose another folder, or resume the run in it.")
        device = describe_device(choose_device(options.device))
        record = {
            "dataset_name": dataset.name,
            "data_root": data_root.resolve() if data_root is not None else None,
            "given_up": dataset.given_up,
            "turn": dataset.turn,
            **provenance(options, seed=options.seed, dataset=dataset.fingerprint, device=device),
        }
        run = cls(folder, options, dataset, record)
        run._write_record(complete=False)
        return run

    @classmethod
    def resume(cls, folder: Path, options: TrainOptions, dataset: Card) -> "Run":
        """Take up the run in ``folder``. Options that were not set are the run's own; only epochs may differ."""
        before, record = stored(folder)
        for field in sorted(options.model_fields_set - {"epochs"}):
            was, wanted = getattr(before, field), getattr(options, field)
            if was != wanted:
                raise ValueError(f"The run in {folder} has {field} = {was!r}, so it can't go on with {wanted!r}.")
        if record["dataset"] != dataset.fingerprint:
            raise ValueError(f"The run in {folder} was trained on another {record['dataset_name']} than this one.")
        epochs = options.epochs if "epochs" in options.model_fields_set else before.epochs
        options = TrainOptions.model_validate(before.model_dump() | {"epochs": epochs})
        run = cls(folder, options, dataset, record | {"options": options})
        run._write_record(complete=False)
        _sweep_up(folder)
        finished = read_card(folder / LAST).epochs if (folder / LAST).is_file() else 0
        lines = read_jsonl(folder / METRICS) if (folder / METRICS).is_file() else []
        run.history = lines[:finished]
        if [line.get("epoch") for line in run.history] != list(range(1, finished + 1)):
            raise ValueError(f"{folder / METRICS} lacks some of the {finished} finished epochs; the run can't go on.")
        with atomic_path(folder / METRICS) as part:
            part.touch()
            for line in run.history:
                append_jsonl(part, line)
        return run

    def restore(self, learner: Learner) -> None:
        """Give the learner the state after the last finished epoch, if there is one."""
        if self.history:
            _, weights, state = load_training(self.folder / LAST)
            learner.load_state(weights, state)

    def commit(self, learner: Learner, metrics: Mapping[str, float]) -> None:
        """Keep a finished epoch."""
        self.history.append({"epoch": len(self.history) + 1, **metrics})
        if self.best_epoch == len(self.history):
            save_model(self.folder / BEST, learner.result, self._card(metrics))
        append_jsonl(self.folder / METRICS, self.history[-1])
        save_model(self.folder / LAST, learner.model, self._card(metrics), training=learner.state())

    def finish(self, learner: Learner, *, complete: bool) -> RunResult:
        """End the run, or leave it to be resumed; before the first finished epoch the weights are kept as they are."""
        if complete:
            self._write_record(complete=True)
        elif not self.history:
            save_model(self.folder / BEST, learner.result, self._card({}))
        best = self.best_epoch
        metrics = {key: value for key, value in self.history[best - 1].items() if key != "epoch"} if best else {}
        return RunResult(self.folder, len(self.history), best, metrics)

    @property
    def best_epoch(self) -> int:
        """The best finished epoch, counted from 1; 0 if there is none."""
        scores = [self._score(line) for line in self.history]
        return scores.index(max(scores)) + 1 if scores else 0

    @property
    def out_of_patience(self) -> bool:
        """Whether early stopping ends the run here."""
        return 0 < self.options.patience <= len(self.history) - self.best_epoch

    def _score(self, metrics: Mapping[str, float]) -> float:
        clean, adversarial = metrics["validation_clean"], metrics["validation_adversarial"]
        return (clean + adversarial) / 2 if REGIMES[self.options.regime].robust else clean

    def _card(self, metrics: Mapping[str, float]) -> ModelCard:
        options, dataset = self.options, self._dataset
        return ModelCard(
            name=self.folder.name,
            title=f"{options.regime} run",
            architecture=options.model,
            options=options.model_options,
            classes=dataset.classes,
            regime=options.regime,
            points=options.points,
            dataset=dataset.name,
            fingerprint=dataset.fingerprint,
            up_axis=dataset.up_axis,
            seed=options.seed,
            epochs=len(self.history),
            command=command(options, dataset.name, dataset.orientation),
            metrics=dict(metrics),
            versions=self._record["versions"],
        )

    def _write_record(self, *, complete: bool) -> None:
        write_json(self.folder / OPTIONS, {**self._record, "complete": complete})


def _sweep_up(folder: Path) -> None:
    """Remove what a kill kept from taking its place, and nothing else: the folder may be a person's own."""
    for name in (OPTIONS, METRICS, BEST, LAST):
        for leftover in leftovers(folder / name):
            leftover.unlink()


def stored_options(folder: Path) -> TrainOptions:
    """The options of the run in ``folder``.

    Raises
    ------
    ValueError
        If there is no run, or it was made with options this version does not have.
    """
    return stored(folder)[0]


def run_exists(folder: Path) -> bool:
    """Whether there is a run to resume in ``folder``; one that was killed at its very start left nothing."""
    return (folder / OPTIONS).is_file()


class DatasetPlace(NamedTuple):
    """Which dataset a model was trained on, and how it is opened again."""

    name: str
    root: Path | None = None
    """Where it was found; None for a built-in one, and where that is not known."""
    orientation: Orientation = AS_IT_IS
    """How its clouds were said to stand in their files."""


def dataset_of_run(folder: Path) -> DatasetPlace:
    """The dataset of the run in ``folder``."""
    record = read_json(folder / OPTIONS)
    root = record.get("data_root")
    orientation = Orientation(record.get("given_up"), record.get("turn", 0.0))
    return DatasetPlace(record["dataset_name"], Path(root) if root else None, orientation)


def dataset_of_weights(weights: Path, card: ModelCard) -> DatasetPlace:
    """The dataset that weights were trained on; where it was found is known of those in a run's folder."""
    return dataset_of_run(weights.parent) if run_exists(weights.parent) else DatasetPlace(card.dataset)


def command(options: TrainOptions, dataset: str, orientation: Orientation = AS_IT_IS) -> str:
    """The command line that trains with these options."""
    usual = TrainOptions().model_dump()
    words = ["pointward", "train", "--dataset", dataset, *orientation.words().split()]
    for name, value in options.model_dump().items():
        flag = name.replace("_", "-")
        if value == usual[name]:
            continue
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif isinstance(value, dict):
            words += [word for key, item in value.items() for word in (f"--{flag}.{key}", str(item))]
        else:
            words += [f"--{flag}", str(value)]
    return shlex.join(words)


def stored(folder: Path) -> tuple[TrainOptions, dict[str, Any]]:
    """The options of the run in ``folder`` and the record they are in: dataset, versions, whether it is complete.

    Raises
    ------
    ValueError
        If there is no run, or it was made with options this version does not have.
    """
    if not (folder / OPTIONS).is_file():
        raise ValueError(f"There is no run to resume in {folder}: it has no {OPTIONS}.")
    record = read_json(folder / OPTIONS)
    if not isinstance(record, dict) or not {"options", "dataset", "dataset_name", "versions"} <= record.keys():
        raise ValueError(f"{folder / OPTIONS} is not the record of a training run.")
    try:
        return TrainOptions.model_validate(record["options"]), record
    except ValidationError as error:
        raise ValueError(f"{folder / OPTIONS} does not fit this version: {explain(error)}.") from None
