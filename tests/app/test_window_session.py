"""What is open and chosen is there at the next start, also after the program was killed."""

import itertools
import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QApplication, QFileDialog, QInputDialog

from app.shell import opening, settings
from app.shell.window import Window
from app.store import SPLIT
from core.events import Cancel, Note
from core.training import TrainOptions, train
from tests.app.window_fixtures import open_window

KILLED = """
import os, signal, sys
from pathlib import Path
from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtWidgets import QApplication
QCoreApplication.setAttribute(Qt.ApplicationAttribute.AA_ShareOpenGLContexts)
from app.shell import session, theme
from tests.app.window_fixtures import open_window
application = QApplication(["pointward"])
theme.apply(application, "dark")
with open_window(Path(sys.argv[1]), Path(sys.argv[2])) as person:
    person.wait_until(lambda: person.window.session._saved is not None, "the start")
    person.choose(person.window.attack.preset, "BIM")
    person.window.controller.release(0.07)
    person.window.library.list.setCurrentIndex(person.window.library.shapes.index(7))
    person.show_workspace("evaluate")
    person.wait_for_scene()
    chosen = person.window.session._state()
    person.wait_until(lambda: person.window.session._saved == chosen, "the saved session")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def wait_for_session(person):
    person.wait_until(lambda: person.window.session._saved is not None, "the last session")
    return person.wait_for_scene()


def session_file(home: Path) -> Path:
    return home / "data" / "pointward" / "session.json"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of all starts of a test."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path


def test_dataset_shape_models_attack_and_options_are_there_at_the_next_start(shapes, home, monkeypatch):
    other = home / "mine"
    for split in ("train", "test"):
        for name in ("chair", "mug"):
            (other / split / name).mkdir(parents=True)
            for file in (shapes / split / name).iterdir():
                (other / split / name / file.name).write_bytes(file.read_bytes())
    with open_window(shapes, home) as person:
        wait_for_session(person)
        run = home / "run"
        small = TrainOptions(epochs=1, clouds=16, batch_size=8, points=32, regime="adversarial")
        list(train(person.store.dataset, small, run))
        person.window.opener.open_path(other)
        person.wait_until(lambda: person.store.dataset.card.name == "folder", "the folder")
        person.window.opener.open_path(run)
        person.wait_until(lambda: person.store.primary == "run", "the model")
        monkeypatch.setattr(QInputDialog, "getText", lambda *_, **__: ("my own", True))
        menu = person.window.stage.models.menu("run")
        next(action for action in menu.actions() if action.text() == "Rename…").trigger()
        menu.deleteLater()
        person.store.set_shown(person.store.models[0].name, False)
        person.window.library.list.setCurrentIndex(person.window.library.shapes.index(4))
        person.choose_pgd(steps=3)
        person.choose(person.window.attack._goal, "towards lamp")
        person.window.controller.release(0.03)
        panel = person.show_workspace("evaluate")
        person.type_option(panel.form, "clouds", "77")
        panel = person.show_workspace("train")
        person.choose(panel.form.findChild(type(panel.form.findChild(object, "regime")), "regime"), "pgd")
        person.type_option(panel.form, "epochs", "9")
        person.type_option(panel.model_forms["pointnet"], "dropout", "0.25")
        panel = person.show_workspace("transfer")
        panel.setup.attacks.tick(("fgsm",))
        scene, before = person.wait_for_scene(), person.window.session._state()
    with open_window(shapes, home) as person:
        person.shipped = ()
        again = wait_for_session(person)
        assert person.window.session._state() == before
        assert again.setup.cloud.name == scene.setup.cloud.name
        assert again.setup.attack == scene.setup.attack
        assert np.allclose(again.adversarial_confidence, scene.adversarial_confidence, atol=1e-5)
        assert person.store.primary_model.card.title == "my own"
        assert person.store.data_root == other
        assert person.window.attack._goal.currentText() == "towards lamp"
        assert person.window.area.workspace == "transfer"
        assert person.window.workspaces["evaluate"].form.value().clouds == 77
        training = person.window.workspaces["train"].options
        assert (training.regime, training.epochs, training.model_options["dropout"]) == ("pgd", 9, 0.25)
        assert person.window.workspaces["transfer"].setup.attacks.ticked == ("fgsm",)


def test_after_a_kill_everything_is_as_it_was(shapes, home):
    with subprocess.Popen([sys.executable, "-c", KILLED, str(shapes), str(home)]) as process:
        assert process.wait(120) == -signal.SIGKILL
    with open_window(shapes, home) as person:
        scene = wait_for_session(person)
        assert person.window.attack.preset.currentText() == "BIM"
        assert scene.epsilon == person.window.attack.epsilon.value == 0.07
        assert scene.setup.cloud.name == person.store.dataset.split(SPLIT).names[7]
        assert person.window.library.list.currentIndex().row() == 7
        assert person.window.area.workspace == "evaluate", "the layout too"


def test_an_export_is_offered_where_the_last_of_its_kind_was_saved_also_at_the_next_start(shapes, home, monkeypatch):
    folder, places = home / "clouds", []
    folder.mkdir()

    def dialog(parent, title, place, name_filter):
        places.append(Path(place))
        return (str(folder / "a.ply") if len(places) == 1 else ""), ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", dialog)
    with open_window(shapes, home) as person:
        wait_for_session(person)
        person.press(Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
        assert (folder / "a-clean.ply").is_file()
    with open_window(shapes, home) as person:
        wait_for_session(person)
        person.press(Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
        person.press(Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier)
    assert places == [Path("adversarial.ply"), folder / "adversarial.ply", Path("pair.png")]


def test_a_file_is_opened_again_with_the_class_that_was_given(shapes, home):
    file = home / "mug.npy"
    np.save(file, np.load(next((shapes / "test" / "mug").iterdir())))
    with open_window(shapes, home) as person:
        wait_for_session(person)
        person.window.opener.open_path(file)
        person.wait_until(lambda: person.store.source is not None, "the file")
        person.choose(person.window.attack._true_class, "true class: mug")
        person.window.attack._true_class.activated.emit(person.window.attack._true_class.currentIndex())
        assert person.wait_for_scene().setup.cloud.class_name == "mug"
    with open_window(shapes, home) as person:
        cloud = wait_for_session(person).setup.cloud
        assert (person.store.source.path, cloud.class_name) == (file, "mug")
        assert [source.path for source in person.store.files] == [file]
        person.store.remove_file(file)
    with open_window(shapes, home) as person:
        assert wait_for_session(person).setup.cloud.class_name == "mug"
        assert person.store.source.path == file
        assert person.store.files == ()


def test_what_is_not_there_any_more_is_said_and_the_rest_is_restored(shapes, home):
    with open_window(shapes, home) as person:
        wait_for_session(person)
        person.choose(person.window.attack.preset, "BIM")
        person.wait_for_scene()
    state = json.loads(session_file(home).read_text())
    gone = str(home / "gone")
    state |= {"dataset": "folder", "data_root": gone, "models": [{"path": gone, "title": "x"}], "file": gone}
    session_file(home).write_text(json.dumps(state))
    with open_window(shapes, home) as person:
        wait_for_session(person)
        assert any(gone in text and "Not there any more" in text for text in person.messages())
        assert person.store.dataset.card.name == "shapes16"
        assert person.window.attack.preset.currentText() == "BIM"
        assert not person.pop_errors()


@pytest.fixture(scope="module")
def saved_session(shapes, tmp_path_factory):
    """What a first start saves."""
    first_home = tmp_path_factory.mktemp("first")
    with open_window(shapes, first_home) as person:
        wait_for_session(person)
    return json.loads(session_file(first_home).read_text())


@pytest.mark.parametrize(
    "change",
    [
        lambda state: "{",
        lambda state: json.dumps(state | {"epsilon": "many"}),
        lambda state: json.dumps(state | {"attack": {"steps": -1}, "preset": "pgd"}),
        lambda state: json.dumps(state | {"preset": "gone", "target": 900, "shape": "gone", "attacked": "gone"}),
        lambda state: json.dumps(state | {"workspaces": {"train": {"training": {"epochs": -1}}}}),
        lambda state: json.dumps(state | {"workspaces": {"transfer": {"attacks": 3, "options": 3}}}),
    ],
)
def test_no_content_of_the_file_stops_the_program(shapes, home, saved_session, change):
    session_file(home).parent.mkdir(parents=True)
    session_file(home).write_text(change(saved_session))
    with open_window(shapes, home) as person:
        scene = wait_for_session(person)
        assert scene.epsilon == 0.1
        assert not person.pop_errors()
        person.press(Qt.Key.Key_N)


def test_files_that_are_asked_for_stand_in_the_place_of_the_last_shape(shapes, home):
    with open_window(shapes, home) as person:
        wait_for_session(person)
        person.window.library.list.setCurrentIndex(person.window.library.shapes.index(7))
        person.wait_for_scene()
    file = home / "mug.npy"
    np.save(file, np.load(next((shapes / "test" / "mug").iterdir())))
    with open_window(shapes, home, file) as person:
        wait_for_session(person)
        person.wait_until(lambda: person.store.source is not None and person.store.source.path == file, "the file")
        assert settings.data_dir() == home / "data" / "pointward"


def test_what_is_chosen_while_files_are_read_stays(shapes, home, monkeypatch):
    file = home / "mug.npy"
    np.save(file, np.load(next((shapes / "test" / "mug").iterdir())))
    with open_window(shapes, home) as person:
        wait_for_session(person)
        person.window.library.list.setCurrentIndex(person.window.library.shapes.index(7))
        person.wait_for_scene()
        person.window.opener.open_path(file)
        person.wait_until(lambda: person.store.files, "the file")
        person.window.library.list.setCurrentIndex(person.window.library.shapes.index(7))
        person.wait_for_scene()
    may_read, read_all = threading.Event(), opening._read_all
    monkeypatch.setattr(opening, "_read_all", lambda files: (may_read.wait(60), (yield from read_all(files))))

    def choose():
        """Choose other things as soon as that is possible, while the file is still being read."""
        window = next((each for each in QApplication.topLevelWidgets() if isinstance(each, Window)), None)
        if window is None or window.store.scene is None or window.store.dataset is None:
            QTimer.singleShot(20, choose)
            return
        assert window.session._saved is None
        window.attack.preset.setCurrentText("BIM")
        window.controller.release(0.05)
        window.library.list.setCurrentIndex(window.library.shapes.index(3))
        may_read.set()

    QTimer.singleShot(20, choose)
    with open_window(shapes, home) as person:
        scene = wait_for_session(person)
        assert person.window.attack.preset.currentText() == "BIM"
        assert scene.epsilon == 0.05
        assert scene.setup.cloud.name == person.store.dataset.split(SPLIT).names[3]
        assert [source.path for source in person.store.files] == [file]


def test_a_training_does_not_hold_the_restoring_back(shapes, home):
    with open_window(shapes, home) as person:
        jobs, token = person.window.jobs, Cancel()
        endless = jobs.submit("endless", lambda: itertools.repeat(Note("")), token)
        wait_for_session(person)
        endless.cancel()
        person.wait_until(lambda: not jobs.jobs, "its end")


def test_a_model_that_is_asked_for_is_attacked_and_shown(shapes, home):
    with open_window(shapes, home) as person:
        wait_for_session(person)
        person.store.set_primary(person.store.models[1].name)
        person.wait_for_scene()
        run = home / "run"
        list(train(person.store.dataset, TrainOptions(epochs=1, clouds=16, batch_size=8, points=32), run))
    with open_window(shapes, home, run) as person:
        wait_for_session(person)
        person.wait_until(lambda: person.store.primary == "run", "the model")
        assert "run" in person.store.shown


def test_a_defence_is_there_again_with_its_name(shapes, home):
    with open_window(shapes, home) as person:
        wait_for_session(person)
        title = person.store.primary_model.card.title
        choice = person.window.stage.models.defense
        choice.setCurrentIndex(choice.findData("sor"))
        choice.activated.emit(choice.currentIndex())
        person.wait_for_scene()
        defended = person.store.primary_model
        assert defended.defense
    with open_window(shapes, home) as person:
        wait_for_session(person)
        again = person.store.primary_model
        assert (again.name, again.card.title, again.defense) == (defended.name, defended.card.title, defended.defense)
        assert again.bare.card.title == title


def test_nothing_is_saved_while_nothing_changes(shapes, home, monkeypatch):
    with open_window(shapes, home) as person:
        wait_for_session(person)
        person.wait_until(lambda: not person.window.session._timer.isActive(), "the first state to be saved")
        saved = []
        person.window.session.saving.connect(lambda: saved.append("layout"))
        monkeypatch.setattr("app.shell.session.write_json", lambda *_: saved.append("state"))
        panel = person.show_workspace("train")
        person.wait_until(lambda: not person.window.session._timer.isActive(), "the workspace to be saved")
        saved.clear()
        for field, value in {"epochs": 1000, "clouds": 16, "batch_size": 8, "points": 32}.items():
            panel.form.restore(panel.form.value().model_dump() | {field: value})
        person.wait_until(lambda: saved == ["state"], "the options to be saved")
        person.click(panel.start)
        person.wait_until(lambda: "Epoch 3 " in panel.status.text(), "three epochs")
        person.click(panel.stop)
        person.wait_until(lambda: panel.job is None, "the end")
        assert saved == ["state"]
