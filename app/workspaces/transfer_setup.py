"""What a transfer experiment is made of, to be chosen: models, attacks, protocol, samples and folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QVBoxLayout, QWidget

from app.shell import settings, theme
from app.shell.check_list import CheckList
from app.shell.plain_text import set_tooltip
from app.shell.widgets import ElidedComboBox, Label, add_item, button
from app.store import Store
from app.workspaces import transfer_work
from app.workspaces.transfer_models import Candidate, candidates, trained_in, usual_choice
from core.datasets.base import Dataset
from core.runtime.files import readable

if TYPE_CHECKING:
    from core.studies.transferability.experiment import DatasetPlace, Experiment
    from core.studies.transferability.options import TransferOptions

PROTOCOLS = {
    "equal-loss": "Every attack goes on until the surrogate's loss is the same (section 3.1 of the paper).",
    "rmse-term": "The same, but each attack also makes its RMSE larger (section 3.2).",
    "equal-rmse": "Every attack goes on until the perturbation has the same RMSE (section 3.3).",
    "steps": "Every optimiser makes 1, 3, 10, 30 and 100 steps, whatever loss they lead to.",
}
KINDS = {"optimiser": "an optimiser of the paper", "other": "made at full strength", "control": "noise, a control"}


class TransferSetup(QWidget):
    """The form of the Transfer workspace. Core has been imported by the time it is made."""

    changed = Signal()
    folderChosen = Signal(object)
    """Folder (Path) that a person has chosen: of an experiment, or for a new one."""
    failed = Signal(str)

    def __init__(self, store: Store, parent: QWidget | None = None) -> None:
        from app.shell.forms import OptionsForm
        from core.studies.transferability.findings import CONTROLS, OPTIMISERS, OTHERS
        from core.studies.transferability.options import TransferOptions

        super().__init__(parent)
        theme.set_role(self, "content")
        self._store = store
        self._dataset: Dataset | None = None
        self._added: dict[str, Path] = {}
        """Models of folders that were chosen, by name."""
        self.candidates: dict[str, Candidate] = {}
        self.begun: Experiment | None = None
        """The experiment that was started or opened last; the same settings go on with it."""
        self._chosen_folder: Path | None = None
        """Where a person wants a new experiment to be."""
        self.dataset = Label(role="caption", wrap=True)
        self.surrogates, self.victims = CheckList("Surrogates"), CheckList("Victims")
        self.attacks = CheckList("Attacks")
        kinds = {"optimiser": OPTIMISERS, "other": OTHERS, "control": CONTROLS}
        entries = [(name, f"{name}: {KINDS[kind]}", True) for kind, names in kinds.items() for name in names]
        self.attacks.fill(entries, OPTIMISERS)
        self.add = button(
            "Add models…", "plus", self._choose_models, tip="A training run, or a folder of runs such as that of a zoo"
        )
        self.protocol = ElidedComboBox()
        self.protocol.setAccessibleName("Protocol")
        for name, meaning in PROTOCOLS.items():
            add_item(self.protocol, name, name, meaning)
        self.meaning = Label(role="caption", wrap=True)
        self.form: OptionsForm[TransferOptions] = OptionsForm(TransferOptions, exclude=("protocol",))
        self.folder = Label(role="caption", wrap=True)
        self.choose = button(
            "Choose folder…", "folder", self._choose_folder, tip="Open an experiment to go on with it, or say where"
        )
        self.new = button(
            "New", "plus", self._begin_anew, tip="Leave this experiment, and start the next in a new folder"
        )
        self._lay_out()
        for each in (self.surrogates, self.victims, self.attacks):
            each.ticksChanged.connect(self.refresh)
        self.protocol.currentIndexChanged.connect(self.refresh)
        self.form.changed.connect(self.refresh)
        for changed in (store.datasetChanged, store.modelsChanged):
            changed.connect(self._list_models)
        self._list_models()

    def _lay_out(self) -> None:
        head = QWidget()
        column = QVBoxLayout(head)
        column.setContentsMargins(theme.SPACE_S, theme.SPACE_S, theme.SPACE_S, 0)
        column.setSpacing(theme.SPACE_XS)
        column.addWidget(self.dataset)
        for title, chosen in (("Surrogates", self.surrogates), ("Victims", self.victims)):
            column.addWidget(Label(title, "section"))
            column.addWidget(chosen)
        column.addWidget(self.add, alignment=Qt.AlignmentFlag.AlignLeft)
        column.addWidget(Label("Attacks", "section"))
        column.addWidget(self.attacks)
        column.addWidget(Label("Protocol", "section"))
        column.addWidget(self.protocol)
        column.addWidget(self.meaning)
        foot = QWidget()
        below, buttons = QVBoxLayout(foot), QHBoxLayout()
        below.setContentsMargins(theme.SPACE_S, 0, theme.SPACE_S, theme.SPACE_S)
        below.setSpacing(theme.SPACE_XS)
        below.addWidget(Label("Folder", "section"))
        below.addWidget(self.folder)
        buttons.setSpacing(theme.SPACE_S)
        buttons.addWidget(self.choose)
        buttons.addWidget(self.new)
        buttons.addStretch()
        below.addLayout(buttons)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        for part in (head, self.form, foot):
            whole.addWidget(part)
        whole.addStretch(1)

    # --- the models ---

    def _list_models(self, *_: object) -> None:
        """List the models that the window knows, keeping the ticks while the dataset is the same."""
        dataset = self._store.dataset
        if dataset is None:
            self.refresh()
            return
        card, another = dataset.card, dataset is not self._dataset
        self._dataset = dataset
        found = candidates(self._store.models, self._added, card.name, card.classes)
        self.candidates = {each.name: each for each in found}
        fitting = [each.name for each in self.candidates.values() if not each.why_not]
        entries = [
            (each.name, each.why_not or f"{each.title}\n{readable(each.path)}", not each.why_not)
            for each in self.candidates.values()
        ]
        first = not (self.surrogates.ticked or self.victims.ticked)
        for chosen, usual in zip((self.surrogates, self.victims), usual_choice(card.name, fitting), strict=True):
            chosen.fill(entries, usual if another or first else chosen.ticked)
        self.refresh()

    def _choose_models(self) -> None:
        """Add the model of a run, or those of a folder of runs."""
        name = QFileDialog.getExistingDirectory(self, "Folder of models", settings.load().folder)
        if not name:
            return
        folder = Path(name)
        found = trained_in(folder)
        if not found:
            self.failed.emit(f"{readable(folder)} holds no trained model: choose a training run, or a folder of runs.")
            return
        self._added |= found
        self._list_models()

    # --- the folder ---

    def _choose_folder(self) -> None:
        start = settings.transfers_dir()
        name = QFileDialog.getExistingDirectory(
            self, "Folder of the experiment", str(start) if start.is_dir() else settings.load().folder
        )
        if name:
            self.folderChosen.emit(Path(name))

    def _begin_anew(self) -> None:
        self.start_in(None)

    def start_in(self, folder: Path | None) -> None:
        """Start the next experiment in this folder; None is a new one of the default place."""
        self.begun, self._chosen_folder = None, folder
        self.refresh()

    def goes_on(self) -> bool:
        """Whether an experiment with these settings belongs to the one that was begun, and goes into its folder."""
        chosen, begun = self._chosen(), self.begun
        if chosen is None or begun is None:
            return False
        same = replace(chosen, folder=begun.folder, models=begun.models, victims=begun.victims)
        if chosen.options.protocol != begun.options.protocol:
            same = replace(same, options=_with_shared(begun.options, chosen.options))
        return same == begun

    def experiment(self) -> Experiment | None:
        """What is chosen; None while something is missing, see ``problem``. A new folder is not made yet."""
        chosen = self._chosen()
        if chosen is None or self._problem(chosen):
            return None
        if self.goes_on() and self.begun is not None:
            return replace(chosen, folder=self.begun.folder)
        if self._chosen_folder is not None:
            return replace(chosen, folder=self._chosen_folder)
        return replace(chosen, folder=settings.new_folder(settings.transfers_dir(), chosen.dataset.name))

    @property
    def problem(self) -> str:
        """What keeps it from being started, in a sentence; empty if nothing does."""
        if self._dataset is None:
            return "Open a dataset in the library first."
        chosen = self._chosen()
        return "Set right what the form marks." if chosen is None else self._problem(chosen)

    def _problem(self, chosen: Experiment) -> str:
        assert self._dataset is not None
        if not any(not each.why_not for each in self.candidates.values()):
            return f"No model here has the classes of {self._dataset.card.name}: train one first."
        for kind, ticked in (("surrogate", chosen.surrogates), ("victim", chosen.victims)):
            if not ticked:
                return f"Tick at least one {kind}."
        if not chosen.attacks:
            steps = chosen.options.protocol == "steps" and chosen.chosen_attacks
            return "Tick at least one attack." if not steps else "Tick an optimiser: the protocol steps is about them."
        if all(set(chosen.victims) <= {surrogate} for surrogate in chosen.surrogates):
            return "A model is no victim of attacks on itself: tick another victim."
        if chosen.options.tuning > 1 and len(chosen.surrogates) < 2:
            return "Tuning is judged by the other surrogates: tick two at least, or set tuning to 1."
        return ""

    @property
    def place(self) -> DatasetPlace:
        """Where the open dataset is."""
        from core.studies.transferability.experiment import DatasetPlace

        assert self._dataset is not None
        card = self._dataset.card
        return DatasetPlace(card.name, self._store.data_root, settings.cache_dir(), card.orientation)

    def _chosen(self) -> Experiment | None:
        """The chosen settings, with a folder that means nothing; None while a field is invalid."""
        from core.studies.transferability.experiment import Experiment

        options = self.form.value()
        if options is None or self._dataset is None:
            return None
        surrogates, victims = self.surrogates.ticked, self.victims.ticked
        return Experiment(
            folder=Path(),
            options=options.model_copy(update={"protocol": self.protocol.currentData()}),
            dataset=self.place,
            models={name: self.candidates[name].path for name in dict.fromkeys((*surrogates, *victims))},
            surrogates=surrogates,
            chosen_attacks=self.attacks.ticked,
            victims=victims,
        )

    def experiment_in(self, folder: Path) -> Experiment | None:
        """The experiment in a folder, see ``transfer_work.experiment_in``."""
        if self._dataset is None:
            raise ValueError("Open a dataset in the library first.")
        files = {name: each.path for name, each in self.candidates.items()}
        fingerprint, protocol = self._dataset.card.fingerprint, self.protocol.currentData()
        return transfer_work.experiment_in(folder, self.place, fingerprint, files, protocol)

    def show_experiment(self, experiment: Experiment) -> None:
        """Show the settings of an experiment, which goes on if it is started."""
        self.begun = experiment
        with QSignalBlocker(self):
            self.surrogates.tick(experiment.surrogates)
            self.victims.tick(experiment.victims)
            self.attacks.tick(experiment.chosen_attacks)
            self.protocol.setCurrentIndex(self.protocol.findData(experiment.options.protocol))
            self.form.set_value(experiment.options)
        self.refresh()

    def saved_choices(self) -> dict[str, Any]:
        """What is chosen, in the types of JSON."""
        value = self.form.value()
        return {
            **({} if value is None else {"options": value.model_dump(mode="json")}),
            "protocol": self.protocol.currentText(),
            **{name: list(ticks.ticked) for name, ticks in self._ticks.items()},
        }

    def restore_choices(self, saved: Mapping[str, Any]) -> None:
        """Choose again what ``saved_choices`` has returned; models that are not there any more are left out."""
        if "options" in saved:
            self.form.restore(saved["options"])
        self.protocol.setCurrentIndex(max(0, self.protocol.findText(str(saved.get("protocol")))))
        for name, ticks in self._ticks.items():
            if isinstance(saved.get(name), list):
                ticks.tick(saved[name])
        self.refresh()

    @property
    def _ticks(self) -> dict[str, CheckList]:
        return {"surrogates": self.surrogates, "victims": self.victims, "attacks": self.attacks}

    def refresh(self, *_: object) -> None:
        """Show what follows from the settings."""
        self.meaning.setText(PROTOCOLS[self.protocol.currentData()])
        if self._dataset is not None:
            count = len(self._dataset.split("test").labels)
            self.dataset.setText(f"Dataset: {self._dataset.card.name}, {count:,} test samples. The library changes it.")
        goes_on = self.goes_on()
        if goes_on and self.begun is not None:
            self.folder.setText(f"Goes on in {readable(self.begun.folder)}")
        else:
            place = self._chosen_folder or settings.transfers_dir()
            text = f"In {readable(place)}" if self._chosen_folder else f"A new folder in {readable(place)}"
            self.folder.setText(text)
        set_tooltip(self.folder, self.folder.text(), wrap=True)
        self.new.setVisible(goes_on or self._chosen_folder is not None)
        self.changed.emit()


def _with_shared(begun: TransferOptions, chosen: TransferOptions) -> TransferOptions:
    """``begun`` with the options of ``chosen`` that all protocols of a folder have in common."""
    from core.studies.transferability.experiment import SHARED

    return begun.model_copy(update={name: getattr(chosen, name) for name in SHARED})
