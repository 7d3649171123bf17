"""The models: which of them is attacked, which verdicts are shown, and the defence in front of the attacked one."""

from __future__ import annotations

from typing import cast

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QApplication, QButtonGroup, QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from app.shell import theme
from app.shell.widgets import Label, button, check_box, radio_button
from app.stage.defense import DefenseChoice
from app.store import Store


class ModelsPanel(QWidget):
    """A row for each model: attack it, and show its verdict; below them the defence of the attacked one."""

    openClicked = Signal()

    def __init__(self, store: Store, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self.rows = QGridLayout()
        self.rows.setHorizontalSpacing(theme.SPACE_S)
        self.rows.setVerticalSpacing(0)
        self.rows.setColumnStretch(0, 1)
        self._attacked_buttons = QButtonGroup(self)
        self._attacked_buttons.idClicked.connect(lambda row: store.set_primary(store.models[row].name))
        self.defense = DefenseChoice(store)
        below = QHBoxLayout()
        below.setSpacing(theme.SPACE_S)
        below.addWidget(self.defense, 1)
        below.addWidget(button("Open model…", "open", self.openClicked.emit, tip="A file of weights or a script"))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.SPACE_S)
        column.addWidget(Label("Models", "title"))
        column.addLayout(self.rows)
        column.addLayout(below)
        store.modelsChanged.connect(self._show)
        self._show()

    def _show(self) -> None:
        focus_widget = QApplication.focusWidget()
        focused = self.rows.indexOf(focus_widget) if focus_widget is not None else -1
        position = cast("tuple[int, ...]", self.rows.getItemPosition(focused))[:2] if focused >= 0 else None
        self._list()
        item = self.rows.itemAtPosition(*position) if position is not None else None
        if item is not None and (widget := item.widget()) is not None:
            widget.show()  # only a visible widget can have the focus
            widget.setFocus()

    def _list(self) -> None:
        while (item := self.rows.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        store = self._store
        primary = store.primary_model
        if primary is None:
            self.rows.addWidget(Label("None yet: open one below.", "caption"), 0, 0)
            return
        for column, text in ((0, "attacked"), (1, "shown")):
            self.rows.addWidget(Label(text, "caption"), 0, column)
        for row, model in enumerate(store.models):
            is_primary = model.name == store.primary
            attacked = radio_button(model.card.title, checked=is_primary, tip=f"{model.name}: attack this model")
            self._attacked_buttons.addButton(attacked, row)
            self.rows.addWidget(attacked, row + 1, 0)
            fits = model.card.classes == primary.card.classes
            shown = check_box(
                checked=fits and (model.name in store.shown or is_primary),
                enabled=fits and not is_primary,
                tip="Show this model's verdict" if fits else "This model knows other classes",
            )
            shown.setAccessibleName(f"Show {model.card.title}")
            shown.toggled.connect(lambda on, name=model.name: store.set_shown(name, on))
            self.rows.addWidget(shown, row + 1, 1, Qt.AlignmentFlag.AlignRight)
