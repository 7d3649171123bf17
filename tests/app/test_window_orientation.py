"""Files and folders that stand another way than the models expect: chosen, turned, found, pointed out, remembered."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFileDialog, QPushButton, QToolButton

from app.shell import settings
from core.clouds.files import write_cloud
from core.clouds.frames import Orientation, rotated
from core.datasets.shapes16 import make_shape
from tests.app.window_fixtures import Person, open_window

KINDS = ("airplane", "chair", "guitar", "lamp", "mug", "table")


@pytest.fixture
def y_up(tmp_path: Path) -> Path:
    """A folder of class folders with a few built-in shapes in y-up files."""
    for kind in KINDS:
        for k in range(3):
            place = tmp_path / "y-up" / "test" / kind
            place.mkdir(parents=True, exist_ok=True)
            points = rotated(make_shape(kind, [7, k])[:1024], Orientation("z").rotation("y"))
            np.savetxt(place / f"{kind}_{k}.xyz", points, fmt="%.9g")
    return tmp_path / "y-up"


def opened(person: Person, path: Path) -> None:
    """Open a file and wait for the verdicts and the hint."""
    person.window.opener.open_path(path)
    person.wait_until(lambda: person.store.cloud is not None and person.store.cloud.name == path.stem, path.name)
    calm(person)


def calm(person: Person) -> None:
    """Wait until what is chosen is shown, and nothing is searched."""
    panel = person.window.library.orientation
    person.wait_until(lambda: not panel._choice_timer.isActive(), "the choice to count")
    person.wait_for_scene()
    person.wait_until(lambda: not person.window.orientation.busy, "the search to end")
    person.wait_for_scene()
    assert np.array_equal(person.store.scene.setup.cloud.points, person.store.cloud.points)


def verdict(person: Person) -> str:
    scene = person.store.scene
    return scene.setup.classes[scene.clean_confidence[scene.setup.primary].argmax()]


def test_built_in_shapes_have_nothing_to_turn(person: Person) -> None:
    assert not person.window.library.orientation.isVisible()


def test_a_file_that_lies_is_pointed_out_and_turned_by_a_click(person: Person, y_up: Path) -> None:
    panel, supplied = person.window.library.orientation, y_up / "test" / "guitar" / "guitar_0.xyz"
    opened(person, supplied)
    assert panel.isVisible()
    assert panel.up.currentText() == "up as it is"
    assert panel.state.text().startswith("The file looks y up")
    lying = person.store.cloud.points
    person.click(person.find(QPushButton, "Turn it"))
    calm(person)
    assert verdict(person) == "guitar"
    assert panel.up.currentText() == "y up"
    assert "turned to z up" in panel.state.text()
    assert not panel.follow.isVisible()
    orientation = person.store.source.orientation
    assert np.array_equal(person.store.cloud.points, rotated(lying, orientation.rotation("z")))
    assert settings.orientation_of(supplied.parent) == orientation


def test_where_the_library_is_hidden_a_message_tells_of_a_file_that_lies_and_turns_it(
    person: Person, y_up: Path
) -> None:
    window = person.window
    window.actions_["library"].trigger()
    assert not window.library.isVisible()
    opened(person, y_up / "test" / "guitar" / "guitar_2.xyz")
    assert "The file looks y up" in person.messages()[-1]
    person.click(next(each for each in window.toasts.visible[-1].findChildren(QToolButton) if each.text() == "Turn it"))
    calm(person)
    assert verdict(person) == "guitar"
    assert person.store.source.orientation.up == "y"
    window.actions_["library"].trigger()
    assert window.library.isVisible()


def test_an_axis_is_chosen_with_the_keyboard_and_the_shape_turned_by_the_button(person: Person, y_up: Path) -> None:
    panel = person.window.library.orientation
    opened(person, y_up / "test" / "chair" / "chair_1.xyz")
    lying = person.store.cloud.points
    person.choose(panel.up, "y up")
    calm(person)
    assert verdict(person) == "chair"
    assert np.array_equal(person.store.cloud.points, rotated(lying, Orientation("y").rotation("z")))
    for quarters in (1, 2, 3, 0):
        person.click(panel.turn)
        calm(person)
        assert person.store.source.orientation == Orientation("y", 90 * quarters)
        assert np.array_equal(person.store.cloud.points, rotated(lying, Orientation("y", 90 * quarters).rotation("z")))
    person.choose(panel.up, "up as it is")
    calm(person)
    assert np.array_equal(person.store.cloud.points, lying)


def test_the_next_file_of_a_folder_is_turned_as_the_last_one(person: Person, y_up: Path) -> None:
    folder = y_up / "test" / "mug"
    settings.save_orientation(folder, Orientation("y", 90.0))
    opened(person, folder / "mug_2.xyz")
    assert person.store.source.orientation == Orientation("y", 90.0)
    assert person.window.library.orientation.up.currentText() == "y up"
    assert "then by 90°" in person.window.library.orientation.state.text()


def test_up_is_found_by_trying(person: Person, y_up: Path) -> None:
    panel = person.window.library.orientation
    opened(person, y_up / "test" / "airplane" / "airplane_0.xyz")
    person.choose(panel.up, "find up")
    person.wait_until(lambda: person.store.source.orientation.given, "the orientation to be found")
    calm(person)
    assert verdict(person) == "airplane"
    assert panel.up.currentText() == "y up"
    assert any("Found y up" in message for message in person.messages())


def test_the_true_class_of_a_file_survives_its_turns_and_the_command_turns_it_too(person: Person, y_up: Path) -> None:
    window = person.window
    opened(person, y_up / "test" / "table" / "table_0.xyz")
    person.choose(window.attack._true_class, "true class: table")
    person.wait_for_scene()
    person.choose(window.library.orientation.up, "y up")
    calm(person)
    assert person.store.cloud.class_name == "table"
    assert person.store.scene.setup.cloud.label == person.store.classes.index("table")
    window.actions_["copy_command"].trigger()
    command = QGuiApplication.clipboard().text()
    assert "table_0.xyz --up y --points 1024" in command
    assert "--true-class table" in command


def test_a_cloud_that_is_no_everyday_thing_is_marked_beside_the_verdict(person: Person, tmp_path: Path) -> None:
    clusters = np.repeat([[-1, -1, -1], [1, 1, 1]], 1000, axis=0) + np.random.default_rng(0).normal(0, 0.1, (2000, 3))
    write_cloud(tmp_path / "clusters.ply", clusters)
    opened(person, tmp_path / "clusters.ply")
    pair, panel = person.window.pair, person.window.stage.verdict
    assert "unlike the training data" in pair.clean.accessibleDescription()
    assert "unlike" not in pair.adversarial.accessibleDescription()
    assert panel.note.isVisible()
    assert panel.note.text().startswith("simple")
    panel.copy_numbers()
    assert "unlike the training data" in QGuiApplication.clipboard().text()
    person.press(Qt.Key.Key_PageDown, Qt.KeyboardModifier.ControlModifier)
    calm(person)
    assert "unlike" not in pair.clean.accessibleDescription()
    assert not panel.note.isVisible()


@pytest.mark.long
def test_a_folder_that_lies_is_turned_by_a_click_and_opened_so_again(shapes: Path, y_up: Path, tmp_path: Path) -> None:
    with open_window(shapes, tmp_path / "home") as person:
        window, store = person.window, person.store
        panel = window.library.orientation
        window.opener.open_path(y_up)
        person.wait_until(lambda: store.dataset is not None and store.dataset.card.name == "folder", "the folder")
        assert any("6 of the model's 16 classes present" in message for message in person.messages())
        person.wait_until(lambda: window.orientation.hint is not None, "the hint")
        assert panel.state.text() == "The folder looks y up."
        window.library.list.setCurrentIndex(window.library.shapes.index(4))
        person.wait_for_scene()
        lying = store.cloud
        person.click(person.find(QPushButton, "Turn it"))
        person.wait_until(lambda: store.dataset.card.given_up == "y", "the turned folder")
        calm(person)
        assert store.dataset.card.up_axis == "z"
        assert store.cloud.name == lying.name
        assert np.array_equal(store.cloud.points, rotated(lying.points, Orientation("y").rotation("z")))
        assert verdict(person) == store.cloud.class_name
        person.click(panel.turn)
        person.wait_until(lambda: store.dataset.card.turn == 90, "the turned folder")
        calm(person)
    with open_window(shapes, tmp_path / "home") as person:
        person.window.opener.open_path(y_up)
        person.wait_until(lambda: person.store.dataset.card.name == "folder", "the folder")
        card = person.store.dataset.card
        assert (card.given_up, card.turn, card.up_axis) == ("y", 90, "z")
        assert person.window.library.orientation.up.currentText() == "y up"
        assert not person.pop_errors()


def test_paths_of_the_command_line_are_turned_as_it_says(shapes: Path, y_up: Path, tmp_path: Path) -> None:
    file = y_up / "test" / "lamp" / "lamp_0.xyz"
    with open_window(shapes, tmp_path / "home") as person:
        person.window.opener.open_path(file, Orientation("y"))
        person.wait_until(lambda: person.store.cloud.name == file.stem, "the file")
        calm(person)
        assert person.store.source.orientation == Orientation("y")
        assert verdict(person) == "lamp"
        other = file.with_name("lamp_1.xyz")
        person.window.opener.open_path(other, None)
        person.wait_until(lambda: person.store.cloud.name == other.stem, "the file")
        person.wait_until(lambda: person.store.source.orientation.given, "the orientation to be found")
        assert not person.pop_errors()


@pytest.mark.long
def test_some_of_the_classes_are_evaluated_and_mapped(shapes: Path, tmp_path: Path) -> None:
    root = tmp_path / "some"
    for kind in ("Table", "chair", "mug"):
        for k in range(8):
            place = root / "test" / kind
            place.mkdir(parents=True, exist_ok=True)
            np.save(place / f"{kind}_{k}.npy", make_shape(kind.lower(), [5, k]))
    with open_window(shapes, tmp_path / "home") as person:
        window, store = person.window, person.store
        window.opener.open_path(root)
        person.wait_until(lambda: store.dataset.card.name == "folder", "the folder")
        calm(person)
        window.library.list.setCurrentIndex(window.library.shapes.index(0))
        scene = person.wait_for_scene()
        assert scene.setup.cloud.label == store.classes.index("table"), "by a name that differs in capitals alone"

        panel = person.show_workspace("evaluate")
        person.type_option(panel.form, "budgets", "3")
        person.click(panel.start)
        person.wait_until(lambda: panel.job is None and panel.result is not None, "the result")
        result = panel.result
        assert len(result.measurements) == len(store.models)
        assert result.classes == store.classes
        assert "3 of the model's 16 classes present" in panel.status.text()
        clean = result.measurements[0].report.clean
        assert set(clean.label) == {store.classes.index(name) for name in ("table", "chair", "mug")}
        assert clean.accuracy.value > 0.8

        panel = person.show_workspace("latents")
        person.type_option(panel.form, "perplexity", "4")
        person.type_option(panel.form, "iterations", "50")
        person.click(panel.start)
        person.wait_until(lambda: panel.job is None and panel.result is not None, "the map")
        assert panel.classes == store.classes
        assert "3 of the model's 16 classes present" in panel.status.text()
        panel.export_figure(tmp_path / "map.svg")
        assert not person.pop_errors()


def test_classes_that_no_model_knows_are_named(shapes: Path, tmp_path: Path) -> None:
    for kind in ("chair", "spoon"):
        place = tmp_path / "odd" / "test" / kind
        place.mkdir(parents=True)
        np.save(place / "1.npy", make_shape("chair", [5, 1]))
        np.save(place / "2.npy", make_shape("chair", [5, 2]))
    with open_window(shapes, tmp_path / "home") as person:
        window, store = person.window, person.store
        window.opener.open_path(tmp_path / "odd")
        person.wait_until(lambda: store.dataset.card.name == "folder", "the folder")
        assert any("does not know spoon" in message for message in person.messages())
        calm(person)
        person.show_workspace("evaluate")
        assert "No model here knows spoon" in window.workspaces["evaluate"].view.empty.text()
        assert not window.workspaces["evaluate"].start.isEnabled()
        person.show_workspace("latents")
        person.click(window.workspaces["latents"].start)
        (message,) = person.pop_errors()
        assert message.startswith("The model knows no class spoon; its classes are airplane, bag")


def test_an_exported_cloud_says_how_its_file_was_turned(
    person: Person, y_up: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, out = y_up / "test" / "lamp" / "lamp_2.xyz", tmp_path / "adversarial.ply"
    settings.save_orientation(file.parent, Orientation("y", 90.0))
    opened(person, file)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(out), ""))
    person.press(Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    made_with = json.loads((tmp_path / "adversarial.ply.json").read_text())["options"]
    assert (made_with["file"], made_with["up"], made_with["turn"]) == (str(file), "y", 90)
