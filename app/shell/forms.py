"""A form from any set of options: nothing about a field is written down twice.

Labels, tooltips, units, limits and sentences come from the fields of the ``Options``. A field of a kind no editor
knows (a table, a list), or that has its place elsewhere in the window, is not shown and keeps the value it had.
"""

from collections.abc import Collection
from dataclasses import dataclass
from html import escape
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticUndefined
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QLabel, QToolButton, QWidget

from app.shell import theme
from app.shell.fields import CheckBox, ComboBox, Editor, NumberBox, PathBox, TextBox
from core.options import Options


@dataclass(frozen=True)
class _Row:
    """What the form shows of one field."""

    widgets: tuple[QWidget, ...]
    editor: Editor
    problem: QLabel
    advanced: bool


class OptionsForm(QWidget):
    """Editors for the fields of ``kind`` but those of ``without``, the advanced ones behind "More options"."""

    changed = Signal()

    def __init__(self, kind: type[Options], *, without: Collection[str] = (), parent: QWidget | None = None) -> None:
        super().__init__(parent)
        theme.role(self, "content")
        self._kind = kind
        self._rows: dict[str, _Row] = {}
        self._writing = self._unfolded = False
        self._value: Options | None = None
        self._kept: dict[str, Any] = {}  # values of the fields without an editor
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(theme.SPACE_S, theme.SPACE_S, theme.SPACE_S, theme.SPACE_S)
        self._grid.setHorizontalSpacing(theme.SPACE_S)
        self._grid.setVerticalSpacing(theme.SPACE_XS)
        self._grid.setColumnStretch(1, 1)
        self._more = QToolButton(toolButtonStyle=Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        theme.role(self._more, "flat")
        self._more.clicked.connect(lambda: self._unfold(not self._unfolded))
        self._problem = _problem_label()

        fields = kind.model_fields.items()
        shown = [(name, info) for name, info in fields if name not in without]
        for name, info in shown:
            if not _extra(info, "advanced"):
                self._add(name, info)
        self._grid.addWidget(self._more, self._grid.rowCount(), 0, 1, 2, Qt.AlignmentFlag.AlignLeft)
        for name, info in shown:
            if _extra(info, "advanced"):
                self._add(name, info)
        self._grid.addWidget(self._problem, self._grid.rowCount(), 0, 1, 2)
        self._grid.setRowStretch(self._grid.rowCount(), 1)
        self._more.setVisible(any(row.advanced for row in self._rows.values()))
        self._unfold(False)
        self._write({name: info.get_default(call_default_factory=True) for name, info in fields})

    def value(self) -> Options | None:
        """What the form holds; None while something is wrong, which it then says beside the field."""
        return self._value

    def set_value(self, options: Options) -> None:
        """Show these options."""
        self._write({name: getattr(options, name) for name in self._kind.model_fields})
        self.changed.emit()

    def _add(self, name: str, info: FieldInfo) -> None:
        editor = _editor(info)
        if editor is None:
            return
        unit, words = _extra(info, "unit"), name.replace("_", " ")
        label = words[0].upper() + words[1:]
        editor.setToolTip(f"<qt>{escape(_hint(info, unit))}</qt>")
        focus = editor.focusProxy() or editor
        focus.setAccessibleName(f"{label}, {unit}" if unit not in ("", words) else label)
        focus.setAccessibleDescription(info.description or "")
        focus.setObjectName(name)
        editor.edited.connect(self._edited)
        problem = _problem_label()
        row = self._grid.rowCount()
        if isinstance(editor, CheckBox):
            editor.setText(label)
            self._grid.addWidget(editor, row, 0, 1, 2)
            widgets: tuple[QWidget, ...] = (editor,)
        else:
            title = QLabel(label)
            title.setBuddy(focus)
            title.setToolTip(editor.toolTip())
            self._grid.addWidget(title, row, 0)
            self._grid.addWidget(editor, row, 1)
            widgets = (title, editor)
        self._grid.addWidget(problem, row + 1, 1)
        self._rows[name] = _Row(widgets, editor, problem, bool(_extra(info, "advanced")))

    def _unfold(self, on: bool) -> None:
        self._unfolded = on
        theme.set_icon(self._more, "chevron-down" if on else "chevron-right", "muted")
        self._more.setText("Fewer options" if on else "More options")
        for row in self._rows.values():
            if row.advanced:
                for widget in row.widgets:
                    widget.setVisible(on)
                row.problem.setVisible(on and bool(row.problem.text()))

    def _write(self, values: dict[str, Any]) -> None:
        self._writing = True
        for name, row in self._rows.items():
            row.editor.write(None if values[name] is PydanticUndefined else values[name])
        self._writing = False
        self._kept = {
            name: value for name, value in values.items() if name not in self._rows and value is not PydanticUndefined
        }
        self._check()

    def _edited(self) -> None:
        if not self._writing:
            self._check()
            self.changed.emit()

    def _check(self) -> None:
        problems: dict[str, str] = {}
        try:
            self._value = self._kind.model_validate(
                {**self._kept, **{name: row.editor.read() for name, row in self._rows.items()}}
            )
        except ValidationError as error:
            self._value = None
            for item in error.errors():
                name = str(item["loc"][0]) if item["loc"] else ""
                problems.setdefault(name if name in self._rows else "", _sentence(item))
        if any(self._rows[name].advanced for name in problems if name):
            self._unfold(True)
        for name, row in self._rows.items():
            _say(row.problem, problems.get(name, ""))
            theme.role(row.editor.focusProxy() or row.editor, "invalid" if name in problems else "")
        _say(self._problem, problems.get("", ""))


# --- words ----------------------------------------------------------------------------------------------------------


def _extra(info: FieldInfo, key: str) -> Any:
    extra = info.json_schema_extra
    return extra.get(key, "") if isinstance(extra, dict) else ""


def _limit(info: FieldInfo, name: str) -> Any:
    return next((getattr(limit, name) for limit in info.metadata if hasattr(limit, name)), None)


def _hint(info: FieldInfo, unit: str) -> str:
    match _limit(info, "ge"), _limit(info, "le"):
        case None, None:
            limits = ""
        case low, None:
            limits = f"at least {low:,}"
        case None, high:
            limits = f"at most {high:,}"
        case low, high:
            limits = f"{low:,} to {high:,}"
    return " ".join(filter(None, (info.description, f"({f'{limits} {unit}'.strip()})" if limits else "")))


def _sentence(item: ErrorDetails) -> str:
    """One of pydantic's errors as a sentence beside its field."""
    match item["type"]:
        case "greater_than_equal":
            return f"Must be at least {item['ctx']['ge']:,}."
        case "less_than_equal":
            return f"Must be at most {item['ctx']['le']:,}."
        case "value_error":
            text = str(item["ctx"]["error"])
            return text[0].upper() + text[1:] + ("" if text.endswith(".") else ".")
        case _:
            return item["msg"].split(",")[0].replace("Input should be", "Must be") + "."


def _problem_label() -> QLabel:
    label = QLabel(wordWrap=True)
    label.hide()
    theme.role(label, "error")
    return label


def _say(label: QLabel, text: str) -> None:
    label.setText(text)
    label.setVisible(bool(text))


def _editor(info: FieldInfo) -> Editor | None:
    """The editor for a field, None if there is none for its type."""
    kind, optional = info.annotation, False
    if get_origin(kind) in (Union, UnionType):
        kinds = [each for each in get_args(kind) if each is not NoneType]
        kind, optional = kinds[0], NoneType in get_args(info.annotation)
        if len(kinds) > 1:
            return None
    if get_origin(kind) is Literal:
        return ComboBox((*((None,) if optional else ()), *get_args(kind)))
    if kind is bool:
        return ComboBox((None, True, False)) if optional else CheckBox()
    if kind in (int, float):
        return NumberBox(
            whole=kind is int,
            low=_limit(info, "ge"),
            high=_limit(info, "le"),
            optional=optional,
            unit=_extra(info, "unit"),
        )
    if kind is str:
        return TextBox(optional)
    return PathBox(optional) if kind is Path else None
