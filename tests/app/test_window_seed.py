"""The seed of the Stage's attack: another one gives another cloud, and it is kept, taken back and copied."""

import shlex
from collections.abc import Iterator

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from app.stage.attack_options import OptionsPopup
from core.clouds.files import read_cloud
from core.commands import run
from tests.app.window_fixtures import Person, open_window

CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def popup(person: Person) -> Iterator[OptionsPopup]:
    """The options of PGD with few steps from one random start, opened by their button; closed by Escape."""
    person.choose_pgd(steps=3)
    popup = open_options(person)
    start_at_random(person, popup)
    person.wait_for_scene()
    yield popup
    close_options(person)


def open_options(person: Person) -> OptionsPopup:
    person.click(person.window.attack._more)
    popup = QApplication.activePopupWidget()
    assert isinstance(popup, OptionsPopup)
    person.wait_until(lambda: popup.isAncestorOf(QApplication.focusWidget() or person.window), "the first field")
    return popup


def close_options(person: Person) -> None:
    while (popup := QApplication.activePopupWidget()) is not None:
        QTest.keyClick(QApplication.focusWidget() or popup, Qt.Key.Key_Escape)
    person.activate()


def start_at_random(person: Person, popup: OptionsPopup) -> None:
    """Tick or untick the random start, which is among more options."""
    more = person.window.attack._form._form._more
    person.click(more)
    QTest.keyClick(field(popup, "random_start"), Qt.Key.Key_Space)
    person.click(more)


def field(popup: QWidget, name: str) -> QWidget:
    return next(each for each in popup.findChildren(QWidget, name) if each.isVisible())


def type_seed(person: Person, seed: int) -> np.ndarray:
    """Type a seed into the open popup; returns the adversarial cloud (N, 3)."""
    person.type_option(person.window.attack._form, "seed", str(seed))
    person.wait_until(lambda: person.store.seed == seed, "the seed")
    scene = person.wait_for_scene()
    assert scene.setup.seed == seed
    return scene.points


def test_another_seed_gives_another_cloud_and_undo_the_one_before(person, popup):
    undo = person.window.undo
    person.wait_until(lambda: person.window.session._saved is not None, "the start")
    undo.begin()
    first = person.wait_for_scene().points
    other = type_seed(person, 7)
    assert not np.array_equal(other, first)
    assert "seed 7" in person.store.scene.caption
    assert person.store.scene.provenance()["seed"] == 7
    close_options(person)
    person.wait_until(lambda: undo.next_undo == "seed", "the choice")
    person.press(Qt.Key.Key_Z, CTRL)
    person.wait_until(lambda: undo.next_redo == "seed", "undo")
    assert np.array_equal(person.wait_for_scene().points, first)
    assert field(open_options(person), "seed").text() == "0"
    close_options(person)
    person.press(Qt.Key.Key_Z, CTRL | SHIFT)
    person.wait_until(lambda: undo.next_undo == "seed" and person.store.seed == 7, "redo")
    assert np.array_equal(person.wait_for_scene().points, other)


@pytest.mark.parametrize("defense", ["no defence", "SRS"])
def test_the_copied_command_has_the_seed_and_makes_the_same_cloud(person, popup, tmp_path, defense):
    close_options(person)
    person.choose(person.window.stage.models.defense, defense)
    person.wait_for_scene()
    open_options(person)
    points = type_seed(person, 12)
    close_options(person)
    person.window.actions_["copy_command"].trigger()
    words = shlex.split(QGuiApplication.clipboard().text())
    assert words[words.index("--seed") + 1] == "12"
    assert run([*words[1:], "--out", str(tmp_path / "again.npz")]) == 0
    assert read_cloud(tmp_path / "again.npz", None).points == pytest.approx(points, abs=1e-6)


def test_a_negative_seed_is_refused_beside_its_field(person, popup):
    type_seed(person, 4)
    person.type_option(person.window.attack._form, "seed", "-1")
    person.wait_until(lambda: "at least 0" in person.window.attack._form._seed._rows["seed"].problem.text(), "why")
    assert person.wait_for_scene().setup.seed == person.store.seed == 4


def test_the_seed_of_a_test_is_not_that_of_the_next(person):
    person.choose(person.window.stage.models.defense, "SRS")
    person.wait_for_scene()
    open_options(person)
    type_seed(person, 3)
    close_options(person)
    person.reset()
    assert person.wait_for_scene().setup.seed == 0


def test_a_seed_is_offered_where_something_draws_random_numbers(person, popup):
    form, panel = person.window.attack._form, person.window.attack
    assert form._seed.isVisible()
    start_at_random(person, popup)
    person.wait_until(lambda: form._seed.isHidden(), "the seed to be of no use")
    person.type_option(form, "restarts", "1")
    person.wait_until(lambda: form._seed.isVisible(), "the seed of a restart")
    close_options(person)
    person.choose(panel.preset, "FGSM")
    assert "seed" not in person.wait_for_scene().caption
    assert form._seed.isHidden()
    person.choose(person.window.stage.models.defense, "SRS")
    assert "seed 0" in person.wait_for_scene().caption
    assert not form._seed.isHidden()
    person.choose(person.window.stage.models.defense, "no defence")
    person.wait_for_scene()


def test_more_options_have_the_space_they_need_and_tab_goes_through_all_to_the_seed(person, popup):
    close_options(person)
    popup = open_options(person)
    form, before = person.window.attack._form, popup.height()
    assert QApplication.focusWidget() is field(popup, "steps")
    person.click(form._form._more)
    person.wait_until(lambda: popup.height() > before, "the popup to grow")
    assert form.height() >= form.sizeHint().height()
    seen = []
    while QApplication.focusWidget() is not field(popup, "seed"):
        seen.append(QApplication.focusWidget())
        QTest.keyClick(seen[-1], Qt.Key.Key_Tab)
        assert QApplication.focusWidget() not in seen
    assert field(popup, "random_start") in seen
    person.click(form._form._more)
    person.wait_until(lambda: popup.height() == before, "the popup to shrink")


def test_where_there_is_no_room_for_all_options_they_are_scrolled(person, popup):
    form, size = person.window.attack._form, person.window.size()
    close_options(person)
    person.window.resize(1280, 720)
    try:
        popup = open_options(person)
        person.click(form._form._more)
        screen = popup.screen().availableGeometry()
        person.wait_until(lambda: popup.height() > 500, "the popup to grow")
        assert popup.height() < form.height()
        assert screen.contains(popup.geometry())
        seed = field(popup, "seed")
        assert seed.visibleRegion().isEmpty()
        while QApplication.focusWidget() is not seed:
            QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
        assert seed.visibleRegion().boundingRect().height() == seed.height()
        person.click(form._form._more)
        close_options(person)
    finally:
        person.window.resize(size)


@pytest.mark.long
def test_the_seed_is_there_at_the_next_start(shapes, tmp_path):
    with open_window(shapes, tmp_path) as person:
        person.wait_until(lambda: person.window.session._saved is not None, "the start")
        person.choose(person.window.attack.preset, "RANDOM-SIGN")
        person.wait_for_scene()
        points = type_seed(person, 99)
    with open_window(shapes, tmp_path) as person:
        person.wait_until(lambda: person.window.session._saved is not None, "the last session")
        assert np.array_equal(person.wait_for_scene().points, points)
        assert person.store.seed == 99
        assert field(open_options(person), "seed").text() == "99"
        close_options(person)
