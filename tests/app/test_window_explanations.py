"""Why a model is fooled: critical points as colours, and the layer where clean and adversarial activations part."""

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest

from app.stage.presenter import NO_MAXIMUM
from app.views.layer_bars import HEADER_HEIGHT, ROW_HEIGHT, LayerBars
from core.models import build
from core.models.checkpoints import LoadedModel
from tests.app.inspection import pixels
from tests.app.window_fixtures import Person


@pytest.fixture
def critical(person: Person):
    """Points are coloured by the channels whose maximum they attain, by a key."""
    person.press(Qt.Key.Key_K)
    person.wait_until(lambda: person.store.scene.critical is not None, "the critical points")
    person.wait_for_scene()
    yield person.window.pair
    person.window.pair.critical.setChecked(False)
    person.window.pair.gradients.setChecked(False)


def test_a_key_colours_both_clouds_by_the_critical_points(person, critical, shot):
    scene = person.store.scene
    assert scene.critical.sum() == scene.clean_critical.sum() == 1024
    assert np.array_equal(critical.adversarial.values, scene.critical)
    assert np.array_equal(critical.clean.values, scene.clean_critical)
    both = ((scene.critical > 0) & (scene.clean_critical > 0)).sum()
    assert critical.adversarial._corner_note() == f"{(scene.critical > 0).sum()} critical, {both} kept"
    assert critical.clean._corner_note() == f"{(scene.clean_critical > 0).sum()} of 1,024 critical"
    shot(person.window, "window-critical")
    assert person.window.actions_["critical"].isChecked()


def test_critical_points_follow_the_slider(person, critical):
    person.press_slider(0.05)
    few = person.drag_slider(0.02)
    many = person.drag_slider(0.2)
    assert few.critical is not None
    assert not np.array_equal(few.critical, many.critical)
    assert np.array_equal(critical.adversarial.values, many.critical)
    person.release_slider()


def test_gradients_take_the_place_of_critical_points(person, critical):
    person.press(Qt.Key.Key_G)
    person.wait_until(lambda: person.store.scene.gradient is not None, "the gradients")
    person.wait_for_scene()
    assert not critical.critical.isChecked()
    assert not person.window.actions_["critical"].isChecked()
    assert critical.clean.values is None
    assert "no gradient" in critical.adversarial._corner_note()
    person.press(Qt.Key.Key_G)
    person.wait_until(lambda: critical.adversarial._corner_note() == "", "the displacements")


def test_a_model_that_pools_centres_says_that_it_has_none(person, critical):
    card = person.store.primary_model.card
    other = card.model_copy(update={"name": "centres", "title": "centres", "architecture": "pointnet2-ssg"})
    person.store.add_model(LoadedModel(build("pointnet2-ssg", len(card.classes)).eval(), other, "0"), primary=True)
    person.wait_for_scene()
    person.wait_until(lambda: critical.adversarial._corner_note() == NO_MAXIMUM, "the note")
    assert critical.clean.values is None


def test_points_that_an_attack_adds_are_coloured_too(person, critical):
    person.choose(person.window.attack.preset, "ADD")
    scene = person.wait_for_scene()
    person.wait_until(lambda: person.store.scene.critical is not None, "the critical points")
    scene = person.store.scene
    assert len(scene.points) > len(scene.setup.cloud.points)
    assert len(critical.adversarial.values) == len(scene.points)
    assert len(critical.clean.values) == len(scene.setup.cloud.points)


# --- layers -------------------------------------------------------------------------------------------------------


@pytest.fixture
def layers(person: Person):
    """The dialog, opened by its key, with its first result."""
    person.choose_pgd()
    person.press(Qt.Key.Key_W)
    dialog = person.window.layers
    person.wait_until(lambda: dialog.differences is not None, "the layers")
    yield dialog
    dialog.close()
    person.activate()


def test_the_layer_where_they_part_is_named_and_marked(person, layers, shot):
    found = layers.differences
    assert found.parting is not None
    assert f"part at {found.names[found.parting]}" in layers.headline.text()
    assert "simple" in layers.headline.text()
    shot(layers, "layers")
    assert layers.bars.height() == HEADER_HEIGHT + ROW_HEIGHT * len(found.names)
    seen = pixels(layers.bars)
    ratio = seen.shape[0] / layers.bars.height()
    edge = layers.bars.width() - 1

    def ground(row):
        return seen[round((HEADER_HEIGHT + row * ROW_HEIGHT + 3) * ratio), round(edge * ratio)].tolist()

    assert ground(found.parting) == ground(len(found.names) - 1)
    assert ground(found.parting) != ground(0), "the rows from it on stand on another ground"
    layers.copy.click()
    lines = QGuiApplication.clipboard().text().splitlines()
    assert len(lines) == 1 + len(found.names)
    assert lines[0].split("\t")[0] == "layer"


def test_it_follows_epsilon_and_the_attacked_model(person, layers):
    first = layers.differences
    person.window.attack.epsilon.setValue(0.02)
    person.window.controller.release(0.02)
    person.wait_until(
        lambda: layers.differences.adversarial[0] < 0.5 * first.adversarial[0], "those of another epsilon"
    )
    second = layers.differences
    person.store.set_primary(person.store.models[1].name)
    person.wait_until(lambda: layers.differences not in (None, second), "those of another model")
    assert person.store.models[1].card.title in layers.headline.text()


def test_of_equal_clouds_it_says_so(person, layers):
    person.window.playback.reset()
    person.wait_until(lambda: layers.differences is None, "the clean cloud")
    assert layers.headline.text() == "The two clouds are the same: attack the shape first."
    assert not layers.copy.isEnabled()


def test_closed_it_computes_nothing(person, layers, monkeypatch):
    asked = []
    QTest.keyClick(layers, Qt.Key.Key_Escape)
    assert not layers.isVisible()
    monkeypatch.setattr(layers._worker, "submit", lambda *request: asked.append(request))
    person.activate()
    person.window.controller.release(0.03)
    person.wait_for_scene()
    assert not layers._timer.isActive()
    assert not asked


def test_bars_tell_their_numbers_to_a_screen_reader(qtbot):
    bars = LayerBars()
    qtbot.addWidget(bars)
    bars.set_layers(["first", "second"], [0.1, 0.5], [[0.1, 0.1], [0.1, 0.15]], 1)
    assert bars.accessibleDescription() == "first: 0.100, 1.0× of noise; second: 0.500, 4.0× of noise"
