"""The folder of a training run: its options, its metrics, the best weights, and the state from which it is resumed.

* ``options.json``: options, dataset and provenance.
* ``metrics.jsonl``: a line for each finished epoch.
* ``best.safetensors``: the weights of the best epoch on the validation clouds, with their model card.
* ``last.safetensors``: the weights after the last finished epoch, and all else that the next one depends on.
* ``.lock``: present while a process is training the run; see ``core.runtime.locks``.

An epoch is finished once ``last.safetensors`` has its weights. Its metrics are written before that file, and
``best.safetensors`` after it. Therefore a run that was killed at any moment repeats at most one epoch, with the same
random numbers; if ``best.safetensors`` is out of date, the last epoch is the best one, and its weights are written.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from core.clouds.frames import AS_IT_IS, Orientation
from core.datasets import Card
from core.models.cards import ModelCard, ModelError
from core.models.checkpoints import BEST, LAST, LoadedModel, load_training, read_card, save_model
from core.results.records import append_jsonl, provenance, read_jsonl, write_json
from core.runtime.files import atomic_path, readable, sweep
from core.runtime.locks import LOCK
from core.training.initial import initial_model
from core.training.learner import Learner
from core.training.options import TrainOptions
from core.training.record import METRICS, OPTIONS, RunRecord, best_epoch, read_metrics, read_run
from core.training.shares import describe_processes, leads

FILE_STEMS = tuple(Path(name).stem for name in (OPTIONS, METRICS, BEST, LAST))


@dataclass(frozen=True)
class RunResult:
    """The result of a training run, complete or not."""

    folder: Path
    epochs: int
    """Number of finished epochs."""
    best_epoch: int
    """Counted from 1; 0 if no epoch is finished."""
    metrics: Mapping[str, float]
    """Metrics of the best epoch."""


class Run:
    """The folder of a run during its training, from ``create`` or ``resume``; the caller of these holds the lock."""

    def __init__(self, folder: Path, options: TrainOptions, dataset: Card, record: RunRecord) -> None:
        self.folder = folder
        self.writes = leads()
        """Whether this process keeps the folder; of several that train together, one does."""
        self.options = options
        self.history: list[dict[str, float]] = []
        """Metrics of the finished epochs."""
        self._dataset = dataset
        self._record = record

    @classmethod
    def create(
        cls, folder: Path, options: TrainOptions, dataset: Card, data_root: Path | None, device: torch.device
    ) -> "Run":
        """Begin a run in a folder that is empty.

        Raises
        ------
        ValueError
            If the folder is not empty.
        """
        if leads():
            sweep(folder, FILE_STEMS)
            if any(path.name != LOCK for path in folder.iterdir()):
                raise ValueError(f"{readable(folder)} exists already: choose another folder, or resume the run in it.")
        initial_sha256 = initial.sha256 if (initial := initial_model(options, dataset)) else None
        record = RunRecord.model_validate(
            {
                **provenance(
                    options,
                    seed=options.seed,
                    dataset=dataset.fingerprint,
                    weights=initial_sha256,
                    device=describe_processes(device),
                ),
                "dataset_name": dataset.name,
                "data_root": data_root.resolve() if data_root is not None else None,
                "given_up": dataset.given_up,
                "turn": dataset.turn,
            }
        )
        run = cls(folder, options, dataset, record)
        if run.writes:
            run._write_record(complete=False)
        return run

    @classmethod
    def resume(cls, folder: Path, options: TrainOptions, dataset: Card) -> "Run":
        """Resume the run in ``folder``. Options that are not set are those of the run; only ``epochs`` may differ.

        Nothing in the folder is changed before ``restore``, so that after an error it is as it was.

        Raises
        ------
        ValueError
            If the options or the dataset differ from those of the run, or its files are damaged.
        """
        record = read_run(folder)
        stored = record.options
        for field in sorted(options.model_fields_set - {"epochs"}):
            stored_value, wanted = getattr(stored, field), getattr(options, field)
            if stored_value != wanted:
                raise ValueError(
                    f"The run in {readable(folder)} has {field} = {stored_value!r}, so it can't go on with {wanted!r}."
                )
        if record.dataset != dataset.fingerprint:
            raise ValueError(
                f"The run in {readable(folder)} was trained on another {record.dataset_name} than this one."
            )
        epochs = options.epochs if "epochs" in options.model_fields_set else stored.epochs
        options = TrainOptions.model_validate(stored.model_dump() | {"epochs": epochs})
        run = cls(folder, options, dataset, record.model_copy(update={"options": options}))
        run.history = read_metrics(folder, run._finished_epochs())
        return run

    def initial(self) -> LoadedModel | None:
        """The model whose weights the first epoch begins with; None if they are random, or an epoch is finished.

        Raises
        ------
        ModelError
            If the model is missing, or another one than when the run was begun.
        """
        if self.history or (model := initial_model(self.options, self._dataset)) is None:
            return None
        if model.sha256 != self._record.weights:
            raise ModelError(
                f"The run in {readable(self.folder)} was begun from another {self.options.initial_weights} than is "
                "there now, so it can't go on; train anew in another folder."
            )
        return model

    def restore(self, learner: Learner) -> str:
        """Load the state after the last finished epoch, if there is one, and remove what was written after it.

        Returns a message if the file of the best weights had to be repaired, else an empty text.

        Raises
        ------
        ValueError
            If that state is damaged, or the weights of the best epoch are missing and it is not the last epoch.
        """
        repair = ""
        if self.history:
            _, weights, state = load_training(self.folder / LAST)
            try:
                learner.load_state(weights, state)
            except ValueError as error:
                raise self._unusable(LAST, str(error)) from None
            if self.writes and self._epoch_of_best_weights() != self.best_epoch:
                if self.best_epoch != len(self.history):
                    raise self._unusable(BEST, f"it does not hold the weights of the best epoch, {self.best_epoch}")
                self._save_best(learner)
                repair = f"{BEST} was not there or not whole, and was written anew: the last epoch is the best one."
        if not self.writes:
            return repair
        sweep(self.folder, FILE_STEMS)
        with atomic_path(self.folder / METRICS) as part:
            part.touch()
            for line in self.history:
                append_jsonl(part, line)
        self._write_record(complete=False)
        return repair

    def commit(self, learner: Learner, metrics: Mapping[str, float]) -> None:
        """Store a finished epoch."""
        self.history.append({"epoch": len(self.history) + 1, **metrics})
        if not self.writes:
            return
        append_jsonl(self.folder / METRICS, self.history[-1])
        save_model(self.folder / LAST, learner.model, self._card(metrics), training=learner.state())
        if self.best_epoch == len(self.history):
            self._save_best(learner)

    def finish(self, learner: Learner, *, complete: bool) -> RunResult:
        """End the run, or leave it to be resumed; without a finished epoch the present weights are saved."""
        if self.writes and complete:
            self._write_record(complete=True)
        elif self.writes and not self.history:
            save_model(self.folder / BEST, learner.evaluated_model, self._card({}))
        best = self.best_epoch
        metrics = {key: value for key, value in self.history[best - 1].items() if key != "epoch"} if best else {}
        return RunResult(self.folder, len(self.history), best, metrics)

    @property
    def best_epoch(self) -> int:
        """The best finished epoch, counted from 1; 0 if there is none."""
        return best_epoch(self.history, self.options.regime)

    @property
    def out_of_patience(self) -> bool:
        """Whether early stopping ends the run after the present epoch."""
        return 0 < self.options.patience <= len(self.history) - self.best_epoch

    def _finished_epochs(self) -> int:
        """Number of finished epochs, from the card of the last weights; they must be of this run."""
        if not (self.folder / LAST).is_file():
            lines = len(read_jsonl(self.folder / METRICS)) if (self.folder / METRICS).is_file() else 0
            if lines > 1 or self._epoch_of_best_weights():  # the metrics are written before the epoch is finished
                raise self._unusable(LAST, "it is gone, though epochs were finished")
            return 0
        card, expected = read_card(self.folder / LAST), self._card({})
        for field in ("architecture", "options", "classes", "regime", "seed", "fingerprint"):
            if getattr(card, field) != getattr(expected, field):
                raise self._unusable(LAST, f"it is of another run, with another {field}")
        return card.epochs or 0

    def _epoch_of_best_weights(self) -> int:
        """The epoch of the stored best weights; 0 if there are none, or they are damaged."""
        try:
            return read_card(self.folder / BEST).epochs or 0
        except ValueError:
            return 0

    def _unusable(self, name: str, problem: str) -> ValueError:
        """The error that a file of the run can't be used."""
        path = readable(self.folder / name)
        return ValueError(
            f"{path}: {problem}, so the run can't go on; restore the file, or train anew in another folder."
        )

    def _save_best(self, learner: Learner) -> None:
        """Save the weights of the last finished epoch as the best ones."""
        metrics = {name: value for name, value in self.history[-1].items() if name != "epoch"}
        discriminator = learner.discriminator
        save_model(self.folder / BEST, learner.evaluated_model, self._card(metrics), discriminator=discriminator)

    def _card(self, metrics: Mapping[str, float]) -> ModelCard:
        """The card of weights after the last finished epoch."""
        options, dataset = self.options, self._dataset
        return ModelCard(
            name=readable(self.folder.name),
            title=f"{options.regime} run",
            architecture=options.model,
            options=options.model_options,
            classes=dataset.classes,
            regime=options.regime,
            points=0 if dataset.image else options.points,
            image=dataset.image,
            dataset=dataset.name,
            fingerprint=dataset.fingerprint,
            up_axis=dataset.up_axis,
            seed=options.seed,
            initial=self._record.weights,
            epochs=len(self.history),
            command=command(options, dataset.name, dataset.orientation),
            metrics=dict(metrics),
            versions=self._record.versions,
        )

    def _write_record(self, *, complete: bool) -> None:
        write_json(self.folder / OPTIONS, self._record.model_copy(update={"complete": complete}))


def command(options: TrainOptions, dataset: str, orientation: Orientation = AS_IT_IS) -> str:
    """The command line that trains with these options."""
    defaults = TrainOptions().model_dump()
    words = ["pointward", "train", "--dataset", dataset, *orientation.words().split()]
    for name, value in options.model_dump().items():
        flag = name.replace("_", "-")
        if value == defaults[name]:
            continue
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif isinstance(value, dict):
            words += [word for key, item in value.items() for word in (f"--{flag}.{key}", str(item))]
        else:
            words += [f"--{flag}", str(value)]
    return shlex.join(words)
