"""The models: which of them is attacked, what each says of the shown cloud, and the defence before the attacked one."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from PySide6.QtCore import QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QHBoxLayout, QInputDialog, QMenu, QVBoxLayout, QWidget

from app.shell import help, theme
from app.shell.widgets import Label, button
from app.stage.defense import DefenseChoice
from app.store import Store
from app.views.model_list import ModelListView, ModelRow

if TYPE_CHECKING:
    from core.models.checkpoints import LoadedModel


class ModelsPanel(QWidget):
    """The list of models, the attacked one first, with a context menu; below it the defence of the attacked one."""

    openClicked = Signal()
    rowsChanged = Signal(list)
    """The ``ModelRow`` of each model, the attacked one first."""
    optionsRequested = Signal(object)
    """Folder (Path) of a run whose options are to be those of the next training."""
    currentModelChanged = Signal(str)
    """Name of the model whose class bars are to be shown."""

    def __init__(self, store: Store, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self.list = ModelListView()
        self.list.attackRequested.connect(store.set_primary)
        self.list.shownToggled.connect(store.set_shown)
        self.list.currentModelChanged.connect(self.currentModelChanged)
        self.list.menuRequested.connect(lambda name, place: self.menu(name).popup(place))
        self.empty = Label("They are being loaded.", "caption", wrap=True)
        self.defense = DefenseChoice(store)
        below = QHBoxLayout()
        below.setSpacing(theme.SPACE_S)
        below.addWidget(self.defense, 1)
        below.addWidget(button("Open model…", "open", self.openClicked.emit, tip="A file of weights or a script"))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.SPACE_S)
        column.addWidget(Label("Models", "title"))
        column.addWidget(self.list)
        column.addWidget(self.empty)
        column.addLayout(below)
        store.modelsChanged.connect(self._on_models)
        store.sceneChanged.connect(self._show)
        self._attacked = ""
        self._show()

    def menu(self, name: str) -> QMenu:
        """The context menu of a model."""
        from core.training import run_exists

        store = self._store
        model = next(each for each in store.models if each.name == name)
        row = next(each for each in self.list.rows if each.name == name)
        menu = QMenu(self)
        menu.aboutToHide.connect(menu.deleteLater)
        attack = menu.addAction("Attack this model", lambda: store.set_primary(name))
        attack.setEnabled(not row.attacked)
        show = menu.addAction("Show its verdict", lambda: store.set_shown(name, not row.shown))
        show.setCheckable(True)
        show.setChecked(row.shown)
        show.setEnabled(row.fits and not row.attacked)
        menu.addSeparator()
        menu.addAction("Rename…", lambda: self._rename(model))
        menu.addAction("Unload", lambda: store.remove_model(name)).setEnabled(len(store.models) > 1)
        folder = model.path.parent if model.path is not None and run_exists(model.path.parent) else None
        again = menu.addAction("Same options again", lambda: self.optionsRequested.emit(folder))
        again.setEnabled(folder is not None)
        menu.addSeparator()
        menu.addAction("Card…", lambda: help.card(self, model.card))
        menu.addAction("Open its folder", lambda: _open_folder(model)).setEnabled(model.path is not None)
        return menu

    def _rename(self, model: LoadedModel) -> None:
        """Ask for another name; a model of a run keeps it, because the run is renamed too."""
        from core.training import rename_run, run_exists

        title, accepted = QInputDialog.getText(self, "Rename", "Name of the model:", text=model.card.title)
        if not (accepted and title.strip()):
            return
        self._store.rename_model(model.name, title.strip())
        if model.path is not None and run_exists(model.path.parent):
            with suppress(ValueError, OSError):  # while it is trained its run keeps its title
                rename_run(model.path.parent, title)

    def _on_models(self) -> None:
        self.empty.setText("None yet: open one below, or train one.")
        self._show()
        primary = self._store.primary
        if primary != self._attacked:
            self._attacked = primary
            if primary:
                self.list.set_current(primary)

    def _show(self, *_: object) -> None:
        store, scene = self._store, self._store.scene
        primary = store.primary_model
        fooled, expected = ((), ()) if scene is None else (scene.fooled(), scene.expected)
        rows = []
        for model in sorted(store.models, key=lambda each: each.name != store.primary):
            fits = primary is not None and model.card.classes == primary.card.classes
            attacked = model.name == store.primary
            shown = fits and (attacked or model.name in store.shown)
            row = ModelRow(model.name, model.card.title, attacked, shown, fits)
            if row.shown and scene is not None and model in scene.setup.models:
                place, classes = scene.setup.models.index(model), scene.setup.classes
                clean, adversarial = scene.clean_confidence[place], scene.adversarial_confidence[place]
                row = row._replace(
                    clean=classes[clean.argmax()],
                    adversarial=classes[adversarial.argmax()],
                    fooled=fooled[place],
                    before=float(clean[expected[place]]),
                    after=float(adversarial[expected[place]]),
                    labelled=scene.setup.cloud.label is not None,
                )
            rows.append(row)
        self.list.set_rows(rows)
        self.rowsChanged.emit(rows)
        self.list.setVisible(bool(rows))
        self.empty.setVisible(not rows)


def _open_folder(model: LoadedModel) -> None:
    assert model.path is not None
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(model.path.parent)))
