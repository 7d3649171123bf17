"""Forms show options, take edits with mouse and keys, and explain what is wrong beside the field."""

from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import model_validator
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication, QScrollArea, QToolButton, QVBoxLayout, QWidget

from app.shell import theme
from app.shell.fields import CheckBox, ComboBox, NumberBox, PathBox, TextBox
from app.shell.forms import OptionsForm, align_fields
from core.attacks import GradientAttack
from core.evaluation.latents import LatentOptions
from core.evaluation.tsne import TsneOptions
from core.models import ARCHITECTURES
from core.options import Options, option
from core.training import TrainOptions


class Sample(Options):
    """One field of each kind."""

    steps: int = option(10, "Gradient steps.", unit="steps", low=1, high=1000)
    rate: float = option(1e-3, "Learning rate.", low=1e-8, high=1.0)
    offset: float = option(0.0, "Where it begins.", unit="r")
    reading: Literal["sign", "raw", "per-point"] = option("sign", "How a gradient becomes a move.")
    exact: bool = option(False, "Whether to be exact.")
    name: str = option("run", "Name of the run.")
    limit: float | None = option(None, "Length of a step; empty follows epsilon.", unit="r", low=0.0)
    mode: Literal["eval", "train"] | None = option(None, "Mode of the model.", advanced=True)
    seed: int = option(0, "Source of everything random.", low=0, high=2**63 - 1, advanced=True)
    where: Path | None = option(None, "A folder.", advanced=True)
    table: dict[str, Any] = option({}, "Has no editor.")

    @model_validator(mode="after")
    def _together(self):
        if self.exact and self.reading == "raw":
            raise ValueError("an exact run cannot take the raw gradient; choose another reading")
        return self


@pytest.fixture
def form(qtbot):
    form = OptionsForm(Sample)
    qtbot.addWidget(form)
    form.show()
    form.activateWindow()
    qtbot.waitUntil(form.isActiveWindow)
    return form


def editor(form, name):
    return form._rows[name].editor


def problem(form, name):
    label = form._rows[name].problem
    return label.text() if label.isVisible() else ""


def type_into(qtbot, widget, text):
    widget.setFocus()
    widget.selectAll()
    qtbot.keyClick(widget, Qt.Key.Key_Delete)
    qtbot.keyClicks(widget, text)


def click(qtbot, widget):
    qtbot.mouseClick(widget, Qt.MouseButton.LeftButton)


def more(form):
    return form.findChild(QToolButton)


def test_that_a_new_form_holds_the_defaults(form):
    assert form.value() == Sample()


def test_that_each_kind_of_field_has_its_editor(form):
    kinds = {name: type(row.editor) for name, row in form._rows.items()}
    assert kinds == {
        "steps": NumberBox,
        "rate": NumberBox,
        "offset": NumberBox,
        "reading": ComboBox,
        "exact": CheckBox,
        "name": TextBox,
        "limit": NumberBox,
        "mode": ComboBox,
        "seed": NumberBox,
        "where": PathBox,
    }


def test_that_typing_changes_the_options(form, qtbot):
    type_into(qtbot, editor(form, "rate"), "2.5e-4")
    type_into(qtbot, editor(form, "steps"), "40")
    type_into(qtbot, editor(form, "offset"), "-0,5")
    type_into(qtbot, editor(form, "name"), "second run")
    assert form.value() == Sample(rate=2.5e-4, steps=40, offset=-0.5, name="second run")


def test_that_typed_text_stays_when_the_focus_leaves(form, qtbot):
    box = editor(form, "rate")
    type_into(qtbot, box, "0.00050")
    qtbot.keyClick(box, Qt.Key.Key_Return)
    editor(form, "name").setFocus()
    assert box.lineEdit().text() == "0.00050"
    assert form.value().rate == 0.0005


def test_that_a_click_and_a_choice_each_change_the_options_with_one_signal(form, qtbot):
    said = []
    form.changed.connect(lambda: said.append(form.value()))
    box = editor(form, "exact")
    qtbot.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))
    editor(form, "reading").setFocus()
    qtbot.keyClick(editor(form, "reading"), Qt.Key.Key_End)
    assert said == [Sample(exact=True), Sample(exact=True, reading="per-point")]


def test_that_an_empty_optional_number_is_none_and_an_empty_needed_one_is_explained(form, qtbot):
    type_into(qtbot, editor(form, "limit"), "0.2")
    assert form.value().limit == 0.2
    type_into(qtbot, editor(form, "limit"), "")
    assert form.value().limit is None
    type_into(qtbot, editor(form, "rate"), "")
    assert form.value() is None
    assert problem(form, "rate") == "Must be a valid number."


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("steps", "0", "Must be at least 1."),
        ("steps", "5000", "Must be at most 1,000."),
        ("steps", "2.5", "Must be a valid integer."),
        ("steps", "many", "Must be a valid integer."),
        ("rate", "2", "Must be at most 1.0."),
        ("rate", "1e-9", "Must be at least 1e-08."),
        ("rate", "nan", "Must be a valid number."),
        ("rate", "inf", "Must be a valid number."),
        ("offset", "1e999", "Must be a valid number."),
        ("limit", "-1", "Must be at least 0.0."),
    ],
)
def test_that_a_wrong_value_is_explained_beside_its_field_and_the_sentence_goes_when_it_is_right(
    form, qtbot, name, text, sentence
):
    type_into(qtbot, editor(form, name), text)
    assert form.value() is None
    assert problem(form, name) == sentence
    assert editor(form, name).property("role") == "invalid"
    assert [each for each in form._rows if problem(form, each)] == [name]
    type_into(qtbot, editor(form, name), "1")
    assert problem(form, name) == ""
    assert form.value() is not None


def test_that_an_invalid_combination_of_fields_is_explained_below(form, qtbot):
    editor(form, "exact").click()
    qtbot.keyClick(editor(form, "reading"), Qt.Key.Key_Down)
    assert form.value() is None
    assert form._problem.isVisible()
    assert form._problem.text() == "An exact run cannot take the raw gradient; choose another reading."


def test_that_advanced_fields_are_behind_more_options(form, qtbot):
    assert not editor(form, "seed").isVisible()
    click(qtbot, more(form))
    assert editor(form, "seed").isVisible()
    assert more(form).text() == "Fewer options"
    click(qtbot, more(form))
    assert not editor(form, "seed").isVisible()


def test_that_a_hidden_field_with_an_invalid_value_is_shown(form, qtbot):
    editor(form, "seed").lineEdit().setText("-1")
    assert editor(form, "seed").isVisible()
    assert problem(form, "seed") == "Must be at least 0."


def test_that_arrow_keys_change_the_second_digit_and_stop_at_the_limits(form, qtbot):
    def press(name, key):
        qtbot.keyClick(editor(form, name), key)
        return getattr(form.value(), name)

    assert press("rate", Qt.Key.Key_Up) == 0.0011
    assert press("rate", Qt.Key.Key_Down) == 0.001
    assert press("rate", Qt.Key.Key_Down) == 0.00099
    assert press("steps", Qt.Key.Key_Up) == 11
    assert press("steps", Qt.Key.Key_PageDown) == 1
    assert press("steps", Qt.Key.Key_Down) == 1
    assert press("offset", Qt.Key.Key_Down) == -0.01
    assert press("seed", Qt.Key.Key_Up) == 1
    form.set_value(Sample(rate=1.0))
    assert press("rate", Qt.Key.Key_Up) == 1.0
    assert not editor(form, "rate").stepEnabled() & NumberBox.StepEnabledFlag.StepUpEnabled


def wheel(widget):
    middle = QPointF(widget.rect().center())
    event = QWheelEvent(
        middle,
        widget.mapToGlobal(middle),
        QPoint(0, 0),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(widget, event)
    return event.isAccepted()


def test_that_the_wheel_changes_only_a_focused_field(form, qtbot):
    editor(form, "name").setFocus()
    for name in ("steps", "reading"):
        wheel(editor(form, name))
    assert form.value() == Sample()
    editor(form, "steps").setFocus()
    qtbot.waitUntil(editor(form, "steps").hasFocus)
    wheel(editor(form, "steps"))
    assert form.value() == Sample(steps=11)


def test_that_tab_goes_through_the_fields_in_their_order(form, qtbot):
    visited = []
    editor(form, "steps").setFocus()
    for _ in range(6):
        visited.append(QApplication.focusWidget().objectName())
        qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
    assert visited == ["steps", "rate", "offset", "reading", "exact", "name"]


def test_that_every_editor_has_a_name_a_description_and_a_tooltip_with_its_limits(form):
    for name, row in form._rows.items():
        focus = row.editor.focusProxy() or row.editor
        assert focus.accessibleName().lower().startswith(name)
        assert focus.accessibleDescription() == Sample.model_fields[name].description
        assert Sample.model_fields[name].description in row.editor.toolTip()
    assert editor(form, "steps").accessibleName() == "Steps"
    assert editor(form, "offset").accessibleName() == "Offset, r"
    assert "(1 to 1,000 steps)" in editor(form, "steps").toolTip()
    assert "(at least 0.0 r)" in editor(form, "limit").toolTip()


def test_that_a_path_can_be_chosen(form, qtbot, monkeypatch, tmp_path):
    click(qtbot, more(form))
    box = editor(form, "where")
    monkeypatch.setattr("app.shell.fields.QFileDialog.getExistingDirectory", lambda *_: str(tmp_path))
    box.findChild(QToolButton).menu().actions()[1].trigger()
    assert form.value().where == tmp_path
    monkeypatch.setattr("app.shell.fields.QFileDialog.getOpenFileName", lambda *_: ("", ""))
    box.findChild(QToolButton).menu().actions()[0].trigger()  # and the dialog is left
    assert form.value().where == tmp_path


def test_that_a_field_without_an_editor_keeps_its_value(form):
    form.set_value(Sample(table={"dropout": 0.2}, steps=3))
    assert form.value() == Sample(table={"dropout": 0.2}, steps=3)


def test_that_a_field_without_a_default_has_to_be_filled(qtbot):
    class Needed(Options):
        points: int = option(..., "Points.", low=1)

    form = OptionsForm(Needed)
    qtbot.addWidget(form)
    form.show()
    assert form.value() is None
    assert problem(form, "points") == "Must be a valid integer."
    type_into(qtbot, editor(form, "points"), "64")
    assert form.value() == Needed(points=64)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.builds(
        Sample,
        steps=st.integers(1, 1000),
        rate=st.floats(1e-8, 1.0),
        offset=st.floats(allow_nan=False, allow_infinity=False),
        reading=st.sampled_from(["sign", "per-point"]),
        exact=st.booleans(),
        name=st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=20),
        limit=st.none() | st.floats(0.0, 1e300),
        mode=st.sampled_from([None, "eval", "train"]),
        seed=st.integers(0, 2**63 - 1),
        where=st.none() | st.just(Path("/data/ü b")),
        table=st.just({"a": 1}),
    )
)
def test_that_the_form_returns_exactly_the_options_it_was_given(form, options):
    said = []
    form.changed.connect(lambda: said.append(1))
    form.set_value(options)
    assert form.value() == options
    assert said == [1]


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=12), st.integers(-30, 30))
def test_that_a_number_field_accepts_any_text_and_any_step(qapp, text, steps):
    for box in (
        NumberBox(whole=True, low=1, high=1000),
        NumberBox(whole=False, low=None, high=None, optional=True),
        NumberBox(whole=False, low=0.0, high=0.0),
    ):
        box.lineEdit().setText(text)
        box.stepEnabled()
        box.stepBy(steps)
        box.read()


@pytest.mark.parametrize("kind", [GradientAttack, LatentOptions, TsneOptions, TrainOptions])
def test_that_every_set_of_options_of_core_has_a_form(qtbot, kind):
    form = OptionsForm(kind)
    qtbot.addWidget(form)
    assert form.value() == kind()


def test_that_a_form_offers_architectures_of_clouds_alone(qtbot):
    form = OptionsForm(TrainOptions)
    qtbot.addWidget(form)
    models = editor(form, "model")
    assert [models.itemText(place) for place in range(models.count())] == list(ARCHITECTURES)


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_that_the_form_looks_as_it_should_in_both_schemes(qtbot, qapp, shot, scheme):
    theme.apply(qapp, scheme)
    page = QWidget()
    qtbot.addWidget(page)
    theme.set_role(page, "panel")
    column = QVBoxLayout(page)
    area = QScrollArea(widgetResizable=True)
    form = OptionsForm(TrainOptions)
    area.setWidget(form)
    column.addWidget(area)
    page.resize(340, 760)
    page.show()
    type_into(qtbot, editor(form, "epochs"), "0")
    editor(form, "learning_rate").setFocus()
    qtbot.wait(30)
    shot(page, f"form-{scheme}")
    more(form).click()
    page.resize(340, 1200)
    qtbot.wait(30)
    area.ensureWidgetVisible(editor(form, "precision"))
    shot(page, f"form-more-{scheme}")


def test_that_the_fields_of_stacked_forms_begin_at_the_same_place(qtbot):
    forms, whole = (OptionsForm(LatentOptions), OptionsForm(TsneOptions)), QWidget()
    column = QVBoxLayout(whole)
    for each in forms:
        column.addWidget(each)
    qtbot.addWidget(whole)
    align_fields(*forms)
    with qtbot.waitExposed(whole):
        whole.show()
    numbers = [each for each in whole.findChildren(NumberBox) if each.isVisible()]
    assert len({each.mapTo(whole, QPoint()).x() for each in numbers}) == 1
