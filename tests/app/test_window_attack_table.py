"""Several attacks on the shown shape, in a table beside the window."""

import csv

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QFileDialog, QListWidgetItem

from app.shell import theme
from app.stage.attack_table import COLUMNS, TICKED_AT_FIRST, AttackTable
from core.attacks import PRESETS, preset
from core.evaluation import one_cloud
from tests.app.window_fixtures import LEFT, Person

CTRL = Qt.KeyboardModifier.ControlModifier
QUICK = ("fgsm", "bim", "gaussian")


@pytest.fixture
def dialog(person: Person):
    """The dialog, opened by its key."""
    person.press(Qt.Key.Key_A)
    dialog = person.window.attack_table
    person.wait_until(dialog.isActiveWindow, "the dialog")
    yield dialog
    for job in person.window.jobs.jobs:
        job.cancel()
    person.wait_until(lambda: not person.busy(), "the jobs to end")
    dialog._clear()
    for name in PRESETS:
        if entry(dialog, name).flags() & Qt.ItemFlag.ItemIsEnabled:
            entry(dialog, name).setCheckState(
                Qt.CheckState.Checked if name in TICKED_AT_FIRST else Qt.CheckState.Unchecked
            )
    dialog.close()
    person.activate()


def entry(dialog: AttackTable, name: str) -> QListWidgetItem:
    return next(
        dialog.attacks.item(row)
        for row in range(dialog.attacks.count())
        if dialog.attacks.item(row).text() == name.upper()
    )


def tick(dialog: AttackTable, *names: str) -> None:
    """Tick these and no others, with the mouse on their boxes."""
    for name in PRESETS:
        item = entry(dialog, name)
        if (item.checkState() is Qt.CheckState.Checked) != (name in names):
            dialog.attacks.scrollToItem(item)
            place = dialog.attacks.visualItemRect(item)
            QTest.mouseClick(dialog.attacks.viewport(), LEFT, pos=QPoint(place.left() + 12, place.center().y()))
    assert set(dialog.ticked) == set(names)


def run(person: Person, dialog: AttackTable) -> None:
    person.click(dialog.run)
    person.wait_until(lambda: dialog._result is not None, "the rows")


def shown(dialog: AttackTable) -> list[list[str]]:
    model = dialog.table.model()
    return [
        [model.index(row, column).data() for column in range(model.columnCount())] for row in range(model.rowCount())
    ]


def column(name: str) -> int:
    return list(COLUMNS).index(name)


def test_the_usual_attacks_are_ticked_and_those_of_another_unit_are_not_offered(person, dialog):
    assert set(dialog.ticked) == TICKED_AT_FIRST
    assert "pointnet-simple" in dialog.status.text()
    assert "Tick attacks" in dialog.empty.text()
    assert dialog.empty.isVisible()
    assert not any(button.isEnabled() for button in (dialog.copy, dialog.export))
    other = entry(dialog, "rotate")
    assert other.flags() == Qt.ItemFlag.NoItemFlags
    assert "degrees" in other.toolTip()
    person.choose(person.window.attack.preset, "TWIST")
    person.wait_for_scene()
    assert {"twist", "rotate"} < set(dialog.ticked)
    assert not TICKED_AT_FIRST & set(dialog.ticked)
    tick(dialog)
    assert not dialog.run.isEnabled()
    person.choose(person.window.attack.preset, "FGSM")
    person.wait_for_scene()
    assert set(dialog.ticked) == TICKED_AT_FIRST


def test_the_attack_of_the_strip_is_ticked_when_the_dialog_is_opened(person, dialog):
    dialog.close()
    person.activate()
    person.choose(person.window.attack.preset, "BIM")
    person.wait_for_scene()
    person.press(Qt.Key.Key_A)
    assert set(dialog.ticked) == {"bim", *TICKED_AT_FIRST}


def test_each_attack_is_a_row_that_says_what_it_did(person, dialog, shot):
    scene = person.wait_for_scene()
    tick(dialog, *QUICK)
    run(person, dialog)
    rows = {row[0]: row for row in shown(dialog)}
    assert list(rows) == [name.upper() for name in QUICK]
    fgsm, verdict = rows["FGSM"], scene.adversarial_confidence[0]
    assert fgsm[column("Prediction")] == scene.setup.classes[verdict.argmax()]
    assert float(fgsm[column("Confidence")]) == pytest.approx(verdict.max(), abs=0.006)
    assert fgsm[column("Fooled")] == ("yes" if scene.fooled()[0] else "no")
    assert float(fgsm[column("‖δ‖∞")]) == pytest.approx(0.1, abs=1e-3)
    assert float(fgsm[column("RMSE")]) == pytest.approx(scene.distances.rmse, rel=0.01)
    assert (fgsm[column("Steps")], fgsm[column("Forward")], fgsm[column("Backward")]) == ("1", "2", "1")
    assert 0 <= float(fgsm[column("No gradient")]) < 1
    assert rows["GAUSSIAN"][column("ε bounds")] == "rmse"
    assert rows["GAUSSIAN"][column("No gradient")] == ""
    assert scene.setup.cloud.name in dialog.status.text()
    shot(dialog, "attacks")
    model = dialog.table.model()
    colour = model.index(0, column("Prediction")).data(Qt.ItemDataRole.ForegroundRole).color()
    assert colour in (theme.DARK.adv, theme.DARK.clean)


def test_rows_appear_one_by_one_while_the_job_runs_in_the_strip(person, dialog):
    tick(dialog, "fgsm", "square")
    person.click(dialog.run)
    assert not dialog.run.isEnabled()
    person.wait_until(lambda: len(shown(dialog)) == 1, "the first row")
    job = person.window.strip.current
    assert job.title == "comparing 2 attacks"
    assert not dialog.export.isEnabled()
    job.stop_and_keep()
    person.wait_until(lambda: dialog._job is None, "the end")
    assert [row[0] for row in shown(dialog)] == ["FGSM"]
    assert dialog.run.isEnabled()


def test_a_cancelled_comparison_leaves_no_rows(person, dialog):
    tick(dialog, "fgsm", "square")
    person.click(dialog.run)
    person.wait_until(lambda: shown(dialog), "the first row")
    person.window.strip.current.cancel()
    person.wait_until(lambda: dialog._job is None, "the end")
    assert shown(dialog) == []
    assert dialog.empty.isVisible()


def test_an_attack_that_fails_says_so_in_its_row(person, dialog, monkeypatch):
    whole = one_cloud.live.attack

    def broken(setup, *rest):
        if setup.attack.total_steps == 10:
            raise ValueError("the gradient is not finite; try another shape")
        return whole(setup, *rest)

    monkeypatch.setattr(one_cloud.live, "attack", broken)
    tick(dialog, *QUICK)
    run(person, dialog)
    rows = {row[0]: row for row in shown(dialog)}
    assert rows["BIM"][column("Prediction")].startswith("The gradient is not finite")
    assert rows["BIM"][column("Steps")] == ""
    assert rows["GAUSSIAN"][column("Steps")] == "1"
    assert person.messages() == []


def test_a_click_on_a_column_sorts_and_a_new_row_finds_its_place(person, dialog):
    tick(dialog, *QUICK)
    run(person, dialog)
    header = dialog.table.horizontalHeader()
    place = QPoint(header.sectionViewportPosition(column("RMSE")) + 10, header.height() // 2)

    def rmses() -> list[float]:
        return [float(row[column("RMSE")]) for row in shown(dialog)]

    for reverse in (False, True):
        QTest.mouseClick(header.viewport(), LEFT, pos=place)
        assert rmses() == sorted(rmses(), reverse=reverse)
    run(person, dialog)
    assert rmses() == sorted(rmses(), reverse=True)
    header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)


def test_ctrl_c_copies_the_selected_rows_or_all(person, dialog):
    tick(dialog, *QUICK)
    run(person, dialog)
    dialog.table.setFocus()
    dialog.table.clearSelection()
    QTest.keyClick(dialog.table, Qt.Key.Key_C, CTRL)
    lines = [line.split("\t") for line in QGuiApplication.clipboard().text().split("\n")]
    assert lines[0] == list(COLUMNS)
    assert lines[1:] == shown(dialog)
    dialog.table.selectRow(1)
    QTest.keyClick(dialog.table, Qt.Key.Key_C, CTRL)
    assert QGuiApplication.clipboard().text().split("\n")[1].split("\t") == shown(dialog)[1]


def test_the_rows_are_exported_with_their_provenance(person, dialog, tmp_path, monkeypatch):
    path = tmp_path / "attacks.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    tick(dialog, *QUICK)
    run(person, dialog)
    person.click(dialog.export)
    written = list(csv.DictReader(path.read_text().splitlines()))
    assert [row["Attack"] for row in written] == list(QUICK)
    assert float(written[0]["L-infinity"]) == pytest.approx(0.1, abs=1e-5)
    assert path.with_name("attacks.csv.json").exists()
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "a.xyz"), ""))
    person.click(dialog.export)
    assert len(person.pop_errors()) == 1


@pytest.mark.parametrize("way", ["double click", "Enter"])
def test_a_chosen_row_is_taken_over_with_its_options(person, dialog, way):
    panel = person.window.attack
    person.choose_pgd(steps=3)
    tick(dialog, "fgsm", "pgd")
    run(person, dialog)
    person.choose(panel.preset, "FGSM")
    person.wait_for_scene()
    index = dialog.table.model().index([row[0] for row in shown(dialog)].index("PGD"), 0)
    if way == "Enter":
        dialog.activateWindow()
        dialog.table.setFocus()
        dialog.table.setCurrentIndex(index)
        QTest.keyClick(dialog.table, Qt.Key.Key_Return)
    else:
        place = dialog.table.visualRect(index).center()
        QTest.mouseClick(dialog.table.viewport(), LEFT, pos=place)
        QTest.mouseDClick(dialog.table.viewport(), LEFT, pos=place)
    assert panel.preset.currentText() == "PGD"
    scene = person.wait_for_scene()
    assert scene.setup.attack == preset("pgd", steps=3, restarts=0, epsilon=person.store.epsilon)
    assert dialog.isVisible()
    assert len(shown(dialog)) == 2, "Enter does not run again"


def test_rows_of_another_shape_model_or_epsilon_are_marked(person, dialog):
    tick(dialog, "fgsm")
    run(person, dialog)
    assert dialog.stale.text() == ""
    title = dialog.status.text()
    person.window.controller.release(0.2)
    person.wait_for_scene()
    assert "run again" in dialog.stale.text()
    assert dialog.status.text() == title
    assert dialog.table._dimmed.isEnabled()
    person.window.controller.release(0.1)
    person.wait_for_scene()
    assert dialog.stale.text() == ""
    person.window.library.move_by(1)
    person.wait_for_scene()
    assert "run again" in dialog.stale.text()
    run(person, dialog)
    assert dialog.stale.text() == ""
    assert not dialog.table._dimmed.isEnabled()


def test_rows_of_another_target_or_seed_are_marked(person, dialog):
    person.choose(person.window.attack.preset, "RANDOM-SIGN")
    person.wait_for_scene()
    tick(dialog, "random-sign")
    run(person, dialog)
    assert "seed 0" in dialog.status.text()
    row = shown(dialog)[0]
    person.type_option(person.window.attack._form, "seed", "5")
    assert person.wait_for_scene().setup.seed == 5
    assert "seed" in dialog.stale.text()
    run(person, dialog)
    assert dialog.stale.text() == ""
    assert "seed 5" in dialog._result.table().title
    assert shown(dialog)[0][column("Confidence") : column("Steps")] != row[column("Confidence") : column("Steps")]
    person.choose(person.window.attack._goal, "towards lamp")
    person.wait_for_scene()
    assert "target" in dialog.stale.text()


def test_rows_that_draw_nothing_are_of_any_seed(person, dialog):
    tick(dialog, "fgsm", "bim")
    run(person, dialog)
    assert "seed" not in dialog.status.text()
    assert "seed" not in dialog._result.table().title
    person.choose(person.window.attack.preset, "RANDOM-SIGN")
    person.wait_for_scene()
    person.type_option(person.window.attack._form, "seed", "5")
    assert person.wait_for_scene().setup.seed == 5
    assert dialog.stale.text() == ""


def test_a_targeted_comparison_is_towards_the_target(person, dialog):
    person.choose(person.window.attack._goal, "towards lamp")
    person.wait_for_scene()
    tick(dialog, "fgsm", "bim")
    run(person, dialog)
    rows = dialog._result.rows
    assert all(row.attack.goal == "targeted" for row in rows)
    lamp = person.store.classes.index("lamp")
    assert all(row.fooled == (row.scene.adversarial_confidence[0].argmax() == lamp) for row in rows)


def test_the_colours_follow_the_theme(person, dialog, qapp):
    tick(dialog, "fgsm")
    run(person, dialog)
    theme.apply(qapp, "light")
    index = dialog.table.model().index(0, column("Prediction"))
    assert index.data(Qt.ItemDataRole.ForegroundRole).color() in (theme.LIGHT.adv, theme.LIGHT.clean)
    theme.apply(qapp, "dark")


def test_without_a_shape_it_says_what_to_do(person, dialog):
    cloud = person.store.cloud
    person.store.set_cloud(None)
    person.wait_until(lambda: person.store.scene is None, "an empty window")
    assert "shape and a model" in dialog.empty.text()
    assert not dialog.run.isEnabled()
    person.store.set_cloud(cloud)
    person.wait_for_scene()
    assert [button.text() for button in dialog.findChildren(QAbstractButton) if button.isVisible() and button.text()]
