"""Imports models of other projects: asks what their files do not tell, and whether code in them may run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import create_model
from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QVBoxLayout, QWidget

from app.jobs import Job
from app.shell import settings
from app.shell.forms import OptionsForm
from app.shell.notify import ask, error_message
from app.shell.widgets import Label, button
from app.store import Store
from core.events import Cancel, Done, Event, Progress
from core.options import Options, option
from core.runtime.files import readable

if TYPE_CHECKING:
    from core.models.checkpoints import LoadedModel
    from core.models.importers import Candidate, ImportOptions, UntrustedError

Submit = Callable[[str, Callable[[Cancel], Iterator[Event]]], Job]


class OptionsDialog(QDialog):
    """A dialog for a set of options; it stays open while ``accept`` raises an error for them."""

    def __init__(self, parent: QWidget, title: str, text: str, options: Options, accept: Callable[[Any], None]) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setMinimumWidth(480)
        self._take = accept
        self.form = OptionsForm(type(options))
        self.form.set_value(options)
        self.problem = Label(role="error", wrap=True)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.accept_button = button("Import", "", self._on_accepted, role="primary")
        buttons.addButton(self.accept_button, QDialogButtonBox.ButtonRole.ActionRole)
        self.accept_button.setDefault(True)
        buttons.rejected.connect(self.reject)
        self.form.changed.connect(lambda: self.accept_button.setEnabled(self.form.value() is not None))
        column = QVBoxLayout(self)
        column.addWidget(Label(text, wrap=True))
        column.addWidget(self.form)
        column.addWidget(self.problem)
        column.addWidget(buttons)

    def _on_accepted(self) -> None:
        options = self.form.value()
        if options is None:
            return
        try:
            self._take(options)
        except (OSError, ValueError) as error:
            self.problem.setText(error_message(error))
        else:
            self.accept()


class Importer(QObject):
    """Examines the file of a model, asks what the file does not tell, and adds the model to the others."""

    info = Signal(str)

    def __init__(self, store: Store, submit: Submit, parent: QWidget) -> None:
        super().__init__(parent)
        self._store, self._submit, self._window = store, submit, parent

    def begin(self, source: str, options: ImportOptions | None = None) -> None:
        """Examine a file, or ``FILE.py:FACTORY``, and ask for what it does not tell."""
        from core.models.importers import ImportOptions

        known = options or ImportOptions()
        job = self._submit(f"examining {readable(Path(source).name)}", lambda _: _examine(source, known))
        job.finished_ok.connect(lambda found: self._on_examined(source, known, found))

    def _on_examined(self, source: str, options: ImportOptions, found: Any) -> None:
        from core.models.importers import Candidate, UntrustedError

        match found:
            case UntrustedError():
                self._ask_for_trust(source, options, found)
            case Candidate():
                self._ask_for_facts(source, self._with_known_values(options, found), found)
            case _ if found.option == "factory":
                self._ask_for_factory(source, options, str(found), found.choices)
            case _:
                self._ask(source, str(found), options, lambda changed: self.begin(source, changed))

    def _ask_for_trust(self, source: str, options: ImportOptions, question: UntrustedError) -> None:
        from core.models.importers import trust

        text = (
            f"It is {readable(question.path)}, with the SHA-256 {question.sha256}. Its code, and what that imports "
            "from its folder, can do whatever you can do: run it only if you know what it does."
        )
        if ask(self._window, f"Run the code in {readable(question.path.name)}?", text, "Run it", "Don't run it"):
            trust(question.path, question.sha256)
            self.begin(source, options)

    def _ask_for_factory(self, source: str, options: ImportOptions, text: str, choices: tuple[str, ...]) -> None:
        field = (Literal[choices], option(choices[0], "Function or class that makes the model."))  # type: ignore[valid-type]
        kind = create_model("FactoryOptions", __base__=Options, factory=field)  # type: ignore[arg-type]
        self._ask(source, text, kind(), lambda chosen: self.begin(f"{source}:{chosen.factory}", options))

    def _ask_for_facts(self, source: str, options: ImportOptions, candidate: Candidate) -> None:
        def accept(edited: ImportOptions) -> None:
            from core.models.importers import imported_models

            name = candidate.card(edited).name
            if name not in imported_models() or ask(
                self._window, f"Replace {name}?", "There is an imported model of this name.", "Replace", "Keep"
            ):
                self._import(source, edited, candidate.notes)

        self._ask(source, " ".join([f"{candidate.classes} classes.", *candidate.notes]), options, accept)

    def _ask(self, source: str, text: str, options: Options, accept: Callable[[Any], None]) -> None:
        OptionsDialog(self._window, f"Import {readable(Path(source).name)}", text, options, accept).open()

    def _with_known_values(self, options: ImportOptions, candidate: Candidate) -> ImportOptions:
        """The options, filled with the name, the points and, if there are as many, the dataset's classes."""
        dataset = self._store.dataset
        names = dataset.card.classes if dataset is not None else ()
        fits = len(names) == candidate.classes and not any("," in name for name in names)
        return options.model_copy(
            update={
                "name": options.name_for(candidate.path),
                "points": candidate.points,
                "classes": options.classes or (",".join(names) if fits else None),
            }
        )

    def _import(self, source: str, options: ImportOptions, notes: tuple[str, ...]) -> None:
        job = self._submit(f"importing {options.name}", lambda _: _import_and_load(source, options))
        job.finished_ok.connect(lambda model: self._on_imported(model, notes))

    def _on_imported(self, model: LoadedModel, notes: tuple[str, ...]) -> None:
        assert model.path is not None
        settings.add_recent(model.path)
        self._store.add_model(model, primary=True)
        self.info.emit(" ".join([f"{model.name} is imported, and attacked now.", *notes]))


def _examine(source: str, options: ImportOptions) -> Iterator[Event]:
    """``Done`` with a ``Candidate``, or with the error that asks for an option or for consent to run code."""
    from core.models.importers import NeededError, UntrustedError, examine

    yield Progress(0, 1, f"examining {readable(Path(source).name)}")
    try:
        yield Done(examine(source, options))
    except (NeededError, UntrustedError) as question:
        yield Done(question)


def _import_and_load(source: str, options: ImportOptions) -> Iterator[Event]:
    """``Done`` with the imported model."""
    from core.models.importers import examine, keep
    from core.runtime.devices import choose_device
    from core.runtime.opening import open_path

    yield Progress(0, 1, f"importing {options.name}")
    yield Done(open_path(keep(examine(source, options), options), choose_device("auto")))
