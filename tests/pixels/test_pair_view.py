"""The clean and the adversarial cloud side by side, handled with the mouse."""

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app.shell import theme
from app.views.pair import PairView, PointValues
from tests.app.mouse import move_mouse
from tests.pixels.pictures import drawn, pixels, scene

pytestmark = pytest.mark.usefixtures("gl")

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture(scope="session")
def attacked(chair):
    """The chair after an attack that moves every coordinate by up to 0.08."""
    return (chair + np.random.default_rng(2).uniform(-0.08, 0.08, chair.shape)).astype(np.float32)


@pytest.fixture
def pair(qtbot, chair, attacked):
    pair = PairView()
    qtbot.addWidget(pair)
    pair.resize(1001, 500)  # two views and the hairline between them
    with qtbot.waitExposed(pair):
        pair.show()
    pair.set_pair(chair, attacked)
    return pair


def picture(view):
    return pixels(view.grab().toImage())


def drag(view, by, button=LEFT):
    start = view.rect().center()
    QTest.mousePress(view, button, pos=start)
    for step in (0.25, 0.5, 0.75, 1.0):
        move_mouse(view, start + by * step)
        QApplication.processEvents()
    QTest.mouseRelease(view, button, pos=start + by)


def wheel(view):
    at, none = QPointF(view.rect().center()), Qt.KeyboardModifier.NoModifier
    turn = QPoint(0, 240)
    event = QWheelEvent(
        at, view.mapToGlobal(at), QPoint(), turn, Qt.MouseButton.NoButton, none, Qt.ScrollPhase.NoScrollPhase, False
    )
    QApplication.sendEvent(view, event)


def test_both_clouds_are_seen_in_their_colours(pair, shot):
    pair.set_clean_verdict("chair", 0.98, True)
    pair.set_adversarial_verdict("table", 0.71, False)
    shot(pair, "pair-dark")
    tints = []
    for view in (pair.clean, pair.adversarial):
        middle = scene(view.grab().toImage())
        seen = drawn(middle, theme.current().canvas)
        assert seen.mean() > 0.1
        tints.append(pixels(middle)[seen].mean(axis=0))
    assert tints[0][2] > tints[0][0]  # clean is blue
    assert tints[1][0] > tints[1][2]  # adversarial is orange


def test_the_light_scheme_is_painted_too(pair, qapp, shot):
    pair.set_clean_verdict("chair", 0.98, True)
    pair.set_adversarial_verdict("table", 0.71, False)
    theme.apply(qapp, "light")
    shot(pair, "pair-light")
    for view in (pair.clean, pair.adversarial):
        assert view.grab().toImage().pixelColor(5, 250) == theme.LIGHT.canvas


def test_the_clean_picture_stays_when_only_the_adversarial_cloud_changes(pair, chair, attacked):
    clean, adversarial = picture(pair.clean), picture(pair.adversarial)
    with_less = chair + 0.3 * (attacked - chair)
    pair.set_pair(chair, with_less)
    pair.set_adversarial_verdict("table", 0.51, False)
    pair.set_stale(True, "computing…")
    assert np.array_equal(picture(pair.clean), clean)
    assert not np.array_equal(picture(pair.adversarial), adversarial)


def test_without_an_attack_the_adversarial_view_shows_a_hint(pair, chair):
    pair.set_pair(chair)
    seen = drawn(pair.adversarial.grab().toImage(), theme.current().canvas)
    assert 0.0 < seen.mean() < 0.05
    assert drawn(scene(pair.clean.grab().toImage()), theme.current().canvas).mean() > 0.1


def test_clearing_empties_both_sides(pair):
    pair.set_clean_verdict("chair", 0.98, True)
    pair.set_stale(True, "computing…")
    pair.clear()
    for view in (pair.clean, pair.adversarial):
        assert drawn(view.grab().toImage(), theme.current().canvas).mean() < 0.05
    assert pair.clean.accessibleDescription() == ""


@pytest.mark.parametrize("which", ["clean", "adversarial"])
def test_linked_views_follow_each_other(pair, which):
    view = getattr(pair, which)
    before = view.camera()
    for move in (lambda: drag(view, QPoint(60, 20)), lambda: drag(view, QPoint(30, 30), Qt.MouseButton.RightButton)):
        move()
        assert pair.clean.camera() == pair.adversarial.camera() != before
    wheel(view)
    assert pair.clean.camera() == pair.adversarial.camera()
    QTest.keyClick(view, Qt.Key.Key_Home)
    assert pair.clean.camera() == pair.adversarial.camera() == before


def test_unlinked_views_do_not_share_the_centre_of_the_camera(pair):
    drag(pair.clean, QPoint(30, 30), Qt.MouseButton.MiddleButton)
    QTest.mouseClick(pair.linked, LEFT)
    other = pair.adversarial.camera()
    drag(pair.clean, QPoint(30, 30), Qt.MouseButton.MiddleButton)
    assert pair.adversarial.camera() == other


def test_unlinked_cameras_are_independent_until_linked_again(pair):
    QTest.mouseClick(pair.linked, LEFT)
    before = pair.adversarial.camera()
    drag(pair.clean, QPoint(60, 20))
    wheel(pair.clean)
    assert pair.adversarial.camera() == before != pair.clean.camera()
    QTest.mouseClick(pair.linked, LEFT)
    assert pair.adversarial.camera() == pair.clean.camera() != before


def test_a_viewpoint_turns_both_views(pair):
    top = next(action for action in pair.viewpoints.actions() if action.text() == "Top")
    top.trigger()
    assert pair.clean.camera()["elevation"] == pair.adversarial.camera()["elevation"] == 90.0


@pytest.mark.parametrize("switch", ["vectors", "overlay"])
def test_switches_change_the_adversarial_picture_only(pair, switch, shot):
    clean, plain = picture(pair.clean), picture(pair.adversarial)
    button = getattr(pair, switch)
    QTest.mouseClick(button, LEFT)
    shot(pair, f"pair-{switch}")
    assert (picture(pair.adversarial) != plain).any(axis=2).mean() > 0.01
    assert np.array_equal(picture(pair.clean), clean)
    QTest.mouseClick(button, LEFT)
    assert np.array_equal(picture(pair.adversarial), plain)


def test_the_clean_cloud_is_shown_in_the_right_view_while_the_button_or_its_key_is_held(pair):
    plain = picture(pair.adversarial)
    QTest.mousePress(pair.blink, LEFT)
    held = pixels(scene(pair.adversarial.grab().toImage()))
    assert np.array_equal(held, pixels(scene(pair.clean.grab().toImage())))
    QTest.mouseRelease(pair.blink, LEFT)
    assert np.array_equal(picture(pair.adversarial), plain)
    QTest.keyPress(pair.clean, Qt.Key.Key_B)
    assert np.array_equal(pixels(scene(pair.adversarial.grab().toImage())), held)
    QTest.keyRelease(pair.clean, Qt.Key.Key_B)
    assert np.array_equal(picture(pair.adversarial), plain)


def test_magnified_displacements_are_labelled(pair, shot):
    def corner():
        return drawn(pair.adversarial.grab().toImage(), theme.current().canvas)[10:36, -200:].mean()

    plain, unlabelled = picture(pair.adversarial), corner()
    pair.magnification.setFocus()
    QTest.keyClick(pair.magnification, Qt.Key.Key_Down)
    assert pair.magnification.currentText() == "×2"
    shot(pair, "pair-magnified")
    assert corner() > unlabelled + 0.1
    QTest.keyClick(pair.magnification, Qt.Key.Key_Up)
    assert np.array_equal(picture(pair.adversarial), plain)


def test_coloured_by_gradient_points_without_one_are_faint_and_counted(pair, chair, attacked, shot):
    plain = picture(pair.adversarial)
    gradient = np.zeros(len(chair), np.float32)
    gradient[: len(chair) // 10] = np.linspace(0.01, 0.1, len(chair) // 10)
    pair.set_pair(chair, attacked, values=PointValues("‖∇‖", gradient, "no gradient at many points"))
    shot(pair, "pair-gradient")
    middle = scene(pair.adversarial.grab().toImage())
    canvas = np.array(theme.current().canvas.getRgb()[:3], float)

    def contrast(picture):
        seen = drawn(picture, theme.current().canvas)
        return np.abs(pixels(picture)[seen] - canvas).sum(axis=-1)

    faint = contrast(middle)
    assert pair.adversarial._corner_note() == "no gradient at many points"
    pair.set_pair(chair, attacked)
    assert np.median(faint) < 0.5 * np.median(contrast(scene(pair.adversarial.grab().toImage())))
    assert faint.max() > 2 * np.median(faint), "the points with a gradient stand out"
    assert np.array_equal(picture(pair.adversarial), plain)
    assert pair.adversarial._corner_note() == ""


def test_a_point_under_the_mouse_is_highlighted_in_both_views(pair, qtbot):
    plain = picture(pair.clean)
    across, down, _ = pair.adversarial.project(pair.adversarial.points[7:8])
    for step in (2, 0):
        move_mouse(pair.adversarial, QPoint(round(float(across[0])) + step, round(float(down[0]))))
        QApplication.processEvents()
    qtbot.waitUntil(lambda: not np.array_equal(picture(pair.clean), plain))


def test_an_attack_that_drops_points_is_shown_without_vectors(pair, chair):
    pair.set_pair(chair, chair[:1500])
    plain = picture(pair.adversarial)
    QTest.mouseClick(pair.vectors, LEFT)
    assert np.array_equal(picture(pair.adversarial), plain)
    QTest.mouseClick(pair.overlay, LEFT)
    assert not np.array_equal(picture(pair.adversarial), plain)


@pytest.mark.usefixtures("gl")
def test_a_picture_of_any_size_shows_what_the_screen_shows(pair, chair, attacked):
    pair.set_pair(chair, attacked)
    pair.set_adversarial_verdict("table", 0.9, False)
    QApplication.processEvents()
    before = picture(pair.adversarial)
    once, twice = pair.picture(1), pair.picture(2)
    assert twice.size() == 2 * once.size()
    width = pair.clean.width()
    ratio = pair.devicePixelRatioF()
    assert once.width() == round((2 * width + 1) * ratio) or once.width() > 2 * width * ratio
    screen = pixels(pair.clean.grab().toImage()).astype(int)
    saved = pixels(once)[:, : screen.shape[1]].astype(int)
    assert (abs(saved - screen).max(axis=2) < 12).mean() > 0.999
    halved = twice.scaled(once.size(), Qt.AspectRatioMode.IgnoreAspectRatio, Qt.TransformationMode.SmoothTransformation)
    difference = abs(pixels(halved).astype(int) - pixels(once).astype(int)).max(axis=2)
    assert (difference < 60).mean() > 0.97, "the spheres grow with the picture"
    assert np.array_equal(picture(pair.adversarial), before), "the screen stays as it is"
