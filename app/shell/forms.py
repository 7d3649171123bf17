"""A form made from the fields of any ``Options``, so that nothing about a field is declared twice.

Labels, tooltips, units, limits and error texts come from the fields. A field of a type without an editor (a table, a
list), or one that is excluded, is not shown and keeps its value.
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Generic, Literal, TypeVar, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticUndefined
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QWidget

from app.shell import icons, theme
from app.shell.fields import CheckBox, ComboBox, Editor, NumberBox, PathBox, TextBox
from app.shell.plain_text import set_tooltip
from app.shell.widgets import Label, tool_button
from core.options import OneOf, Options

_log = logging.getLogger(__name__)

AnyOptions = TypeVar("AnyOptions", bound=Options)


@dataclass(frozen=True)
class _Row:
    """The widgets of one field."""

    widgets: tuple[QWidget, ...]
    editor: Editor
    problem: Label
    advanced: bool


class OptionsForm(QWidget, Generic[AnyOptions]):
    """Editors for the fields of ``kind`` except those of ``exclude``; advanced ones are behind "More options"."""

    changed = Signal()
    expanded = Signal()
    """More options are shown, or fewer."""

    def __init__(self, kind: type[AnyOptions], *, exclude: Collection[str] = (), parent: QWidget | None = None) -> None:
        super().__init__(parent)
        theme.set_role(self, "content")
        self._kind = kind
        self._rows: dict[str, _Row] = {}
        self._writing = self._expanded = False
        self._value: AnyOptions | None = None
        self._other_values: dict[str, Any] = {}  # values of the fields that have no editor
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(theme.SPACE_S, theme.SPACE_S, theme.SPACE_S, theme.SPACE_S)
        self._grid.setHorizontalSpacing(theme.SPACE_S)
        self._grid.setVerticalSpacing(theme.SPACE_XS)
        self._grid.setColumnStretch(1, 1)
        self._more = tool_button("More options", "chevron-right", colour="muted", role="flat")
        self._more.clicked.connect(lambda: self._expand(not self._expanded))
        self._problem = _problem_label()

        fields = kind.model_fields.items()
        shown = [(name, info) for name, info in fields if name not in exclude]
        for name, info in shown:
            if not _schema_extra(info, "advanced"):
                self._add(name, info)
        self._grid.addWidget(self._more, self._grid.rowCount(), 0, 1, 2, Qt.AlignmentFlag.AlignLeft)
        for name, info in shown:
            if _schema_extra(info, "advanced"):
                self._add(name, info)
        self._grid.addWidget(self._problem, self._grid.rowCount(), 0, 1, 2)
        self._grid.setRowStretch(self._grid.rowCount(), 1)
        self._more.setVisible(any(row.advanced for row in self._rows.values()))
        self._expand(False)
        self._write({name: info.get_default(call_default_factory=True) for name, info in fields})

    def value(self) -> AnyOptions | None:
        """The edited options; None while a field is invalid, which is explained beside that field."""
        return self._value

    def set_value(self, options: AnyOptions) -> None:
        """Show these options."""
        self._write({name: getattr(options, name) for name in self._kind.model_fields})
        self.changed.emit()

    def restore(self, saved: Any) -> None:
        """Show options of another time, unless they are not valid any more."""
        try:
            self.set_value(self._kind.model_validate(saved))
        except ValidationError:
            _log.warning("saved %s were unusable", self._kind.__name__)

    def _add(self, name: str, info: FieldInfo) -> None:
        editor = _editor(info)
        if editor is None:
            return
        unit, words = _schema_extra(info, "unit"), name.replace("_", " ")
        label = words[0].upper() + words[1:]
        set_tooltip(editor, _tooltip_text(info, unit), wrap=True)
        focus = editor.focusProxy() or editor
        focus.setAccessibleName(f"{label}, {unit}" if unit not in ("", words) else label)
        focus.setAccessibleDescription(info.description or "")
        focus.setObjectName(name)
        editor.edited.connect(self._on_edited)
        problem = _problem_label()
        row = self._grid.rowCount()
        if isinstance(editor, CheckBox):
            editor.setText(label)
            self._grid.addWidget(editor, row, 0, 1, 2)
            widgets: tuple[QWidget, ...] = (editor,)
        else:
            title = Label(label)
            title.setBuddy(focus)
            set_tooltip(title, _tooltip_text(info, unit), wrap=True)
            self._grid.addWidget(title, row, 0)
            self._grid.addWidget(editor, row, 1)
            widgets = (title, editor)
        self._grid.addWidget(problem, row + 1, 1)
        self._rows[name] = _Row(widgets, editor, problem, bool(_schema_extra(info, "advanced")))

    def _expand(self, on: bool) -> None:
        self._expanded = on
        icons.set_icon(self._more, "chevron-down" if on else "chevron-right", "muted")
        self._more.setText("Fewer options" if on else "More options")
        self._show_rows()
        self.expanded.emit()

    def _show_rows(self) -> None:
        """Hide the rows of fields that change nothing and, unless "More options" is on, the advanced ones."""
        unused = self._value.unused() if self._value is not None else frozenset()
        for name, row in self._rows.items():
            shown = name not in unused and (self._expanded or not row.advanced)
            for widget in row.widgets:
                widget.setVisible(shown)
            row.problem.setVisible(shown and bool(row.problem.text()))

    def _write(self, values: dict[str, Any]) -> None:
        self._writing = True
        for name, row in self._rows.items():
            row.editor.write(None if values[name] is PydanticUndefined else values[name])
        self._writing = False
        self._other_values = {
            name: value for name, value in values.items() if name not in self._rows and value is not PydanticUndefined
        }
        self._validate()

    def _on_edited(self) -> None:
        if not self._writing:
            self._validate()
            self.changed.emit()

    def _validate(self) -> None:
        problems: dict[str, str] = {}
        try:
            self._value = self._kind.model_validate(
                {**self._other_values, **{name: row.editor.read() for name, row in self._rows.items()}}
            )
        except ValidationError as error:
            self._value = None
            for item in error.errors():
                name = str(item["loc"][0]) if item["loc"] else ""
                problems.setdefault(name if name in self._rows else "", _problem_text(item))
        if any(self._rows[name].advanced for name in problems if name):
            self._expand(True)
        for name, row in self._rows.items():
            row.problem.setText(problems.get(name, ""))
            theme.set_role(row.editor.focusProxy() or row.editor, "invalid" if name in problems else "")
        self._problem.setText(problems.get("", ""))
        self._problem.setVisible("" in problems)
        self._show_rows()


def align_fields(*forms: OptionsForm[Any]) -> None:
    """Let the fields of forms that are above each other begin at the same place."""
    titles = [
        row.widgets[0].sizeHint().width()
        for form in forms
        for row in form._rows.values()
        if len(row.widgets) > 1 and (form._expanded or not row.advanced)
    ]
    for form in forms:
        form._grid.setColumnMinimumWidth(0, max(titles, default=0))


# --- words --------------------------------------------------------------------------------------------------------


def _schema_extra(info: FieldInfo, key: str) -> Any:
    extra = info.json_schema_extra
    return extra.get(key, "") if isinstance(extra, dict) else ""


def _limit_of(info: FieldInfo, name: str) -> Any:
    return next((getattr(limit, name) for limit in info.metadata if hasattr(limit, name)), None)


def _tooltip_text(info: FieldInfo, unit: str) -> str:
    match _limit_of(info, "ge"), _limit_of(info, "le"):
        case None, None:
            limits = ""
        case low, None:
            limits = f"at least {low:,}"
        case None, high:
            limits = f"at most {high:,}"
        case low, high:
            limits = f"{low:,} to {high:,}"
    return " ".join(filter(None, (info.description, f"({f'{limits} {unit}'.strip()})" if limits else "")))


def _problem_text(item: ErrorDetails) -> str:
    """One of pydantic's errors as the text beside its field."""
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


def _problem_label() -> Label:
    label = Label(role="error", wrap=True)
    label.hide()
    return label


def _editor(info: FieldInfo) -> Editor | None:
    """The editor for a field, None if there is none for its type."""
    kind, optional = info.annotation, False
    if get_origin(kind) in (Union, UnionType):
        kinds = [each for each in get_args(kind) if each is not NoneType]
        kind, optional = kinds[0], NoneType in get_args(info.annotation)
        if len(kinds) > 1:
            return None
    one_of = next((each for each in info.metadata if isinstance(each, OneOf)), None)
    if one_of is not None:
        names = one_of.registry if one_of.offered is None else one_of.offered
        return ComboBox((*((None,) if optional else ()), *names))
    if get_origin(kind) is Literal:
        return ComboBox((*((None,) if optional else ()), *get_args(kind)))
    if kind is bool:
        return ComboBox((None, True, False)) if optional else CheckBox()
    if kind in (int, float):
        return NumberBox(
            whole=kind is int,
            low=_limit_of(info, "ge"),
            high=_limit_of(info, "le"),
            optional=optional,
            unit=_schema_extra(info, "unit"),
        )
    if kind is str:
        return TextBox(optional)
    return PathBox(optional) if kind is Path else None
