"""The list of runs in the Train workspace: what it shows, and what is done with a run."""

import json
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QInputDialog

from app.shell import settings
from app.shell.progress import Status
from app.workspaces import run_list
from app.workspaces.run_list import day_or_time
from core.events import Epoch
from core.training import RunState, TrainOptions, remember_run_folder, summarise, train
from core.training.record import OPTIONS
from tests.app.window_fixtures import open_window

SMALL = {"clouds": 16, "batch_size": 8, "points": 32}


def make_run(dataset, folder, epochs=2, done=None, **options):
    """A run, ended after ``done`` epochs."""
    events = train(dataset, TrainOptions(**SMALL, epochs=epochs, **options), folder)
    for event in events:
        if isinstance(event, Epoch) and event.index == done:
            break
    events.close()
    return folder


@pytest.fixture(scope="module")
def runs(shared_window, tmp_path_factory):
    """A finished run, a stopped one, and one in another folder."""
    dataset, folder = shared_window.store.dataset, tmp_path_factory.mktemp("runs")
    return {
        "finished": make_run(dataset, folder / "finished"),
        "stopped": make_run(dataset, folder / "stopped", epochs=3, done=1, regime="adversarial"),
        "elsewhere": make_run(dataset, tmp_path_factory.mktemp("more") / "elsewhere", epochs=3, seed=1),
    }


@pytest.fixture
def panel(person, runs):
    for folder in runs.values():
        remember_run_folder(folder.parent)  # as a command that trains does
    panel = person.show_workspace("train")
    person.wait_until(lambda: set(runs.values()) <= {run.folder for run in panel.runs.runs}, "the runs")
    panel.runs.table.clearSelection()
    return panel


def click(panel, *folders):
    """Click on rows, with Ctrl from the second on."""
    table = panel.runs.table
    for place, folder in enumerate(folders):
        row = next(row for row in range(table.model().rowCount()) if table._key(row) == folder)
        at = table.visualRect(table.model().index(row, 0)).center()
        key = Qt.KeyboardModifier.ControlModifier if place else Qt.KeyboardModifier.NoModifier
        QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, key, at)


def choose(panel, text):
    """Choose an entry of the context menu; whether it could be chosen."""
    menu = panel.runs.menu()
    action = next(action for action in menu.actions() if action.text() == text)
    enabled = action.isEnabled()
    action.trigger()
    menu.deleteLater()
    return enabled


def cells(panel, folder):
    table = panel.runs.table
    row = next(row for row in range(table.model().rowCount()) if table._key(row) == folder)
    return {name: table.model().index(row, column).data() for column, name in enumerate(run_list.COLUMNS)}


def test_runs_of_the_studio_and_of_the_command_line_are_listed_with_their_facts(panel, runs):
    shown = cells(panel, runs["stopped"])
    assert shown["Run"] == "stopped"
    assert [shown[name] for name in ("State", "Dataset", "Regime", "Model", "Epochs")] == [
        "stopped", "shapes16", "adversarial", "pointnet", "1 / 3",
    ]  # fmt: skip
    best = summarise(runs["stopped"]).best
    assert shown["Clean %"] == f"{100 * best['validation_clean']:.1f}"
    assert shown["Adv. %"] == f"{100 * best['validation_adversarial']:.1f}"
    assert cells(panel, runs["elsewhere"])["State"] == "finished"
    assert "shapes16" in panel.start.text(), "it is said what is trained on"


@pytest.mark.parametrize(
    ("begun", "said"),
    [
        (datetime(2026, 5, 6, 0, 10), "00:10"),
        (datetime(2026, 5, 5, 23, 50), "05 May"),
        (datetime(2025, 5, 6, 9, 30), "06 May 2025"),
    ],
)
def test_a_run_of_today_has_a_time_and_one_before_a_day(begun, said):
    assert day_or_time(begun, datetime(2026, 5, 6, 9, 30)) == said


def test_the_curves_are_those_of_the_selected_runs(panel, runs):
    assert not panel.curves.accuracy._series
    click(panel, runs["stopped"])
    assert list(panel.curves.accuracy._series["val."].x) == [1]
    assert not panel.curves.letters.isVisible()
    click(panel, runs["finished"], runs["elsewhere"])
    assert sorted(list(series.x) for series in panel.curves.accuracy._series.values()) == 2 * [[1, 2]] + 2 * [[1, 2, 3]]
    assert set(panel.curves.accuracy._series) == {"A", "A′", "B", "B′"}
    assert all(name in panel.curves.letters.text() for name in ("finished", "elsewhere"))
    assert panel.load.isHidden(), "there are two"


@pytest.mark.long
def test_a_run_of_another_process_is_followed_and_after_a_kill_resumed_to_the_end(panel, person, shapes, tmp_path):
    folder = settings.runs_dir() / "live"
    words = ["train", "--dataset", "folder", "--data-root", str(shapes), "--epochs", "1000", "--out", str(folder)]
    options = [word for name, value in SMALL.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    main = Path(__file__).parents[2] / "main.py"

    def run_now():
        return next((run for run in panel.runs.runs if run.folder == folder), None)

    with subprocess.Popen([sys.executable, str(main), *words, *options], stderr=subprocess.DEVNULL) as process:
        try:
            person.wait_until(lambda: run_now() is not None and len(run_now().history) >= 2, "two epochs")
            assert run_now().state is RunState.RUNNING
            click(panel, folder)
            assert panel.resume.isHidden()
            assert panel.load.isVisible()
            assert not choose(panel, "Move to the trash…")
            seen = len(panel.curves.accuracy._series["val."].x)
            person.wait_until(lambda: len(panel.curves.accuracy._series["val."].x) > seen, "more of the curve")
        finally:
            process.send_signal(signal.SIGKILL)
    person.wait_until(lambda: run_now().state is RunState.INTERRUPTED, "the end of the other process")
    record = json.loads((folder / OPTIONS).read_text())
    record["options"]["epochs"] = len(run_now().history) + 1
    (folder / OPTIONS).write_text(json.dumps(record))
    person.wait_until(lambda: run_now().epochs < 1000, "the shorter run")
    person.click(panel.resume)
    person.wait_until(lambda: panel.job is None and run_now().state is RunState.FINISHED, "the end")
    assert len(run_now().history) == run_now().epochs
    assert person.store.dataset.card.name == "shapes16", "the run had another dataset than the open one"


def test_trainings_wait_for_each_other_and_can_be_taken_out(panel, person):
    for field, value in (SMALL | {"epochs": 1000}).items():
        person.type_option(panel.form, field, str(value))
    person.click(panel.start)
    first = panel.job
    person.type_option(panel.form, "epochs", "1")
    for _ in range(2):
        person.click(panel.queue)
    waiting = [run for run in panel.runs.runs if run.state is RunState.QUEUED]
    assert [run.epochs for run in waiting] == [1, 1]
    assert len({run.folder for run in waiting}) == 2
    click(panel, waiting[1].folder)
    assert choose(panel, "Take out of the queue")
    assert [run.folder for run in panel.runs._queued] == [waiting[0].folder]
    person.wait_until(lambda: "Epoch" in panel.status.text(), "the first epoch")
    person.click(panel.stop)
    person.wait_until(lambda: panel._folder == waiting[0].folder and panel.job is None, "the end of the next training")
    assert first.status is Status.STOPPED
    assert summarise(waiting[0].folder).state is RunState.FINISHED
    assert not panel.runs._queued
    person.wait_until(lambda: [run.folder for run in panel.runs.selected] == [waiting[0].folder], "its selection")


def test_the_options_of_a_run_are_filled_in_again(panel, person, runs):
    person.type_option(panel.form, "epochs", "7")
    click(panel, runs["stopped"])
    assert choose(panel, "Same options again")
    options = panel.options
    assert (options.regime, options.epochs, options.clouds) == ("adversarial", 3, SMALL["clouds"])
    click(panel, runs["elsewhere"])
    QTest.keyClick(panel.runs.table, Qt.Key.Key_Return)
    person.wait_until(lambda: person.store.primary == "elsewhere", "the model")
    person.leave_work()
    menu = person.window.stage.models.menu("elsewhere")
    next(action for action in menu.actions() if action.text() == "Same options again").trigger()
    menu.deleteLater()
    assert person.window.area.workspace == "train"
    assert (panel.options.regime, panel.options.seed) == ("simple", 1)
    shipped = person.window.stage.models.menu(person.shipped[0].name)
    assert not next(action for action in shipped.actions() if action.text() == "Same options again").isEnabled()
    shipped.deleteLater()
    person.wait_for_scene()


def test_a_run_that_is_to_go_on_later_is_queued_in_its_own_row(panel, person, runs, monkeypatch):
    for field, value in (SMALL | {"epochs": 1000}).items():
        person.type_option(panel.form, field, str(value))
    person.click(panel.start)
    first = panel.job
    click(panel, runs["stopped"])
    assert choose(panel, "Resume")
    rows = [run for run in panel.runs.runs if run.folder == runs["stopped"]]
    assert [run.state for run in rows] == [RunState.QUEUED]
    click(panel, runs["stopped"])
    assert [action.text() for action in panel.runs.menu().actions()] == ["Take out of the queue"]
    asked = []
    monkeypatch.setattr("app.shell.window.ask", lambda _, *words: asked.append(words))
    person.window.close()
    assert "1 queued training is not begun" in asked[0][1]
    person.wait_until(lambda: "Epoch" in panel.status.text(), "the first epoch")
    person.click(panel.stop)
    person.wait_until(lambda: panel._folder == runs["stopped"] and panel.job is None, "the end of both")
    assert first.status is Status.STOPPED
    assert summarise(runs["stopped"]).state is RunState.FINISHED


def test_a_run_of_images_offers_no_options_here(panel, person):
    folder = make_run(person.store.dataset, settings.runs_dir() / "images", epochs=1)
    record = json.loads((folder / OPTIONS).read_text())
    record["options"] |= {"model": "vgg-small", "model_options": {}}
    (folder / OPTIONS).write_text(json.dumps(record))
    panel.runs.refresh()
    person.wait_until(lambda: any(run.model == "vgg-small" for run in panel.runs.runs), "the run")
    click(panel, folder)
    assert not choose(panel, "Same options again")
    assert panel.probe.isHidden()
    panel.take_options(folder)
    (text,) = person.pop_errors()
    assert "takes images" in text


def test_a_run_is_renamed_and_its_model_is_called_so(panel, person, runs, monkeypatch):
    click(panel, runs["finished"])
    monkeypatch.setattr(QInputDialog, "getText", lambda *_, **__: ("my best", True))
    assert choose(panel, "Rename…")
    person.wait_until(lambda: cells(panel, runs["finished"])["Run"] == "my best", "the name")
    QTest.keyClick(panel.runs.table, Qt.Key.Key_Return)
    person.wait_until(lambda: person.store.primary == "finished", "the model")
    assert person.store.primary_model.card.title == "my best"

    monkeypatch.setattr(QInputDialog, "getText", lambda *_, **__: ("another", True))
    menu = person.window.stage.models.menu("finished")
    next(action for action in menu.actions() if action.text() == "Rename…").trigger()
    menu.deleteLater()
    assert person.store.primary_model.card.title == "another"
    assert summarise(runs["finished"]).title == "another", "and so it is when it is opened again"
    person.wait_for_scene()


def test_runs_are_moved_to_the_trash_after_a_question(panel, person, monkeypatch):
    gone = [make_run(person.store.dataset, settings.runs_dir() / name, epochs=1) for name in ("gone", "gone too")]
    panel.runs.refresh()
    person.wait_until(lambda: set(gone) <= {run.folder for run in panel.runs.runs}, "the runs")
    asked = []
    monkeypatch.setattr(run_list, "ask", lambda _, *words: bool(asked.append(words)))
    click(panel, *gone)
    assert choose(panel, "Move to the trash…")
    assert all(folder.exists() for folder in gone)
    assert asked[0][0] == "Move 2 runs to the trash?"
    monkeypatch.setattr(run_list, "ask", lambda *_: True)
    panel.runs.table.setFocus()
    QTest.keyClick(panel.runs.table, Qt.Key.Key_Delete)
    assert not any(folder.exists() for folder in gone)
    trash = settings.data_dir().parent / "Trash" / "files"
    assert {path.name for path in trash.iterdir()} >= {"gone", "gone too"}
    person.wait_until(lambda: not set(gone) & {run.folder for run in panel.runs.runs}, "the shorter list")


def test_a_damaged_run_says_what_is_wrong_and_can_only_be_removed(panel, person, runs):
    folder = make_run(person.store.dataset, settings.runs_dir() / "damaged", epochs=1)
    (folder / OPTIONS).write_text("{")
    panel.runs.refresh()
    person.wait_until(lambda: any(run.folder == folder for run in panel.runs.runs), "the run")
    assert cells(panel, folder)["State"] == "damaged"
    assert "is not the record of a training run" in cells(panel, folder)["Epochs"]
    click(panel, folder)
    assert not choose(panel, "Rename…")
    assert not choose(panel, "Load its model")
    assert panel.load.isHidden()
    QTest.keyClick(panel.runs.table, Qt.Key.Key_Return)


def test_the_selection_stays_where_it_is_while_the_list_changes(panel, person, runs):
    click(panel, runs["elsewhere"])
    make_run(person.store.dataset, settings.runs_dir() / "one more", epochs=1)
    panel.runs.refresh()
    person.wait_until(lambda: any(run.title == "one more" for run in panel.runs.runs), "the run")
    assert [run.folder for run in panel.runs.selected] == [runs["elsewhere"]]
    assert panel.runs.table.selectionModel().isRowSelected(panel.runs.table.currentIndex().row())


def test_the_desktop_is_told_when_a_training_ends_behind_another_window(panel, person, monkeypatch):
    told = []
    monkeypatch.setattr("app.shell.window.tell_desktop", lambda _, text: told.append(text))
    for field, value in (SMALL | {"epochs": 1}).items():
        person.type_option(panel.form, field, str(value))
    person.click(panel.start)
    person.wait_until(lambda: panel.job is None, "the end")
    assert told == []
    monkeypatch.setattr(person.window, "isActiveWindow", lambda: False)
    person.click(panel.start)
    person.wait_until(lambda: panel.job is None, "the end")
    assert told == ["Training simple is finished."]


def test_at_the_first_start_the_list_says_what_will_be_there(shapes, tmp_path):
    with open_window(shapes, tmp_path) as person:
        panel = person.show_workspace("train")
        assert panel.runs._empty.isVisible()
        assert panel.resume.isHidden()
