"""What is dragged over the window: the part that takes it lights up, and a sentence says what will happen."""

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDragMoveEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app.shell import theme
from app.shell.dropping import ACCEPTED, outcome
from app.views.pair import PairView
from core.datasets.shapes16 import make_shape
from tests.pixels.pictures import pixels

COPY, LEFT, NONE = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
PLACE = QPoint(600, 400)


class Drag:
    """Files that are dragged over the window of a person."""

    def __init__(self, person, *paths):
        self.window, self.data = person.window, QMimeData()
        if paths:
            self.data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
        self.target = person.window.drop_target

    def send(self, event):
        """Send an event as the window system does; whether the drop is possible."""
        QApplication.sendEvent(self.window, event)
        return event.isAccepted()

    def enter(self):
        return self.send(QDragEnterEvent(PLACE, COPY, self.data, LEFT, NONE))

    def move(self):
        return self.send(QDragMoveEvent(PLACE, COPY, self.data, LEFT, NONE))

    def leave(self):
        self.send(QDragLeaveEvent())

    def drop(self):
        return self.send(QDropEvent(QPointF(PLACE), COPY, self.data, LEFT, NONE))


@pytest.fixture
def files(tmp_path):
    """Three clouds, a text that is none, a model and a folder, by name."""
    for name in ("chair", "mug", "table"):
        np.save(tmp_path / f"{name}.npy", np.asarray(make_shape(name, [0, 0])))
    (tmp_path / "notes.md").write_text("not a cloud")
    (tmp_path / "mine.safetensors").write_bytes(b"")
    (tmp_path / "my clouds").mkdir()
    return {path.name: path for path in tmp_path.iterdir()}


def place_of(person, part):
    return part.rect().translated(part.mapTo(person.window, QPoint()))


def test_the_pair_view_lights_up_for_clouds_until_they_are_dropped(person, files, shot):
    drag = Drag(person, files["chair.npy"], files["mug.npy"], files["table.npy"])
    assert not drag.target.isVisible()
    assert drag.enter()
    assert drag.move()
    assert drag.target.isVisible()
    assert drag.target.outcome.sentence == "Drop to open 3 clouds"
    assert drag.target.geometry() == place_of(person, person.window.pair)
    edge = pixels(person.window.grab(drag.target.geometry()).toImage())[100, :4].astype(int)
    assert np.abs(edge - theme.current().accent.getRgb()[:3]).max(axis=1).min() < 40
    shot(person.window, "drop-clouds")
    assert drag.drop()
    assert not drag.target.isVisible()
    person.wait_until(lambda: len(person.store.files) == 3, "the clouds")
    person.wait_for_scene()
    for source in person.store.files:
        person.store.remove_file(source.path)


def test_it_is_gone_when_the_drag_leaves_and_nothing_is_opened(person, files):
    drag = Drag(person, files["chair.npy"])
    drag.enter()
    assert drag.target.outcome.sentence == "Drop to open this cloud"
    drag.leave()
    assert not drag.target.isVisible()
    assert not person.busy()
    assert not person.store.files


def test_each_kind_has_its_part_and_a_hidden_part_leaves_it_to_the_whole(person, files):
    window = person.window
    for name, part in (("mine.safetensors", window.stage.side), ("my clouds", window.library)):
        drag = Drag(person, files[name])
        drag.enter()
        assert drag.target.geometry() == place_of(person, part), name
        drag.leave()
    QTest.keyClick(window, Qt.Key.Key_F8)
    drag = Drag(person, files["my clouds"])
    drag.enter()
    assert drag.target.outcome.sentence == "Drop to open this folder"
    assert drag.target.geometry() == place_of(person, window.area)
    drag.leave()
    QTest.keyClick(window, Qt.Key.Key_F8)


def test_what_cannot_be_opened_is_named_and_cannot_be_dropped(person, files):
    drag = Drag(person, files["notes.md"])
    assert drag.enter(), "otherwise Qt tells neither of a move nor that it leaves"
    assert not drag.move()
    assert drag.target.outcome.sentence == f"Not a file that can be opened: notes.md ({ACCEPTED} can)"
    drag.leave()
    assert not drag.target.isVisible()


def test_a_drag_without_files_is_not_taken(person):
    drag = Drag(person)
    drag.data.setText("some words")
    assert not drag.enter()
    assert not drag.target.isVisible()


def test_the_mouse_reaches_what_is_below(person, files):
    drag = Drag(person, files["chair.npy"])
    drag.enter()
    pair = person.window.pair
    below = person.window.childAt(place_of(person, pair).center())
    assert isinstance(below, PairView) or pair.isAncestorOf(below)
    drag.leave()


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["chair.npy", "my clouds"], "Drop to open 1 cloud and 1 folder"),
        (
            ["chair.npy", "mug.npy", "mine.safetensors", "my clouds"],
            "Drop to open 2 clouds, 1 model and 1 folder",
        ),
        (["chair.npy", "notes.md"], f"Drop to open 1 cloud. Not a file that can be opened: notes.md ({ACCEPTED} can)"),
        (["mine.safetensors"], "Drop to open this model"),
        ([], "Only files and folders of this machine can be dropped here."),
    ],
)
def test_the_sentence_counts_what_is_opened(files, names, sentence):
    assert outcome([files[name] for name in names]).sentence == sentence


def test_a_name_is_shown_literally(person, tmp_path):
    path = tmp_path / "<b>a&b.docx"
    path.write_text("")
    assert ": <b>a&b.docx (" in outcome([path]).sentence
