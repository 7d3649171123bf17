"""The Evaluate workspace: evaluating models, the figures, the clouds behind their marks, and exports."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QCheckBox, QFileDialog, QGraphicsView, QMenu, QToolButton

from app.shell import theme
from app.shell.progress import Status
from app.views.box_plot import OFFSET
from app.workspaces.comparison import WIDE
from app.workspaces.comparison_table import ROW
from tests.app.inspection import pixels, where
from tests.app.mouse import move_mouse
from tests.app.test_window_training import answer
from tests.app.window_fixtures import SIZE
from tests.figure_metadata import figure_metadata

CLOUDS, POINTS = 32, 128


def begin(person, clouds=CLOUDS, points=POINTS):
    """Fill in the form of the Evaluate workspace, press the button, and return the job."""
    panel = person.window.workspaces["evaluate"]
    if panel.job is not None:
        panel.job.cancel()
        person.wait_until(lambda: panel.job is None, "the end of the evaluation before")
    person.show_workspace("evaluate")
    for field, value in {"clouds": clouds, "points": points, "budgets": 4}.items():
        person.type_option(panel.form, field, str(value))
    person.click(panel.start)
    assert panel.job is not None
    return panel.job


def made(person):
    """A comparison of three models under FGSM, which is computed once and reused."""
    panel = person.window.workspaces["evaluate"]
    complete = panel.result is not None and len(panel.result.measurements) == 3
    if not complete or panel.result.options.points != POINTS or panel.job is not None:
        begin(person)
        person.wait_until(lambda: panel.job is None, "the evaluation")
    person.show_workspace("evaluate")
    return panel.result


def show(person, text):
    person.click(person.find(QToolButton, text))
    QApplication.processEvents()


def click_on_axes(plane, x, y):
    place = plane.mapFromScene(plane.box.mapViewToScene(QPointF(x, y)))
    move_mouse(plane.viewport(), place)
    QTest.mouseClick(plane.viewport(), Qt.MouseButton.LeftButton, pos=place)


def expect_clouds(person, places):
    """Check that the pager has these clouds of the comparison, and that the first is shown; their names."""
    view, store = person.window.workspaces["evaluate"].view, person.store
    split = store.dataset.split("test")
    names = [split.names[row] for row in view.comparison.rows[places]]
    person.wait_until(lambda: store.cloud.name == names[0], "the first cloud")
    plural = "s" if len(names) > 1 else ""
    assert view.pager.text.endswith(f": 1 of {len(names)} cloud{plural}")
    assert store.cloud.points.shape == (POINTS, 3)
    return names


def test_all_models_are_measured_and_the_numbers_shown(person, shot):
    panel = person.window.workspaces["evaluate"]
    begin(person)
    assert panel.start.isHidden()
    assert panel.stop.isVisible()
    assert panel.pause.hasFocus(), "it has taken the place of the button that was pressed"
    assert not panel.export.isEnabled()
    person.wait_until(lambda: panel.job is None, "the evaluation")
    assert panel.start.hasFocus()
    result, table = panel.result, panel.view.table
    titles = [model.card.title for model in person.store.models]
    assert [table.horizontalHeaderItem(k).text() for k in range(table.columnCount())] == titles
    lines = {table.verticalHeaderItem(line).text(): line for line in range(table.rowCount())}
    for column, measured in enumerate(result.measurements):
        clean, moved = measured.report.sides
        assert len(clean.label) == CLOUDS
        shown = float(table.item(lines["Clean accuracy (%)"], column).text())
        assert shown == pytest.approx(100 * np.mean(clean.prediction == clean.label), rel=5e-3)
        low, high = moved.accuracy.interval
        interval = table.item(lines["Adversarial 95 % interval"], column).text()
        assert interval == f"{100 * low:.1f}–{100 * high:.1f}"
        assert table.item(lines["Mean L-infinity (r)"], column).text() == "0.100"
        assert table.item(lines["Area under sweep"], column).text() == f"{measured.sweep.area:#.3g}"
    header = table.horizontalHeader()
    assert table.rowViewportPosition(0) == 0
    assert table.viewport().mapTo(table, QPoint()).y() >= header.geometry().bottom(), "no row is behind the titles"
    assert f"{CLOUDS} clouds" in panel.status.text()
    assert panel.view.empty.isHidden() or not panel.view.empty.isVisible()
    shot(person.window, "evaluate")


def test_finished_models_are_shown_while_the_evaluation_goes_on(person):
    panel = person.window.workspaces["evaluate"]
    panel.view.comparison = panel.result = None
    job = begin(person)
    person.wait_until(lambda: panel.view.comparison is not None, "the first model")
    first = panel.view.table.horizontalHeaderItem(0).text()
    assert first == person.store.models[0].card.title
    person.wait_until(lambda: panel.job is None, "the evaluation")
    assert job.status is Status.DONE
    assert panel.view.table.columnCount() == 3


def test_every_figure_is_drawn_in_the_colours_of_its_sides(person, shot):
    made(person)
    view, now = person.window.workspaces["evaluate"].view, theme.current()
    show(person, "Top-k")
    for plot, colour, other in zip(view.top_k, (now.clean, now.adv), (now.adv, now.clean), strict=True):
        assert where(plot, colour, 40).any()
        assert not where(plot, other, 40).any()
    show(person, "Confidence")
    assert where(view.boxes, now.clean, 40).any()
    assert where(view.boxes, now.adv, 40).any()
    shot(person.window, "evaluate-confidence")
    show(person, "Sweep")
    assert where(view.sweep, now.adv, 40).any()
    assert "area" in view.sweep.accessibleDescription()
    show(person, "Confusion")
    assert view.matrix.accessibleDescription().startswith("clean: ")
    assert where(view.matrix, now.clean, 40).any()
    shot(person.window, "evaluate-confusion")


def test_each_model_has_the_same_line_and_marker_in_all_curves_and_another_than_the_others(person):
    made(person)
    view = person.window.workspaces["evaluate"].view
    show(person, "Top-k")
    show(person, "Sweep")
    looks = [[(row.marker, row.pen.style()) for row in curves._legend_rows()] for curves in (*view.top_k, view.sweep)]
    assert looks[0] == looks[1] == looks[2]
    for each in zip(*looks[0], strict=True):
        assert len(set(each)) == 3


def test_the_names_of_the_rows_stay_beside_the_table_while_it_is_scrolled(person):
    made(person)
    view = person.window.workspaces["evaluate"].view
    person.click(view.figures["table"])
    names, bar = view.table.verticalHeader(), view.table.horizontalScrollBar()
    before, header = pixels(names), view.table.horizontalHeader()
    usual = header.minimumSectionSize()
    header.setMinimumSectionSize(view.table.viewport().width())
    person.wait_until(lambda: bar.maximum() > 0, "something to scroll")
    bar.setValue(bar.maximum())
    person.wait_until(lambda: view.table.columnAt(0) > 0, "the first model to leave the view")
    shown = pixels(names)
    assert np.array_equal(shown[: 11 * ROW], before[: 11 * ROW]), "the scroll bar takes from the empty space below"
    header.setMinimumSectionSize(usual)


def test_the_definition_of_confidence_can_be_chosen(person):
    result, view = made(person), person.window.workspaces["evaluate"].view
    show(person, "Confidence")
    person.choose(view.definition, "Confidence of right verdicts")
    right = int(result.measurements[0].report.sides[1].correct.sum())
    assert "adversarial, median" in view.boxes.accessibleDescription()
    assert f"n = {right}" in view.boxes.accessibleDescription()
    person.choose(view.definition, "Confidence in the predicted class")
    assert view.boxes.accessibleDescription().count(f"n = {CLOUDS}") == 6


def test_a_cell_opens_its_clouds_one_after_the_other(person):
    result, view = made(person), person.window.workspaces["evaluate"].view
    show(person, "Confusion")
    title = person.store.models[1].card.title
    person.choose(view.model, title)
    _, moved = result.measurements[1].report.sides
    confusion = moved.confusion()
    true, predicted = np.unravel_index(confusion.argmax(), confusion.shape)
    assert confusion[true, predicted] > 1
    cells = view.matrix.widget()
    place = cells.cell(1, int(true), int(predicted)).center()
    view.matrix.ensureVisible(place.x(), place.y())
    QTest.mouseClick(cells, Qt.MouseButton.LeftButton, pos=place)
    places = np.flatnonzero((moved.label == true) & (moved.prediction == predicted))
    names = expect_clouds(person, places)
    assert person.store.primary == person.store.models[1].name
    scene = person.wait_for_scene()
    assert scene.setup.cloud.name == names[0]
    answer = scene.adversarial_confidence[scene.setup.primary]
    assert answer.argmax() == predicted, "the pair view shows what the cell says"
    person.click(view.pager.next)
    person.wait_until(lambda: person.store.cloud.name == names[1], "the next cloud")
    assert f": 2 of {len(names)} clouds" in view.pager.text
    person.click(view.pager.previous)
    person.click(view.pager.previous)
    person.wait_until(lambda: person.store.cloud.name == names[-1], "the last cloud, around the end")
    person.wait_for_scene()


def test_a_point_of_the_sweep_opens_the_clouds_misclassified_at_its_epsilon(person):
    result, view = made(person), person.window.workspaces["evaluate"].view
    show(person, "Sweep")
    curve = result.measurements[0].sweep
    assert not curve.correct[-1].all()
    click_on_axes(view.sweep.findChild(QGraphicsView), curve.epsilons[-1], 100 * curve.accuracies[-1])
    expect_clouds(person, np.flatnonzero(~curve.correct[-1]))
    assert person.store.epsilon == pytest.approx(0.3)
    assert person.store.primary == person.store.models[0].name
    scene = person.wait_for_scene()
    assert scene.fooled()[scene.setup.primary]
    assert person.window.workspaces["evaluate"].stale.isHidden(), "another epsilon makes nothing stale"


def test_a_point_of_top_k_opens_the_misclassified_clouds(person):
    result, view = made(person), person.window.workspaces["evaluate"].view
    show(person, "Top-k")
    moved = result.measurements[0].report.sides[1]
    missed = np.flatnonzero(moved.rank > 1)
    assert missed.size
    click_on_axes(view.top_k[1].findChild(QGraphicsView), 1, 100 * moved.accuracy.value)
    expect_clouds(person, missed)
    assert "true class not in the top 1" in view.pager.text
    person.wait_for_scene()


def test_a_box_opens_the_cloud_next_to_its_median(person):
    result, view = made(person), person.window.workspaces["evaluate"].view
    show(person, "Confidence")
    person.choose(view.definition, "Confidence in the true class")
    (_, values), _ = result.measurements[0].confidences("true")
    low, middle, high = np.percentile(values, (25, 50, 75))
    inside = np.flatnonzero((values >= low) & (values <= high))
    places = inside[np.argsort(abs(values[inside] - middle), kind="stable")]
    click_on_axes(view.boxes.findChild(QGraphicsView), OFFSET, (low + high) / 2)
    expect_clouds(person, places)
    person.wait_for_scene()


def test_the_keyboard_reaches_a_cell(person):
    made(person)
    view = person.window.workspaces["evaluate"].view
    show(person, "Confusion")
    cells = view.matrix.widget()
    view.figures["confusion"].setFocus()
    for _ in range(4):
        if not cells.hasFocus():
            QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
    assert cells.hasFocus()
    QTest.keyClick(cells, Qt.Key.Key_Return)
    airplane = person.store.classes[0]
    person.wait_until(lambda: person.store.cloud.class_name == airplane, "a cloud of the first cell")
    assert f"{airplane} → {airplane}" in view.pager.text
    person.wait_for_scene()


def choose_in_menu(person, text):
    """Open the Export menu with the mouse and choose an entry."""
    person.click(person.window.workspaces["evaluate"].export)
    person.wait_until(lambda: isinstance(QApplication.activePopupWidget(), QMenu), "the menu")
    menu = QApplication.activePopupWidget()
    action = next(action for action in menu.actions() if action.text() == text)
    QTest.mouseClick(menu, Qt.MouseButton.LeftButton, pos=menu.actionGeometry(action).center())


FIGURES = ["Top-k", "Confidence", "Sweep", "Confusion"]
HEADS = {"pdf": b"%PDF", "svg": b"<?xml", "png": b"\x89PNG"}


@pytest.mark.parametrize(
    ("figure", "ending"),
    [
        pytest.param(figure, ending, marks=[pytest.mark.long] * (ending != "png" and figure != FIGURES[0]))
        for figure in FIGURES
        for ending in HEADS
    ],
)
def test_each_figure_is_exported(person, tmp_path, monkeypatch, figure, ending):
    made(person)
    show(person, figure)
    path = tmp_path / f"figure.{ending}"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    choose_in_menu(person, "Figure shown…")
    assert path.read_bytes().startswith(HEADS[ending])
    assert any(str(path) in text for text in person.messages())
    caption, made_with = figure_metadata(path)
    assert f"test split, {CLOUDS} clouds of {POINTS} points" in caption
    assert "sign attack at epsilon" in caption
    assert made_with["weights"] == {model.name: model.sha256 for model in person.store.models}
    if ending == "png":
        assert QImage(str(path)).width() > 300


def test_table_and_records_are_exported(person, tmp_path, monkeypatch):
    result = made(person)
    for ending in ("csv", "tex", "md"):
        path = tmp_path / f"table.{ending}"
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, path=path: (str(path), ""))
        choose_in_menu(person, "Table…")
        assert person.store.models[2].card.title in path.read_text()
    with (tmp_path / "table.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert float(lines[1]["Clean accuracy (%)"]) == 100 * result.measurements[1].report.sides[0].accuracy.value
    assert r"\begin{table}" in (tmp_path / "table.tex").read_text()
    path = tmp_path / "records.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    choose_in_menu(person, "Records of every cloud…")
    with path.open() as file:
        records = list(csv.DictReader(file))
    assert len(records) == 3 * CLOUDS
    right = [record["adversarial_prediction"] == record["label"] for record in records[:CLOUDS]]
    assert np.mean(right) == result.measurements[0].report.sides[1].accuracy.value
    for name in ("table.csv", "table.tex", "table.md", "records.csv"):
        made_with = json.loads((tmp_path / f"{name}.json").read_text())
        assert made_with["file"] == name
        assert made_with["options"]["evaluation"]["clouds"] == CLOUDS
        assert made_with["options"]["attack"]["epsilon"] == result.attack.epsilon
        assert made_with["dataset"] == person.store.dataset.card.fingerprint


def test_each_kind_of_export_opens_its_dialog_where_the_last_of_its_kind_was_saved(person, tmp_path, monkeypatch):
    made(person)
    places: list[Path] = []
    answers: list[str] = []

    def dialog(parent, title, place, name_filter):
        places.append(Path(place))
        return answers.pop(), ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", dialog)
    show(person, "Sweep")
    (tmp_path / "figures").mkdir()
    (tmp_path / "tables").mkdir()
    for entry, path in (
        ("Figure shown…", tmp_path / "figures" / "one.png"),
        ("Table…", tmp_path / "tables" / "one.csv"),
        ("Figure shown…", ""),
        ("Table…", tmp_path / "two.doc"),
        ("Table…", ""),
    ):
        answers.append(str(path))
        choose_in_menu(person, entry)
    assert places[2:] == [tmp_path / "figures" / "sweep.pdf", *2 * [tmp_path / "tables" / "evaluation.csv"]]
    (text,) = person.pop_errors()
    assert "wo.doc" in text, "what was not saved has no folder"


def test_a_file_that_cannot_be_written_gives_a_message(person, tmp_path, monkeypatch):
    made(person)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "table.doc"), ""))
    choose_in_menu(person, "Table…")
    (text,) = person.pop_errors()
    assert "doc" in text


def test_results_are_marked_as_stale_after_a_change_of_models_or_attack(person):
    made(person)
    panel = person.window.workspaces["evaluate"]
    assert panel.stale.isHidden()
    tick = next(box for box in panel.findChildren(QCheckBox) if box.text() == person.store.models[0].card.title)
    for _ in range(2):
        QTest.mouseClick(tick, Qt.MouseButton.LeftButton, pos=tick.rect().center() / 4)
        assert panel.stale.isVisible() != tick.isChecked()
    person.choose(person.window.attack.preset, "BIM")
    person.wait_for_scene()
    assert panel.stale.isVisible()
    person.choose(person.window.attack.preset, "FGSM")
    person.wait_for_scene()
    assert panel.stale.isHidden()


def test_a_mark_of_a_removed_model_opens_nothing(person):
    result, panel, before = made(person), person.window.workspaces["evaluate"], person.store.cloud
    said = []
    panel.info.connect(said.append)
    gone = person.store.models[1]
    person.store.models = tuple(model for model in person.store.models if model is not gone)
    person.store.modelsChanged.emit()
    show(person, "Confusion")
    person.choose(panel.view.model, gone.card.title)
    _, moved = result.measurements[1].report.sides
    true, predicted = np.unravel_index(moved.confusion().argmax(), moved.confusion().shape)
    cells = panel.view.matrix.widget()
    place = cells.cell(1, int(true), int(predicted)).center()
    panel.view.matrix.ensureVisible(place.x(), place.y())
    QTest.mouseClick(cells, Qt.MouseButton.LeftButton, pos=place)
    assert said == [f"{gone.name} is not in the list of models any more: open it again to see its attack."]
    assert person.store.cloud is before


def test_the_old_comparison_stays_marked_as_stale_while_a_new_one_runs(person):
    made(person)
    panel = person.window.workspaces["evaluate"]
    person.choose(person.window.attack.preset, "RANDOM-SIGN")
    person.wait_for_scene()
    person.click(panel.start)
    assert panel.stale.isVisible(), "the table is still FGSM's"
    person.wait_until(lambda: panel.job is None, "the evaluation")
    assert panel.stale.isHidden()


def test_without_a_ticked_model_the_button_is_disabled(person):
    panel = person.window.workspaces["evaluate"]
    person.show_workspace("evaluate")
    ticks = panel.models.findChildren(QCheckBox)
    for tick in ticks:
        tick.setFocus()
        QTest.keyClick(tick, Qt.Key.Key_Space)
    assert not panel.start.isEnabled()
    assert "Tick at least one model" in panel.view.empty.text()
    for tick in ticks:
        QTest.keyClick(tick, Qt.Key.Key_Space)
    assert panel.start.isEnabled()


def test_stopping_keeps_the_models_that_are_finished(person):
    panel = person.window.workspaces["evaluate"]
    panel.view.comparison = panel.result = None
    begin(person, clouds=48, points=1024)
    person.wait_until(lambda: panel.view.comparison is not None, "the first model")
    person.click(panel.stop)
    person.wait_until(lambda: panel.job is None, "the end")
    assert 1 <= len(panel.result.measurements) < 3
    assert panel.export.isEnabled()
    assert panel.view.table.columnCount() == len(panel.result.measurements)


def test_cancelling_keeps_the_previous_result(person):
    before = made(person)
    panel = person.window.workspaces["evaluate"]
    job = begin(person, clouds=48, points=1024)
    person.wait_until(lambda: job.meter.fraction, "some progress")
    answer("Cancel it")
    person.click(person.find(QToolButton, "Cancel"))
    person.wait_until(lambda: panel.job is None, "the end")
    assert job.status is Status.CANCELLED
    assert panel.result is before
    assert panel.view.comparison is before
    assert panel.stale.isVisible(), "the form asks for other clouds than these"


def test_cancelling_the_first_evaluation_shows_no_partial_comparison(person):
    panel = person.window.workspaces["evaluate"]
    panel.result = None
    panel.view.show_comparison(None)
    begin(person, clouds=48, points=1024)
    person.wait_until(lambda: panel.view.comparison is not None, "the first model")
    panel.job.cancel()
    person.wait_until(lambda: panel.job is None, "the end")
    assert panel.view.comparison is None
    assert panel.view.empty.isVisible()
    assert not panel.view.table.isVisible()
    assert panel.stale.isHidden()
    assert not panel.export.isEnabled()


@pytest.fixture
def auto(person, monkeypatch):
    """AUTO is chosen in the Evaluate workspace; its attacks have a few steps each."""
    few = {"apgd-ce": 10, "apgd-t": 2, "fab": 2, "square": 10}
    monkeypatch.setattr("core.evaluation.auto.STAGES", {name: {"steps": steps} for name, steps in few.items()})
    panel = person.window.workspaces["evaluate"]
    person.show_workspace("evaluate")
    person.choose(panel.attack, "AUTO")
    yield panel
    person.show_workspace("evaluate")
    person.choose(panel.attack, "that of the slider")
    panel.result = None  # other tests look at FGSM's


def test_auto_is_offered_and_no_weaker_than_the_attack_above(person, auto, shot):
    person.choose(auto.attack, "that of the slider")
    begin(person)
    person.wait_until(lambda: auto.job is None, "the evaluation under FGSM")
    under_fgsm = auto.result
    person.choose(auto.attack, "AUTO")
    assert auto.stale.isVisible(), "the table is FGSM's"
    assert "auto" in auto.attack.itemData(1, Qt.ItemDataRole.ToolTipRole).lower()
    job = begin(person)
    person.wait_until(lambda: auto.job is None, "the evaluation")
    assert job.status is Status.DONE
    for before, measured in zip(under_fgsm.measurements, auto.result.measurements, strict=True):
        right = measured.report.sides[1].correct
        assert not (right & ~before.report.sides[1].correct).any()
        assert measured.report.sides[1].linf.max() <= 0.1 + 1e-6
        assert measured.sweep is None
    assert "auto (Auto-PGD, " in auto.status.text()
    assert auto.result.provenance()["options"]["preset"] == "auto"
    assert auto.stale.isHidden()
    person.choose(person.window.attack.preset, "BIM")
    person.wait_for_scene()
    assert auto.stale.isHidden(), "auto is what it is whatever is chosen above"
    shot(person.window, "evaluate-auto")


def test_auto_is_cancelled_within_a_model(person, auto):
    auto.result = None
    auto.view.show_comparison(None)
    job = begin(person, clouds=48, points=1024)
    person.wait_until(lambda: job.meter.fraction, "some progress")
    job.cancel()
    person.wait_until(lambda: auto.job is None, "the end")
    assert job.status is Status.CANCELLED
    assert auto.view.comparison is None
    assert auto.start.isEnabled()


def test_auto_needs_an_epsilon_in_radii(person, auto):
    person.choose(person.window.attack.preset, "DROP")
    person.wait_for_scene()
    assert not auto.start.isEnabled()
    assert "a budget in radii" in auto.view.empty.text()
    person.choose(person.window.attack.preset, "FGSM")
    person.wait_for_scene()
    assert auto.start.isEnabled()


def test_an_evaluation_with_impossible_options_gives_a_message(person):
    panel = person.window.workspaces["evaluate"]
    begin(person, points=5000)
    person.wait_until(lambda: panel.job is None, "the refusal")
    (text,) = person.pop_errors()
    assert "5000 points were asked for" in text
    person.type_option(panel.form, "points", str(POINTS))
    goal = person.window.attack._goal
    goal.setCurrentIndex(1)
    person.click(panel.start)
    person.wait_until(lambda: panel.job is None, "the refusal")
    (text,) = person.pop_errors()
    assert "untargeted" in text
    goal.setCurrentIndex(0)


def test_forty_classes_have_their_names_on_both_axes_in_the_smallest_window(person):
    comparison = made(person)
    view = person.window.workspaces["evaluate"].view
    person.window.resize(1280, 720)
    person.window.actions_["reset_layout"].trigger()
    person.click(view.figures["confusion"])
    person.wait_until(lambda: person.window.size().toTuple() == (1280, 720), "the size")
    counts = np.eye(40, dtype=int)
    try:
        view.matrix.set_matrices([f"class {k}" for k in range(40)], counts, counts)
        QApplication.processEvents()
        painted = view.matrix.widget()
        assert painted._columns_named
        assert view.matrix.viewport().size() == painted.size(), "nothing has to be scrolled"
    finally:
        view.show_comparison(None)
        view.show_comparison(comparison)
        person.window.resize(*SIZE)
        person.window.actions_["reset_layout"].trigger()


def test_table_and_figures_have_the_full_height_each_where_they_are_not_beside_each_other(person):
    made(person)
    view = person.window.workspaces["evaluate"].view
    assert view.width() < WIDE
    person.click(view.figures["table"])
    assert view.table.isVisible()
    assert view.table.height() > 0.7 * view.height()
    assert not view.pager.isVisible()
    person.click(view.figures["confusion"])
    assert not view.table.isVisible()
    assert view.matrix.height() > 0.7 * view.height()
    person.press(Qt.Key.Key_F10)
    person.wait_until(lambda: view.width() >= WIDE, "more space")
    QApplication.processEvents()
    assert view.table.isVisible()
    assert view.matrix.isVisible()
    assert view.figures["table"].isHidden()
    person.press(Qt.Key.Key_F10)
    person.wait_until(lambda: view.width() < WIDE, "less space")
    assert view.key == "confusion"
    person.click(view.figures["table"])
    for wide in (True, False):
        person.press(Qt.Key.Key_F10)
        person.wait_until(lambda wide=wide: (view.width() >= WIDE) is wide, "the other width")
    assert view.key == "table", "what was chosen before it had a place of its own"
