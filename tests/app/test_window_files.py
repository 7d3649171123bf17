"""Files of clouds: what is said of them, which way they stand, how they are looked at, and that they stay at hand."""

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from app.shell import settings
from app.store import MOST_FILES
from core.clouds.frames import AS_IT_IS
from core.datasets.shapes16 import make_shape
from tests.app.test_window_library import drop

SHIFT = Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def folder(tmp_path):
    """A folder of clouds without folders of classes."""
    place = tmp_path / "my clouds"
    place.mkdir()
    for name in ("chair", "mug", "table"):
        np.save(place / f"{name}.npy", np.asarray(make_shape(name, [0, 0])))
    (place / "notes.md").write_text("not a cloud")
    return place


@pytest.fixture(autouse=True)
def no_files(shared_window):
    yield
    for source in shared_window.store.files:
        shared_window.store.remove_file(source.path)


def open_files(person, *paths):
    """Drop these, and wait until the first is shown."""
    drop(person, *paths)
    first = paths[0].stem if paths[0].is_file() else "chair"
    person.wait_until(lambda: person.store.source is not None and person.store.cloud.name == first, "the file")
    person.wait_until(lambda: not person.busy(), "the others")
    return person.wait_for_scene()


def strip(person):
    return person.window.library.files.list


def test_a_folder_of_clouds_is_opened_and_each_is_shown_by_a_click(person, folder):
    assert person.window.library.files.isHidden()
    open_files(person, folder)
    assert [source.path.stem for source in person.store.files] == ["chair", "mug", "table"]
    assert strip(person).currentRow() == 0
    item = strip(person).item(2)
    person.click(strip(person).viewport(), strip(person).visualItemRect(item).center())
    person.wait_until(lambda: person.store.cloud.name == "table", "the table")
    scene = person.wait_for_scene()
    assert scene.setup.cloud.name == "table"
    assert "table.npy: 1,024 of 2,048 points; box" in person.window.library.files.facts.text()
    person.press(Qt.Key.Key_PageDown, Qt.KeyboardModifier.ControlModifier)
    person.wait_for_scene()
    assert strip(person).currentRow() == -1
    assert person.window.library.files.facts.text() == ""


def test_a_file_is_taken_out_with_the_delete_key_and_what_is_shown_stays(person, folder):
    open_files(person, folder)
    strip(person).setFocus()
    QTest.keyClick(strip(person), Qt.Key.Key_Delete)
    assert [source.path.stem for source in person.store.files] == ["mug", "table"]
    assert person.store.cloud.name == "chair"


def test_of_many_clouds_the_first_ones_are_opened_and_that_is_said(person, tmp_path):
    for number in range(MOST_FILES + 1):
        np.save(tmp_path / f"{number:03}.npy", np.asarray(make_shape("mug", [number, 0]))[:64])
    drop(person, tmp_path)
    person.wait_until(lambda: len(person.store.files) == MOST_FILES and not person.busy(), "the files")
    assert any(f"holds {MOST_FILES + 1} clouds, and the first {MOST_FILES}" in text for text in person.messages())
    assert {source.path.stem for source in person.store.files} == {f"{number:03}" for number in range(MOST_FILES)}
    person.wait_for_scene()


@pytest.mark.parametrize(
    ("count", "said"),
    [(5, "5 points, filled up to 1,024"), (1024, ""), (2_000, "1,024 of 2,000 points")],
)
def test_how_a_file_was_made_to_fit_is_said_where_the_verdict_is(person, tmp_path, count, said):
    file = tmp_path / "cloud.npy"
    np.save(file, np.random.default_rng(0).normal(size=(count, 3)).astype(np.float32))
    drop(person, file)
    person.wait_until(lambda: person.store.source is not None and person.store.source.path == file, "the file")
    assert person.wait_for_scene().setup.cloud.fitting == person.window.pair.clean._fitting == said
    assert person.window.pair.adversarial._fitting == ""


def test_keys_turn_a_file_that_lies_and_the_verdict_changes(person, tmp_path):
    file = tmp_path / "chair.npy"
    upright = np.asarray(make_shape("chair", [0, 0]))
    np.save(file, upright[:, [0, 2, 1]] * np.float32([1, 1, -1]))  # y up
    lying = open_files(person, file)
    before = lying.clean_confidence[lying.setup.primary]
    for _ in range(6):
        person.press(Qt.Key.Key_U)
        scene = person.wait_for_scene()
        if person.store.source.orientation.up == "y":
            break
    after = scene.clean_confidence[scene.setup.primary]
    assert scene.setup.classes[after.argmax()] == "chair"
    assert after.max() > before[after.argmax()]
    assert settings.orientation_of(tmp_path).up == "y", "kept for the folder"
    person.press(Qt.Key.Key_U, SHIFT)
    person.wait_for_scene()
    assert person.store.source.orientation.turn == 90
    assert person.store.files[0].orientation == person.store.source.orientation
    settings.save_orientation(tmp_path, AS_IT_IS)


def test_for_a_built_in_shape_the_keys_of_the_orientation_do_nothing(person):
    cloud = person.store.cloud
    person.press(Qt.Key.Key_U)
    person.press(Qt.Key.Key_U, SHIFT)
    assert person.store.cloud is cloud


def test_another_shape_is_seen_whole_from_where_the_camera_looks(person):
    view, pair = person.window.pair.clean, person.window.pair
    person.press(Qt.Key.Key_3)
    assert view.opts["azimuth"] == pair.adversarial.opts["azimuth"] == 90
    view.zoom(0.4)
    assert view.opts["distance"] < 2
    person.press(Qt.Key.Key_PageDown, Qt.KeyboardModifier.ControlModifier)
    person.wait_for_scene()
    assert view.opts["distance"] > 4
    assert view.opts["azimuth"] == 90
    view.zoom(0.4)
    person.press_slider(0.1)
    person.drag_slider(0.15)
    person.release_slider()
    assert view.opts["distance"] < 2, "the same shape keeps it"
    person.press(Qt.Key.Key_0, Qt.KeyboardModifier.ControlModifier)
    assert view.opts["azimuth"] == -45


def test_six_sides_and_a_picture_without_perspective_are_on_keys(person):
    view, seen = person.window.pair.clean, set()
    for key in (Qt.Key.Key_1, Qt.Key.Key_2, Qt.Key.Key_3, Qt.Key.Key_4, Qt.Key.Key_5, Qt.Key.Key_6):
        person.press(key)
        seen.add((view.opts["azimuth"], view.opts["elevation"]))
    assert len(seen) == 6
    person.press(Qt.Key.Key_O, SHIFT)
    assert view.orthographic
    assert person.window.pair.adversarial.orthographic
    person.press(Qt.Key.Key_O, SHIFT)
    assert not view.orthographic
    person.press(Qt.Key.Key_0, Qt.KeyboardModifier.ControlModifier)


def test_an_archive_of_modelnet_is_opened_as_the_dataset(person, tmp_path, monkeypatch):
    file, opened = tmp_path / "mine.npz", []
    fields = {"points": np.zeros((2, 4, 3)), "label": np.zeros(2, int), "split": np.arange(2)}
    np.savez(file, **fields, name=np.array(["a", "b"]), classes=np.array(["chair"]))
    monkeypatch.setattr(person.window.opener, "open_dataset", lambda *words: opened.append(words))
    drop(person, file)
    person.wait_until(lambda: opened, "the dataset")
    assert opened == [("modelnet40", file)]


def test_a_note_in_the_root_does_not_hide_a_dataset(person, tmp_path, monkeypatch):
    for name in ("chair", "mug"):
        place = tmp_path / "mine" / "train" / name
        place.mkdir(parents=True)
        np.save(place / "0.npy", np.asarray(make_shape(name, [0, 0])))
    (tmp_path / "mine" / "README.txt").write_text("1 2 3")
    opened = []
    monkeypatch.setattr(person.window.opener, "open_dataset", lambda *words: opened.append(words))
    drop(person, tmp_path / "mine")
    person.wait_until(lambda: opened, "the dataset")
    assert opened == [("folder", tmp_path / "mine")]


def test_of_files_that_cannot_be_read_one_sentence_tells(person, folder):
    for name in ("a", "b", "c"):
        (folder / f"{name}.ply").write_text("no cloud")
    open_files(person, folder)
    assert [source.path.stem for source in person.store.files] == ["chair", "mug", "table"]
    assert [text for text in person.messages() if "2 others could not be read either" in text]
