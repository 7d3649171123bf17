"""Names of files, classes, models and datasets are shown literally, in one line, wherever they appear."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QModelIndex, QPoint, QPointF, QRect, Qt, QTimer
from PySide6.QtGui import QImage, QKeySequence, QPainter, QTextDocument
from PySide6.QtGui import Qt as RichText
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QApplication,
    QCheckBox,
    QComboBox,
    QLabel,
    QTextBrowser,
    QWidget,
)

from app.shell import help, theme
from app.shell.notify import Severity, Toasts, ask
from app.shell.plain_text import button_text, multi_line, title_text, tooltip_text
from app.shell.widgets import Label, add_item, button, check_box, tool_button
from app.stage.verdict import TITLE
from app.views.annotations import verdict
from app.views.box_plot import BoxPlotView
from app.views.confidence import HEADER_HEIGHT, ROW_HEIGHT, ConfidenceView
from app.views.curves import CurveView
from app.views.groove import OutcomeCurves
from app.views.map_legend import MAX_NAME_WIDTH, MapLegend
from app.views.map_points import MapPoints
from app.views.matrix import MatrixView
from app.views.pager import Pager
from app.views.painting import draw_text
from app.views.scatter import MapView
from core.datasets.shapes16 import make_shape
from core.events import Done
from core.models import build as build_model
from core.models.checkpoints import ModelCard, save_model
from core.runtime.text import printable, shortened
from tests.app.inspection import pixels, tooltip

MARKUP = "<b>bold</b>&amp;<img src=x>"
CONTROL = "two\nlines\x1b[31m\u202ered\u2028\udc80"
SHOWN_CONTROL = r"two\nlines\x1b[31m\u202ered\u2028\x80"
FILE = "<b>bold&amp;<img src=x>\nnext line"
"""A file name: it has no slash."""
SHOWN_FILE = r"<b>bold&amp;<img src=x>\nnext line"


def effective(tip: str) -> str:
    """What Qt shows of the text of a tooltip."""
    if not RichText.mightBeRichText(tip):
        return tip
    document = QTextDocument()
    document.setHtml(tip)
    return document.toPlainText()


def displayed(widget: QAbstractButton) -> str:
    """What Qt shows of the text of a button, in which nothing may be the mark of a shortcut."""
    assert QKeySequence.mnemonic(widget.text()).isEmpty()
    return widget.text().replace("&&", "&")


# --- the functions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("chair", "chair"),
        ("100\u2009%", "100\u2009%"),
        ("a\u00a0b", "a\u00a0b"),
        (MARKUP, MARKUP),
        (CONTROL, SHOWN_CONTROL),
    ],
)
def test_control_characters_become_escapes_and_spaces_stay(text, shown):
    assert printable(text) == shown


def test_line_breaks_are_kept_where_lines_are_meant():
    assert multi_line("clean 0.9\nadversarial\r 0.1") == "clean 0.9\nadversarial\\r 0.1"


def test_an_ampersand_of_a_button_and_a_placeholder_of_a_title_are_doubled():
    assert button_text("a & b") == "a && b"
    assert title_text("cloud[*] – Pointward") == "cloud[*][*] – Pointward"


@given(st.text(st.characters(exclude_characters="\xa0", exclude_categories=["Cs"])), st.booleans())
def test_a_tooltip_shows_any_text_literally(text, wrap):
    assert effective(tooltip_text(text, wrap=wrap)) == multi_line(text).strip("\n")


def test_only_texts_that_qt_would_take_for_html_or_that_wrap_become_html():
    assert tooltip_text("a < b & c") == "a < b & c"
    assert tooltip_text(MARKUP).startswith("<p ")
    assert tooltip_text("short", wrap=True).startswith("<p ")
    assert tooltip_text("", wrap=True) == ""


# --- widgets --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "shown"), [(MARKUP, MARKUP), (CONTROL, SHOWN_CONTROL)])
def test_labels_buttons_and_combo_boxes_show_a_name_literally(qtbot, name, shown):
    label, combo = Label(name), QComboBox()
    add_item(combo, name, tip=name)
    buttons = (
        button(name, "open", print, tip=name),
        tool_button(name, tip=name),
        check_box(name, tip=name),
    )
    for widget in (label, combo, *buttons):
        qtbot.addWidget(widget)
    assert (label.textFormat(), label.text()) == (Qt.TextFormat.PlainText, shown)
    assert combo.itemText(0) == shown
    assert effective(combo.itemData(0, Qt.ItemDataRole.ToolTipRole)) == multi_line(name)
    assert [displayed(widget) for widget in buttons] == [shown] * 3
    assert {effective(widget.toolTip()) for widget in buttons} == {multi_line(name)}


def test_a_label_paints_tags_as_text(qtbot):
    literal, bold = Label(MARKUP), QLabel("<b>bold</b>&amp;")
    for label in (literal, bold):
        qtbot.addWidget(label)
    assert literal.sizeHint().width() >= literal.fontMetrics().horizontalAdvance(MARKUP) > bold.sizeHint().width()
    two_lines = Label("two\nlines")
    qtbot.addWidget(two_lines)
    assert two_lines.sizeHint().height() == literal.sizeHint().height()


def test_a_question_and_its_buttons_show_a_name_literally(qtbot):
    found = {}

    def look():
        box = QApplication.activeModalWidget()
        found["texts"] = {label.text(): label.textFormat() for label in box.findChildren(QLabel) if label.text()}
        found["buttons"] = [each.text() for each in box.buttons()]
        box.reject()

    QTimer.singleShot(0, look)
    ask(None, f"Replace {FILE}?", f"{FILE} goes there.", f"Replace {MARKUP}", "Keep")
    assert found["texts"] == {
        f"Replace {SHOWN_FILE}?": Qt.TextFormat.PlainText,
        f"{SHOWN_FILE} goes there.": Qt.TextFormat.PlainText,
    }
    assert f"Replace {MARKUP.replace('&', '&&')}" in found["buttons"]


def test_a_message_shows_a_name_literally_in_one_line(qtbot):
    window = QWidget()
    qtbot.addWidget(window)
    window.resize(900, 600)
    window.show()
    toasts = Toasts(window, window.rect)
    toasts.show(Severity.ERROR, f"{CONTROL}: {MARKUP} can't be read.")
    (text,) = (label for label in toasts.visible[0].findChildren(QLabel) if label.text())
    assert text.text() == f"{SHOWN_CONTROL}: {MARKUP} can't be read."
    assert text.textFormat() is Qt.TextFormat.PlainText
    toasts.visible[0].dismiss()


def test_the_diagnostics_show_a_path_literally(qtbot, tmp_path):
    window = QWidget()
    qtbot.addWidget(window)
    help.diagnostics(window, tmp_path / "<b>bold&amp;")
    (dialog,) = (child for child in window.children() if child.isWidgetType())
    assert "<b>bold&amp;" in dialog.findChild(QTextBrowser).toPlainText()
    dialog.close()


# --- views ----------------------------------------------------------------------------------------------------------


def painted(paint) -> np.ndarray:
    """What a function paints on a black image of 600 x 40 pixels."""
    image = QImage(600, 40, QImage.Format.Format_RGB32)
    image.fill(0)
    painter = QPainter(image)
    paint(painter)
    painter.end()
    return np.frombuffer(image.constBits(), np.uint8).copy()


@pytest.mark.parametrize(("name", "shown"), [(MARKUP, MARKUP), (CONTROL, SHOWN_CONTROL)])
def test_painted_text_is_literal_and_one_line(qapp, name, shown):
    def text(content):
        return lambda painter: draw_text(painter, QRect(0, 0, 600, 40), content, theme.font(), theme.DARK.text)

    def chip(content):
        return lambda painter: verdict(painter, content, True)

    assert (painted(text(name)) == painted(text(shown))).all()
    assert (painted(text(name)) != painted(text("bold"))).any()
    assert (painted(chip(name)) == painted(chip(shown))).all()


def test_the_confidence_bars_show_names_literally(qtbot):
    view = ConfidenceView()
    qtbot.addWidget(view)
    view.resize(400, 300)
    with qtbot.waitExposed(view):
        view.show()
    view.set_verdicts([CONTROL, MARKUP], [0.9, 0.1], [0.3, 0.7], 0, None)
    bars = view._bars
    tips = [effective(tooltip(bars.viewport(), QPoint(300, HEADER_HEIGHT + y))) for y in (5, 5 + ROW_HEIGHT)]
    assert [tip.splitlines()[0] for tip in tips] == [SHOWN_CONTROL, MARKUP]
    assert len(tips[0].splitlines()) == 3
    literal = pixels(view)
    view.set_verdicts([SHOWN_CONTROL, MARKUP], [0.9, 0.1], [0.3, 0.7], 0, None)
    assert (pixels(view) == literal).all()


def map_points(classes):
    labels = np.array([0, 1])
    return MapPoints(np.array([[0.0, 0.0], [1.0, 1.0]]), labels, labels > 1, labels, labels, tuple(classes))


def test_map_legend_and_names_are_literal(qtbot):
    view = MapView()
    qtbot.addWidget(view)
    view.resize(900, 400)
    view.set_map(map_points([MARKUP, CONTROL]))
    with qtbot.waitExposed(view):
        view.show()
    legend = view.findChild(MapLegend)
    assert legend.width() > MAX_NAME_WIDTH, "the names are longer than the space for them"
    literal = pixels(view)
    view.set_map(map_points([MARKUP, SHOWN_CONTROL]))
    assert (pixels(view) == literal).all()
    place = view._plot._on_screen(QPointF(0.0, 0.0)).toPoint()
    assert effective(tooltip(view._plot.viewport(), place)) == f"{MARKUP} #0, clean\nclean: predicted {MARKUP}"
    view.set_map(map_points(["bold", SHOWN_CONTROL]))
    assert (pixels(view) != literal).any()


def test_the_confusion_matrix_shows_class_names_literally(qtbot):
    view = MatrixView()
    qtbot.addWidget(view)
    view.resize(600, 300)
    with qtbot.waitExposed(view):
        view.show()
    view.set_matrices([MARKUP, CONTROL], np.eye(2, dtype=int), np.eye(2, dtype=int))
    QApplication.processEvents()
    tip = effective(tooltip(view.cells, view.cells.cell(0, 0, 1).center()))
    assert tip == f"{MARKUP} → {SHOWN_CONTROL}: 0 of 1 clouds (0.0 %)"


def test_plots_and_pager_show_model_names_literally(qtbot):
    boxes, curves, pager = BoxPlotView(), CurveView("k", "Clean"), Pager("cloud")
    for widget in (boxes, curves, pager):
        qtbot.addWidget(widget)
        widget.resize(600, 300)
        with qtbot.waitExposed(widget):
            widget.show()
    boxes.set_boxes([MARKUP + CONTROL], [[0.1, 0.2]], [[0.3, 0.4]], "<b>Confidence</b>")
    ((_, caption),) = boxes._plot.bottom._tickLevels[0]
    *name, count = caption.splitlines()
    start, _, rest = " ".join(name).partition("…")
    assert (start, rest, count) == ((MARKUP + SHOWN_CONTROL)[: len(start)], "", "n = 2")
    assert len(start) > len(MARKUP)
    assert boxes._plot.left.label.toPlainText().strip() == "<b>Confidence</b>"
    curves.set_series(MARKUP, [0, 1], [1.0, 2.0], "clean")
    literal = pixels(curves._legend)
    curves.clear()
    curves.set_series("bold", [0, 1], [1.0, 2.0], "clean")
    assert (pixels(curves._legend) != literal).any()
    pager.set_items(f"{MARKUP}{CONTROL}", 2)
    assert pager.text == f"{MARKUP}{SHOWN_CONTROL}: 1 of 2 clouds"
    assert effective(pager._label.toolTip()) == multi_line(f"{MARKUP}{CONTROL}: 1 of 2 clouds")


def test_the_tooltip_of_the_outcome_has_one_line_for_each_model():
    ones = np.ones((2, 3))
    outcome = OutcomeCurves(np.linspace(0, 0.3, 3), ones, ones > 2, (MARKUP, CONTROL), 0, (FILE, FILE))
    assert outcome.text_at(0.1).splitlines() == [
        f"{MARKUP}: {SHOWN_FILE} 1.00",
        f"{SHOWN_CONTROL}: {SHOWN_FILE} 1.00",
    ]


# --- the window -----------------------------------------------------------------------------------------------------


@pytest.fixture
def run_folder(tmp_path):
    """The folder of a finished run whose model has markup in its names."""

    def make(classes):
        torch.manual_seed(1)
        card = ModelCard(
            name=MARKUP, title=MARKUP, architecture="pointnet", classes=classes, regime="simple", points=64,
            dataset=MARKUP, fingerprint="0", up_axis="z", seed=1, epochs=1,
        )  # fmt: skip
        folder = tmp_path / "run"
        folder.mkdir(exist_ok=True)
        save_model(folder / "best.safetensors", build_model("pointnet", len(classes)), card)
        return folder

    return make


def check_window(window) -> None:
    """Every label of the window is plain text, and every tooltip is what ``tooltip_text`` makes."""
    for label in window.findChildren(QLabel):
        assert label.textFormat() is Qt.TextFormat.PlainText, label.text()
    for widget in window.findChildren(QWidget):
        tip = widget.toolTip()
        assert not RichText.mightBeRichText(tip) or tip == tooltip_text(effective(tip), wrap=True)
    for view in window.findChildren(QAbstractItemView):
        for row in range(view.model().rowCount() if view.model() is not None else 0):
            tip = view.model().index(row, 0, QModelIndex()).data(Qt.ItemDataRole.ToolTipRole) or ""
            assert not RichText.mightBeRichText(tip) or tip == tooltip_text(effective(tip), wrap=True)


def test_a_model_and_its_classes_are_shown_literally(person, run_folder, shot):
    person.window.opener.open_path(run_folder(("rod", MARKUP, CONTROL[:-1])))
    person.wait_until(lambda: person.store.primary == MARKUP, "the model")
    person.wait_for_scene()
    window = person.window
    models = window.stage.models.list
    assert models.model().index(0, 0).data() == MARKUP
    assert effective(tooltip(models.viewport(), QPoint(40, 5))).splitlines()[0] == f"{MARKUP}, attacked"
    goal = window.attack._goal
    assert [goal.itemText(k) for k in (2, 3)] == [f"towards {MARKUP}", f"towards {SHOWN_CONTROL[:-4]}"]
    boxes = [each for each in window.workspaces["evaluate"].findChildren(QCheckBox) if MARKUP in displayed(each)]
    assert len(boxes) == 1
    assert window.stage.verdict._title.text() == f"Classes of {shortened(MARKUP, TITLE)}"
    shot(window, "plain-text")
    check_window(window)


def test_a_file_with_a_strange_name_is_opened_and_shown_literally(person, tmp_path):
    path = tmp_path / f"{FILE}[*].npy"
    np.save(path, make_shape("chair", [1, 2]))
    person.window.opener.open_path(path)
    person.wait_until(lambda: person.store.cloud.name == f"{FILE}[*]", "the cloud")
    person.wait_for_scene()
    window = person.window
    assert window.windowTitle() == f"{SHOWN_FILE}[*][*] – Pointward"
    person.wait_until(lambda: not window.opener._jobs.jobs, "the search for the axis that points up")
    window.opener.submit(f"opening {FILE}", lambda _: iter([Done()]))
    strip = window.strip._text
    person.wait_until(lambda: effective(strip.toolTip()).startswith(f"Opening {SHOWN_FILE}"), "the strip")
    assert SHOWN_FILE[:20] in strip.text()
    menu = window.actions_["recent"].menu()
    menu.aboutToShow.emit()
    entry = menu.actions()[0].text()
    assert QKeySequence.mnemonic(entry).isEmpty()
    assert entry.replace("&&", "&") == printable(str(path))
    check_window(window)


def test_an_error_about_a_file_is_shown_literally(person, tmp_path):
    path = tmp_path / f"{FILE}.ply"
    path.write_text("ply\nformat ascii 1.0\nelement vertex many\n")
    person.window.opener.open_path(path)
    person.wait_until(person.messages, "the message")
    (toast,) = person.window.toasts.visible
    (text,) = (label for label in toast.findChildren(QLabel) if label.text())
    assert SHOWN_FILE in text.text()
    assert text.textFormat() is Qt.TextFormat.PlainText
    check_window(person.window)
    assert len(person.pop_errors()) == 1


def test_a_dataset_with_strange_names_is_listed_and_evaluated(person, tmp_path, run_folder):
    classes, before = (FILE, "chair"), person.store.dataset
    for name in classes:
        (tmp_path / "data" / "test" / name).mkdir(parents=True)
        for k in range(2):
            np.save(tmp_path / "data" / "test" / name / f"{FILE}{k}.npy", make_shape("chair", [k, 3]))
    person.window.opener.open_path(tmp_path / "data")
    person.wait_until(lambda: person.store.dataset is not before, "the dataset")
    assert person.store.dataset.card.classes == classes
    library = person.window.library
    assert library.classes.itemText(1) == SHOWN_FILE
    index = library.shapes.index(0)
    assert effective(index.data(Qt.ItemDataRole.ToolTipRole)) == printable(person.store.dataset.split("test").names[0])
    person.window.opener.open_path(run_folder(classes))
    person.wait_until(lambda: person.store.primary == MARKUP, "the model")
    person.wait_for_scene()
    panel = person.show_workspace("evaluate")
    for field, value in {"clouds": 4, "points": 64, "budgets": 4}.items():
        person.type_option(panel.form, field, str(value))
    person.click(panel.start)
    person.wait_until(lambda: panel.job is None, "the evaluation")
    assert panel.view.table.horizontalHeaderItem(0).text() == MARKUP
    assert panel.view.model.itemText(0) == MARKUP
    panel.view.figures["confusion"].click()
    assert panel.view.figure() is not None, "the model is found by its title"
    check_window(person.window)
    panel.result = None
    panel.view.show_comparison(None)
    person.store.set_dataset(before)
