"""The view of one cloud: its picture, annotations, mouse and keys, errors, other screens."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, QRect, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QHBoxLayout, QLabel, QToolTip, QWidget

from app.shell import theme
from app.views import annotations
from app.views.cloud import CloudView
from tests.app.mouse import move_mouse
from tests.pixels.pictures import drawn, pixels, scene

pytestmark = pytest.mark.usefixtures("gl")

EMPTY = ("Open a cloud or choose a shape", "Drop a file here.")


@pytest.fixture
def view(qtbot, chair):
    return make(qtbot, chair)


def make(qtbot, points=None, title="CLEAN", token="clean", size=(480, 400)):
    view = CloudView(title, token, EMPTY)
    qtbot.addWidget(view)
    view.resize(*size)
    with qtbot.waitExposed(view):
        view.show()
    if points is not None:
        view.set_points(points)
    return view


def share(view):
    return drawn(scene(view.grab().toImage()), theme.current().canvas).mean()


def drag(view, start, end, button=Qt.MouseButton.LeftButton, modifier=Qt.KeyboardModifier.NoModifier):
    QTest.mousePress(view, button, modifier, start)
    for step in (0.25, 0.5, 0.75, 1.0):
        move_mouse(view, start + (end - start) * step)
        QApplication.processEvents()
    QTest.mouseRelease(view, button, modifier, end)


def wheel(view, notches):
    at = QPointF(view.rect().center())
    none = Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase
    QApplication.sendEvent(
        view, QWheelEvent(at, view.mapToGlobal(at), QPoint(), QPoint(0, 120 * notches), *none, False)
    )


def hover(view, at):
    for step in (QPoint(2, 0), QPoint(0, 0)):
        move_mouse(view, at + step)
        QApplication.processEvents()


def place(view, point):
    across, down, _ = view.project(np.array([point], np.float32))
    return QPoint(round(float(across[0])), round(float(down[0])))


# --- without perspective ------------------------------------------------------------------------------------------


def test_without_perspective_near_and_far_points_are_as_large_and_where_they_are_projected(qtbot):
    points = np.array([(0.9, 0.4, 0.0), (-0.9, -0.4, 0.0)], np.float32)  # near and far, seen from +x
    view = make(qtbot, points)
    view.look_from("Front")
    sizes = {}
    for orthographic in (False, True):
        view.set_orthographic(orthographic)
        seen = drawn(scene(view.grab().toImage()), theme.current().canvas)
        middle = seen.shape[1] // 2
        sizes[orthographic] = np.sort([seen[:, :middle].sum(), seen[:, middle:].sum()])
        across, down, depth = view.project(points)
        assert depth[0] < depth[1]
        for x, y in zip(across, down, strict=True):
            assert drawn(view.grab().toImage(), theme.current().canvas)[round(float(y)), round(float(x))]
            assert view.point_at(float(x), float(y)) >= 0
    assert sizes[False][1] > 1.3 * sizes[False][0], "nearer is larger"
    assert sizes[True][1] < 1.1 * sizes[True][0]
    across, _, _ = view.project(points)
    assert np.isclose(across[0] + across[1], view.width(), atol=1)


# --- points -------------------------------------------------------------------------------------------------------


def test_a_cloud_is_drawn_and_does_not_touch_the_edges(view, shot):
    picture = shot(view, "cloud")
    assert 0.1 < share(view) < 0.6
    seen = drawn(view.grab().toImage(), theme.current().canvas)
    assert not seen[:, :8].any()
    assert not seen[:, -8:].any()
    assert not picture.hasAlphaChannel() or picture.pixelColor(240, 200).alpha() == 255


@pytest.mark.parametrize("size", [(190, 200), (230, 190), (480, 400), (435, 528)])
@pytest.mark.parametrize("orthographic", [False, True])
def test_a_shape_lies_between_the_verdict_and_the_scale_bar(qtbot, size, orthographic):
    directions = np.random.default_rng(4).normal(size=(4000, 3))
    ball = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    view, alone = make(qtbot, ball, size=size), make(qtbot, np.zeros((1, 3)), size=size)
    for each in (view, alone):
        each.set_verdict("chair", 0.98, True)
        each.set_orthographic(orthographic)
    for ratio in (1, 2):  # on the screen, and in a larger picture of it
        with_shape, without = (pixels(each.picture(ratio)) for each in (view, alone))
        shape = (with_shape != without).any(axis=2)
        top, bottom = ratio * annotations.VERDICT_BOTTOM, len(shape) - ratio * annotations.SCALE_BAR_HEIGHT
        assert not shape[:top].any()
        assert not shape[bottom:].any()
        rows, columns = np.flatnonzero(shape.any(axis=1)), np.flatnonzero(shape.any(axis=0))
        assert rows.mean() == pytest.approx((top + bottom) / 2, abs=2 * ratio), "it is in the middle of them"
        assert max(np.ptp(rows) / (bottom - top), np.ptp(columns) / shape.shape[1]) > 0.85, "and as large as fits"


def test_the_scale_bar_of_a_small_view_ends_before_the_colour_bar(qtbot, chair):
    view = make(qtbot, size=(190, 200))
    view.set_points(chair, values=np.zeros(len(chair)), limits=(0.0, 0.2))
    seen = drawn(view.grab().toImage(), theme.current().canvas)[-annotations.SCALE_BAR_HEIGHT :]
    assert np.diff(np.flatnonzero(seen.any(axis=0))).max() > 12


@pytest.mark.parametrize("size", [(190, 200), (205, 226), (238, 356)])
def test_the_text_of_the_colour_bar_is_beside_a_chair(qtbot, chair, size):
    values = {"values": np.zeros(len(chair)), "limits": (0.0, 0.2)}
    bar, both = make(qtbot, size=size), make(qtbot, size=size)
    bar.set_points(np.zeros_like(chair), **values)
    both.set_points(chair, **values)
    with_shape, without = (pixels(view.grab().toImage()) for view in (both, bar))
    text = drawn(bar.grab().toImage(), theme.current().canvas)
    text[:, :-58] = False  # the scale bar and the point in the middle
    assert text.sum() > 500
    assert not ((with_shape != without).any(axis=2) & text).any()


def test_a_point_of_a_small_view_is_found_where_it_is_drawn(qtbot, chair):
    view = make(qtbot, chair, size=(190, 200))
    seen = drawn(view.grab().toImage(), theme.current().canvas)
    for point in chair[::200]:
        at = place(view, point)
        assert seen[at.y(), at.x()]
        assert view.point_at(at.x(), at.y()) >= 0
    hover(view, place(view, chair[0]))
    assert view._highlighted >= 0
    view.mark(-1)
    before = place(view, chair[0])
    drag(view, QPoint(90, 110), QPoint(100, 100), Qt.MouseButton.RightButton)
    moved = place(view, chair[0]) - before
    assert (moved - QPoint(10, -10)).manhattanLength() <= 3


def test_any_number_of_points_covers_about_the_same_area(qtbot, chair):
    rng = np.random.default_rng(0)
    many = chair[rng.integers(0, 2048, 8192)] + rng.normal(0, 0.01, (8192, 3))
    shares = [share(make(qtbot, points)) for points in (chair[:512], chair, many)]
    assert max(shares) < 2 * min(shares)


def test_points_without_values_have_the_colour_of_the_view(view):
    picture = pixels(scene(view.grab().toImage()))
    tint = picture[drawn(scene(view.grab().toImage()), theme.current().canvas)].mean(axis=0)
    assert tint[2] > tint[1] > tint[0]  # clean is blue


@pytest.mark.parametrize(("token", "sign"), [("adv", 1), ("clean", -1)])
def test_points_with_values_are_coloured_from_unmoved_to_the_colour_of_the_view(qtbot, chair, token, sign):
    view = make(qtbot, chair, token=token)

    def tinge(value):
        view.set_points(chair, values=np.full(len(chair), value), limits=(0.0, 0.2))
        picture = scene(view.grab().toImage())
        tint = pixels(picture)[drawn(picture, theme.current().canvas)].mean(axis=0)
        return sign * (tint[0] - tint[2])

    still, half, full = tinge(0.0), tinge(0.1), tinge(0.2)
    assert still < half < full
    assert tinge(0.5) == full


def test_fewer_points_replace_more_points_completely(view, qtbot, chair):
    view.set_points(chair[:300])
    assert np.array_equal(pixels(view.grab().toImage()), pixels(make(qtbot, chair[:300]).grab().toImage()))


def test_nearer_points_hide_farther_ones(qtbot, chair):
    view = make(qtbot, chair, token="adv")
    view.set_camera({**view.camera(), "azimuth": 0.0, "elevation": 0.0})
    view.set_points([[-0.8, 0.0, 0.0], [0.8, 0.0, 0.0]], values=[0.0, 1.0])
    centre = place(view, [0.8, 0.0, 0.0])
    red, _, blue = pixels(view.grab().toImage())[centre.y(), centre.x()]
    assert red > blue
    assert view.point_at(centre.x(), centre.y()) == 1


@pytest.mark.parametrize("orthographic", [False, True])
def test_the_picture_does_not_depend_on_the_order_of_the_points(view, qtbot, chair, orthographic):
    mixed = np.random.default_rng(3).permutation(len(chair))
    other = make(qtbot, chair[mixed])
    for each in (view, other):
        each.set_orthographic(orthographic)
    assert np.array_equal(pixels(view.grab().toImage()), pixels(other.grab().toImage()))


def test_points_of_one_depth_leave_no_gaps_in_each_other(qtbot):
    y, z = np.meshgrid(np.linspace(-0.5, 0.5, 60), np.linspace(-0.5, 0.5, 60))
    wall = np.stack([np.zeros_like(y), y, z], axis=-1).reshape(-1, 3).astype(np.float32)
    for orthographic in (False, True):
        view = make(qtbot, wall)
        view.look_from("Front")
        view.set_orthographic(orthographic)
        first, last = place(view, (0.0, -0.45, 0.45)), place(view, (0.0, 0.45, -0.45))
        inside = view.grab().toImage().copy(QRect(first, last))
        assert drawn(inside, theme.current().canvas).all()


def test_a_point_of_the_overlay_is_seen_up_to_the_edge_of_a_nearer_one(qtbot):
    """With a wall of them behind, nothing of the ground is seen around the points in front."""
    y, z = np.meshgrid(np.linspace(-0.5, 0.5, 90), np.linspace(-0.5, 0.5, 90))
    wall = np.stack([np.full_like(y, -0.3), y, z], axis=-1).reshape(-1, 3).astype(np.float32)
    view = make(qtbot, title="ADVERSARIAL", token="adv")
    view.look_from("Front")
    view.set_points([[0.3, 0.0, 0.0], [0.3, 0.1, 0.1]], origin=wall)
    view.set_overlay(True)
    first, last = place(view, (-0.3, -0.4, 0.4)), place(view, (-0.3, 0.4, -0.4))
    picture = view.grab().toImage().copy(QRect(first, last))
    assert drawn(picture, theme.current().canvas).all()
    colours = {tuple(colour) for colour in pixels(picture).reshape(-1, 3).tolist()}
    assert any(red > blue + 40 for red, _, blue in colours), "the points in front are there"


def test_views_in_two_windows_both_draw(qtbot, chair):
    first, second = make(qtbot, chair), make(qtbot, chair)
    assert share(first) == share(second) > 0.1


def test_a_view_can_be_moved_to_another_window(qtbot, chair):
    view, shares = CloudView("CLEAN", "clean", EMPTY), []
    view.set_points(chair)
    for window in (QWidget(), QWidget()):
        qtbot.addWidget(window)
        layout = QHBoxLayout(window)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(view)
        window.resize(480, 400)
        with qtbot.waitExposed(window):
            window.show()
        shares.append(share(view))
    assert shares[0] == shares[1] > 0.1


@pytest.mark.parametrize(
    ("points", "extra", "words"),
    [
        (np.zeros((4, 2)), {}, "shape"),
        ([[0.0, 0.0, np.nan]], {}, "finite"),
        (np.zeros((4, 3)), {"values": np.zeros(3)}, "values"),
        (np.zeros((4, 3)), {"origin": np.zeros(3)}, "origin"),
    ],
)
def test_arrays_of_a_wrong_shape_are_an_error_and_the_picture_stays(view, points, extra, words):
    before = pixels(view.grab().toImage())
    with pytest.raises(ValueError, match=words):
        view.set_points(points, **extra)
    assert np.array_equal(pixels(view.grab().toImage()), before)


# --- what is written over them ------------------------------------------------------------------------------------


def test_a_capture_of_the_widget_is_what_the_screen_shows(qtbot, view):
    with qtbot.waitSignal(view.painted):
        view.set_verdict("chair", 0.98, True)
        view.turn(10.0, 5.0)
    QApplication.processEvents()
    assert np.array_equal(pixels(view.grab().toImage()), pixels(view.screen().grabWindow(view.winId()).toImage()))


def test_a_covered_part_is_repainted_from_the_last_image(qtbot, view, monkeypatch):
    before = pixels(view.grab().toImage())
    monkeypatch.setattr("app.views.spheres.Spheres.paint", lambda self: pytest.fail("the scene was drawn again"))
    cover = QLabel("over it", view)
    cover.show()
    QApplication.processEvents()
    cover.hide()
    QApplication.processEvents()
    assert np.array_equal(pixels(view.grab().toImage()), before)


def test_annotations_change_without_rendering_the_scene_again(view, monkeypatch):
    pictures = [pixels(view.grab().toImage())]
    monkeypatch.setattr("app.views.spheres.Spheres.paint", lambda self: pytest.fail("the scene was drawn again"))
    for change in (
        lambda: view.set_verdict("chair", 0.98, True),
        lambda: view.set_stale(True, "old"),
        lambda: view.mark(7),
    ):
        change()
        pictures.append(pixels(view.grab().toImage()))
        assert (pictures[-1] != pictures[-2]).any()
    view.mark(-1)
    view.set_stale(False)
    view.set_verdict("")
    assert np.array_equal(pixels(view.grab().toImage()), pictures[0])


def test_an_empty_view_says_what_to_do(qtbot, chair, shot):
    view = make(qtbot)
    picture = shot(view, "cloud-empty")
    words = drawn(picture, theme.current().canvas)
    assert words[180:260].sum() > 500  # in the middle
    view.set_points(chair)
    view.set_points(np.empty((0, 3)))
    assert np.array_equal(pixels(view.grab().toImage()), pixels(picture))


def test_the_verdict_is_green_when_right_and_red_when_wrong(view):
    def chip(*verdict):
        view.set_verdict(*verdict)
        return pixels(view.grab().toImage())[30:54, 10:140].astype(float).reshape(-1, 3)

    nothing, right, wrong = chip(""), chip("chair", 0.98, True), chip("table", 0.71, False)
    assert (right - nothing).sum(axis=0).argmax() == 1
    assert (wrong - nothing).sum(axis=0).argmax() == 0
    assert view.accessibleDescription() == "table ✗ 0.71"


def test_a_stale_picture_is_dimmed_to_sixty_percent(view):
    canvas = np.array(theme.current().canvas.getRgb()[:3])
    fresh = pixels(scene(view.grab().toImage())) - canvas
    view.set_stale(True, "computing…")
    dim = pixels(scene(view.grab().toImage())) - canvas
    bright = fresh.max(axis=2) > 100
    assert np.median(dim[bright] / fresh[bright]) == pytest.approx(0.6, abs=0.02)
    view.set_stale(False)
    assert np.array_equal(pixels(scene(view.grab().toImage())) - canvas, fresh)


def test_the_scale_bar_grows_with_the_zoom(view):
    def bar():
        row = drawn(view.grab().toImage(), theme.current().canvas)[-13, 12:]
        return int(np.argmin(row))

    before = bar()
    view.zoom(0.8)
    assert bar() == pytest.approx(before / 0.8, abs=1.5)


def test_a_change_of_theme_repaints(view, qapp, shot):
    shot(view, "cloud-dark")
    theme.apply(qapp, "light")
    picture = shot(view, "cloud-light")
    assert picture.pixelColor(470, 200) == theme.LIGHT.canvas
    assert drawn(scene(picture), theme.LIGHT.canvas).mean() > 0.1


def test_keyboard_focus_is_shown_by_a_frame(qtbot, chair):
    view = make(qtbot, chair)
    view.activateWindow()
    qtbot.waitUntil(view.isActiveWindow)
    view.clearFocus()
    before = view.grab().toImage().pixelColor(1, 200)
    view.setFocus(Qt.FocusReason.TabFocusReason)
    assert before == theme.current().canvas
    assert view.grab().toImage().pixelColor(1, 200) == theme.current().accent


# --- displacement -------------------------------------------------------------------------------------------------


def test_vectors_and_overlay_can_be_switched_on_and_off(view, chair, shot):
    moved = chair + np.float32(0.06)
    view.set_points(moved, origin=chair)
    plain = pixels(view.grab().toImage())
    for switch, name in ((view.set_vectors, "cloud-vectors"), (view.set_overlay, "cloud-overlay")):
        switch(True)
        assert (pixels(shot(view, name)) != plain).any(axis=2).mean() > 0.01
        switch(False)
        assert np.array_equal(pixels(view.grab().toImage()), plain)


def test_an_origin_with_another_number_of_points_gives_an_overlay_but_no_vectors(view, chair):
    view.set_points(chair[:1000], origin=chair)
    plain = pixels(view.grab().toImage())
    view.set_vectors(True)
    assert np.array_equal(pixels(view.grab().toImage()), plain)
    view.set_overlay(True)
    assert not np.array_equal(pixels(view.grab().toImage()), plain)


def test_magnified_points_are_drawn_farther_out_but_the_tooltip_has_true_coordinates(view, qtbot):
    view.set_points([[0.0, 0.0, 0.1]], origin=[[0.0, 0.0, 0.0]])
    view.set_magnify(5)
    at = place(view, [0.0, 0.0, 0.5])
    assert view.point_at(at.x(), at.y()) == 0
    hover(view, at)
    qtbot.waitUntil(lambda: "z +0.100" in QToolTip.text())
    assert "‖δ‖ 0.1000" in QToolTip.text()


# --- mouse and keys -----------------------------------------------------------------------------------------------


def test_a_drag_rotates_the_camera(view, qtbot):
    before, picture = view.camera(), pixels(view.grab().toImage())
    with qtbot.waitSignal(view.cameraMoved):
        drag(view, QPoint(200, 200), QPoint(260, 220))
    after = view.camera()
    assert after["azimuth"] == pytest.approx(before["azimuth"] - 30.0)
    assert after["elevation"] == pytest.approx(before["elevation"] + 10.0)
    assert not np.array_equal(pixels(view.grab().toImage()), picture)


@pytest.mark.parametrize(
    ("button", "modifier"),
    [
        (Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ShiftModifier),
        (Qt.MouseButton.MiddleButton, Qt.KeyboardModifier.NoModifier),
        (Qt.MouseButton.RightButton, Qt.KeyboardModifier.NoModifier),
    ],
)
def test_a_drag_with_shift_or_another_button_moves_the_scene(view, button, modifier):
    before = place(view, [0.0, 0.0, 0.0])
    drag(view, QPoint(200, 200), QPoint(260, 170), button, modifier)
    assert place(view, [0.0, 0.0, 0.0]) - before == QPoint(60, -30)


def test_the_wheel_zooms_and_stops_before_the_shape_is_lost(view):
    small_spec = share(view)
    wheel(view, 3)
    assert share(view) > small_spec
    for _ in range(100):
        wheel(view, 3)
    assert view.camera()["distance"] == pytest.approx(0.8)


def test_keys_rotate_zoom_and_reset_the_camera(view, qtbot):
    home = view.camera()
    for key, change in ((Qt.Key.Key_Right, "azimuth"), (Qt.Key.Key_Up, "elevation"), (Qt.Key.Key_Plus, "distance")):
        qtbot.keyClick(view, key)
        assert view.camera()[change] != home[change]
    qtbot.keyClick(view, Qt.Key.Key_Home)
    assert view.camera() == home


def test_a_double_click_resets_the_camera(view):
    home = view.camera()
    drag(view, QPoint(200, 200), QPoint(300, 250))
    QTest.mouseDClick(view, Qt.MouseButton.LeftButton, pos=QPoint(200, 200))
    QTest.mouseRelease(view, Qt.MouseButton.LeftButton, pos=QPoint(200, 200))  # or it counts as held ever after
    assert view.camera() == home


def test_the_point_under_the_mouse_is_highlighted_and_has_a_tooltip(view, qtbot, chair):
    plain = pixels(view.grab().toImage())
    hover(view, place(view, chair[5]))
    qtbot.waitUntil(lambda: QToolTip.text().startswith("point "))
    assert not np.array_equal(pixels(view.grab().toImage()), plain)
    hover(view, QPoint(5, 200))
    qtbot.waitUntil(lambda: np.array_equal(pixels(view.grab().toImage()), plain))


@pytest.mark.parametrize("nearer", [0, 1])
def test_of_two_points_in_one_line_of_sight_the_nearer_one_is_picked(qtbot, nearer):
    points = np.array([(-0.5, 0.0, 0.0), (0.5, 0.0, 0.0)], np.float32)  # seen from +x
    view = make(qtbot, points[::-1].copy() if nearer == 0 else points)
    view.look_from("Front")
    centre = place(view, points[1])
    assert (place(view, points[0]) - centre).manhattanLength() <= 1
    hover(view, centre)
    qtbot.waitUntil(lambda: QToolTip.text().startswith(f"point {nearer}"))


# --- when things go wrong, and other screens ----------------------------------------------------------------------


def test_a_painting_error_is_shown_and_logged(qtbot, chair, monkeypatch, caplog):
    def refuse(self):
        raise RuntimeError("the driver said no")

    monkeypatch.setattr("app.views.spheres.Spheres.paint", refuse)
    with caplog.at_level(logging.ERROR):
        view = make(qtbot, chair)
        view.grab().toImage()
    assert "the driver said no" in caplog.text
    assert len(caplog.records) == 1
    assert "cannot be drawn" in view.findChild(QLabel).text()
    assert view.findChild(QLabel).isVisible()


SCRIPT = """
import numpy as np
from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtWidgets import QApplication, QLabel
QCoreApplication.setAttribute(Qt.ApplicationAttribute.AA_ShareOpenGLContexts)
app = QApplication(["pointward"])
from app.shell import theme
from app.views.cloud import CloudView
from tests.pixels.pictures import drawn, scene
theme.apply(app, "dark")
view = CloudView("CLEAN", "clean", ("Open", "a cloud"))
view.resize(480, 400)
view.set_points(np.load({points!r}))
view.show()
app.processEvents()
picture = view.grab().toImage()
print(view.devicePixelRatioF(), 0 if picture.isNull() else drawn(scene(picture), theme.current().canvas).mean())
print(view.findChild(QLabel).text() if view.findChild(QLabel).isVisible() else "drawn")
"""


def in_new_process(tmp_path, points, **environment):
    """A view in a new process: its pixel ratio, the share of drawn pixels, and its error text."""
    np.save(tmp_path / "points.npy", points)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(points=str(tmp_path / "points.npy"))],
        env={**os.environ, **environment},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    numbers, words = done.stdout.splitlines()
    ratio, covered = map(float, numbers.split())
    return ratio, covered, words


def test_a_high_density_screen_shows_the_same_picture(view, tmp_path, chair):
    ratio, covered, words = in_new_process(tmp_path, chair, QT_SCALE_FACTOR="2")
    assert (ratio, words) == (2.0, "drawn")
    assert covered == pytest.approx(share(view), rel=0.1)


def test_a_display_without_opengl_gets_a_sentence(tmp_path, chair):
    _, covered, words = in_new_process(tmp_path, chair, QT_QPA_PLATFORM="offscreen", DISPLAY="")
    assert covered < 0.05  # by the sentence
    assert "no OpenGL" in words
