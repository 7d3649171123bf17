"""A transfer experiment as a folder: what it is made of, and where each part of its results is."""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from core.attacks.scale import DIAMETER
from core.clouds.frames import AS_IT_IS, Orientation
from core.datasets import Dataset, choose_rows, open_dataset
from core.evaluation.accuracy import EvaluationOptions, chosen_clouds
from core.events import result
from core.images import Modality
from core.models.checkpoints import LoadedModel, load_model
from core.results.records import read_as, write_json
from core.runtime.devices import DeviceName, choose_device
from core.runtime.files import FormatError
from core.studies.transferability.findings import CONTROLS, OPTIMISERS, OTHERS, Integers
from core.studies.transferability.options import AT_A_LOSS, TransferOptions
from core.studies.transferability.protocols import attacks_of, kind_of
from core.studies.transferability.records import ExperimentRecord, LossRecord, ProtocolRecord

VALIDATION = 0.1
"""Least share of the training samples that the zoo's trainings keep for validation; held-out samples are of those."""


@dataclass(frozen=True)
class DatasetPlace:
    """A dataset, and where it is."""

    name: str
    root: Path | None
    cache: Path
    orientation: Orientation = AS_IT_IS
    allow_missing: bool = False

    def open(self) -> Dataset:
        return _opened(self)


@lru_cache(maxsize=2)
def _opened(place: DatasetPlace) -> Dataset:
    opening = open_dataset(
        place.name, place.root, place.cache, allow_missing=place.allow_missing, orientation=place.orientation
    )
    dataset: Dataset = result(opening)
    return dataset


@dataclass(frozen=True)
class Experiment:
    """Surrogates, attacks and victims under one protocol, and the folder of their results. It can be pickled.

    Several experiments of the same samples, with different protocols, share a folder.
    """

    folder: Path
    options: TransferOptions
    dataset: DatasetPlace
    models: dict[str, Path]
    """The files of all surrogates and victims by the names that they have here."""
    surrogates: tuple[str, ...]
    chosen_attacks: tuple[str, ...]
    """Names of ``protocols.ATTACKS``."""
    victims: tuple[str, ...]
    device: DeviceName = "auto"

    @property
    def attacks(self) -> tuple[str, ...]:
        """The attacks under this protocol, in the order of the tables."""
        return attacks_of(self.options, self.chosen_attacks)

    @property
    def all_models(self) -> tuple[str, ...]:
        """Surrogates, then victims that are none."""
        return tuple(dict.fromkeys((*self.surrogates, *self.victims)))

    def victims_of(self, surrogate: str) -> tuple[str, ...]:
        """The victims of attacks on a surrogate, which is none itself."""
        return tuple(victim for victim in self.victims if victim != surrogate)

    def of(self, attack: str, kind: str) -> bool:
        """Whether an attack is of a kind: ``optimiser``, ``other`` or ``control``."""
        names = {"optimiser": OPTIMISERS, "other": OTHERS, "control": CONTROLS}[kind]
        return attack.partition("@")[0] in names

    # --- what it is made of ---

    @property
    def modality(self) -> Modality:
        """What the samples are: ``clouds`` or ``images``."""
        return self.dataset.open().card.modality

    @property
    def kind(self) -> str:
        """The kind of samples, of ``protocols.KINDS``."""
        return kind_of(self.dataset.open().card)

    @property
    def evaluation(self) -> EvaluationOptions:
        """Which samples are attacked, and the seed of the attacks' random numbers."""
        options = self.options
        return EvaluationOptions(
            clouds=options.samples, points=options.points, seed=options.seed, batch_size=options.batch_size
        )

    def model(self, name: str) -> LoadedModel:
        """A surrogate or victim.

        Raises
        ------
        ModelError
            If its file is gone, or is no model.
        FormatError
            If it is another than the one that the experiment was begun with.
        """
        path = self.models[name]
        model = replace(_loaded(path, path.stat().st_mtime_ns if path.is_file() else 0, self.device))
        there = ExperimentRecord.of(self.folder)
        if there is not None and there.weights.get(name, model.sha256) != model.sha256:
            raise FormatError(
                ExperimentRecord.file(self.folder), f"it was begun with another model {name}", "choose another folder"
            )
        return model

    @property
    def rows(self) -> Integers:
        """(n,), places of the samples in the test split.

        Raises
        ------
        ValueError
            See ``chosen_clouds``.
        """
        return np.asarray(chosen_clouds(self.dataset.open().split("test"), self.evaluation), dtype=np.int64)

    @property
    def held_out_rows(self) -> Integers:
        """(m,), places in the train split of the samples for calibration, which no training with seed 0 has learned."""
        data = self.dataset.open()
        _, validation = data.validation(VALIDATION, 0)
        labels = data.split("train").labels[validation]
        return np.asarray(validation[choose_rows(labels, self.options.held_out)], dtype=np.int64)

    # --- where its results are ---

    @property
    def protocol_folder(self) -> Path:
        return self.folder / self.options.protocol

    def folder_of(self, attack: str) -> Path:
        """Where the results of an attack are: those at full strength are the same under all protocols."""
        return self.folder / "full-strength" if self.of(attack, "other") else self.protocol_folder

    def clean_file(self, model: str) -> Path:
        return self.folder / "clean" / f"{model}.npz"

    def alignment_file(self, surrogate: str, victim: str) -> Path:
        return self.folder / "alignment" / surrogate / f"{victim}.npz"

    def loss_file(self, surrogate: str) -> Path:
        return self.folder / "losses" / f"{surrogate}.json"

    def calibration_file(self, surrogate: str) -> Path:
        return self.protocol_folder / "calibration" / f"{surrogate}.json"

    def set_folder(self, surrogate: str, attack: str) -> Path:
        return self.folder_of(attack) / "sets" / surrogate / attack

    def noise_file(self, surrogate: str, control: str) -> Path:
        return self.protocol_folder / "noise" / surrogate / f"{control}.npz"

    def samples_path(self, surrogate: str, attack: str) -> Path:
        """The file or folder of the adversarial samples."""
        place = self.noise_file if self.of(attack, "control") else self.set_folder
        return place(surrogate, attack)

    def made_file(self, surrogate: str, attack: str) -> Path:
        return self.folder_of(attack) / "made" / surrogate / f"{attack}.npz"

    def is_made(self, surrogate: str, attack: str) -> bool:
        """Whether an attack is done: its result is stored, and its samples are, if a victim or a control needs them."""
        if not self.made_file(surrogate, attack).exists():
            return False
        if self.samples_path(surrogate, attack).exists():
            return True
        controls = [name for name in self.attacks if self.of(name, "control")] if self.of(attack, "optimiser") else []
        judged = (self.predicted_file(surrogate, attack, victim).exists() for victim in self.victims_of(surrogate))
        return all(judged) and all(self.is_made(surrogate, control) for control in controls)

    def predicted_file(self, surrogate: str, attack: str, victim: str) -> Path:
        return self.folder_of(attack) / "predicted" / surrogate / attack / f"{victim}.npz"

    # --- its record ---

    def check(self) -> None:
        """Check that everything fits together, and fits what is in the folder. Nothing is written.

        Raises
        ------
        ValueError
            If a model does not fit the dataset, or there is nothing to attack or to judge.
        FormatError
            If the folder holds another experiment.
        """
        self._check_parts(self.dataset.open())
        self._experiment_record()
        self._protocol_record()

    def begin(self) -> None:
        """Write what the experiment is.

        Models may be added to an experiment, everything else of it stays.

        Raises
        ------
        ValueError, FormatError
            See ``check``.
        """
        self.check()
        write_json(ExperimentRecord.file(self.folder), self._experiment_record())
        write_json(ProtocolRecord.file(self.folder, self.options.protocol), self._protocol_record())

    def _experiment_record(self) -> ExperimentRecord:
        """The record of the folder, with the models that this experiment adds to it."""
        card, there = self.dataset.open().card, ExperimentRecord.of(self.folder)
        record = ExperimentRecord(
            dataset=card.name,
            fingerprint=card.fingerprint,
            weights={name: self.model(name).sha256 for name in self.all_models},
            options=self.options.model_dump(include=set(SHARED)),
        )
        if there is None:
            return record
        if there.model_dump(exclude={"weights"}) != record.model_dump(exclude={"weights"}):
            raise FormatError(
                ExperimentRecord.file(self.folder),
                f"it was begun otherwise ({there.difference(record)})",
                "choose another folder",
            )
        return record.model_copy(update={"weights": there.weights | record.weights})

    def _protocol_record(self) -> ProtocolRecord:
        """The record of this protocol."""
        own = ProtocolRecord(
            surrogates=self.surrogates,
            attacks=self.chosen_attacks,
            victims=self.victims,
            options=self.options.model_dump(),
        )
        there = ProtocolRecord.of(self.folder, self.options.protocol)
        if there is not None and there.model_dump(exclude={"victims"}) != own.model_dump(exclude={"victims"}):
            raise FormatError(
                ProtocolRecord.file(self.folder, self.options.protocol),
                "it was begun with other options, surrogates or attacks",
                "choose another folder",
            )
        if self.options.protocol in AT_A_LOSS:
            self._check_losses()
        judged = () if there is None else there.victims
        return own.model_copy(update={"victims": tuple(dict.fromkeys((*self.victims, *judged)))})

    def _check_losses(self) -> None:
        """The protocols that end at a loss have it from one measurement: its options and its optimisers."""
        for protocol in AT_A_LOSS:
            record = ProtocolRecord.of(self.folder, protocol)
            options = {} if record is None else record.options
            for name in OF_THE_LOSS:
                if options.get(name, getattr(self.options, name)) != getattr(self.options, name):
                    raise FormatError(
                        ProtocolRecord.file(self.folder, protocol),
                        f"it was begun with another {name}, and {self.options.protocol} ends at the same losses",
                        "choose the same, or another folder",
                    )
        for path in filter(Path.is_file, map(self.loss_file, self.surrogates)):
            known = read_as(path, LossRecord, "the record of a calibration").quantile
            if absent := [name for name in self.attacks if self.of(name, "optimiser") and name not in known]:
                raise FormatError(path, f"the loss was measured without {absent[0]}", "choose another folder")

    def _check_parts(self, data: Dataset) -> None:
        if not (self.surrogates and self.victims and self.attacks):
            raise ValueError("A transfer experiment needs a surrogate, an attack and a victim at least.")
        kinds = {kind for kind in ("optimiser", "control") for name in self.attacks if self.of(name, kind)}
        if kinds == {"control"}:
            raise ValueError("Controls are as large as the perturbations of optimisers: choose an optimiser too.")
        if all(set(self.victims) <= {surrogate} for surrogate in self.surrogates):
            raise ValueError("A model is no victim of attacks on itself: choose another victim.")
        if self.options.tuning > 1 and len(self.surrogates) < 2:
            raise ValueError("Tuning is judged by the other surrogates: choose two at least, or tuning 1.")
        if data.card.image is None and self.options.epsilon > DIAMETER:
            raise ValueError(f"epsilon: input should be less than or equal to {DIAMETER:g} for clouds.")
        chosen_clouds(data.split("test"), self.evaluation)
        for name in self.all_models:
            card = self.model(name).card
            card.require_samples(data.card.name, data.card.image)
            if tuple(card.classes) != tuple(data.card.classes):
                raise ValueError(
                    f"{name} has other classes than {data.card.name}, or has them in another order: all models of an "
                    "experiment have those of its dataset."
                )


SHARED = ("samples", "points", "epsilon", "seed", "batch_size", "held_out")
"""Options that all protocols of a folder have in common."""
OF_THE_LOSS = ("loss", "reached", "variant")
"""Options that the loss at which attacks end depends on."""


@lru_cache(maxsize=16)
def _loaded(path: Path, changed: int, device: DeviceName) -> LoadedModel:
    """The model of a file; ``changed`` is when that was written, so that a new file is loaded anew."""
    return load_model(path, choose_device(device))
