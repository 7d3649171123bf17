import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PySide6.QtCore import QPoint, QRectF, Qt
from PySide6.QtGui import QPixmap
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QGraphicsView, QLabel, QToolButton, QWidget
from pytestqt.qtbot import QtBot

from app.shell import theme
from app.views.map_plot import separated
from app.views.map_points import MapPoints, medoid
from app.views.scatter import MARKER_CAPTION, MapView
from tests.app.inspection import pixels, tooltip, where
from tests.app.mouse import move_mouse

CLASSES = ["airplane", "bag", "cap", "car"]
CORNERS = [[0, 0], [10, 0], [10, 10], [0, 10]]
INSIDE = [[2, 2], [8, 2], [8, 8], [2, 8]]
HUBS = [[5, 1], [5, 3.5], [5, 6.5], [5, 9]]  # two of three points of a class are here, so that its name is too
XY = np.array(CORNERS + HUBS + HUBS + INSIDE + HUBS + HUBS, float)
LABELS = np.tile([0, 1, 2, 3], 6)
ADVERSARIAL = np.arange(24) >= 12  # the inside, numbers 12 to 15, and the hubs once more
PREDICTED = np.where(ADVERSARIAL & (np.arange(24) < 16), (LABELS + 1) % 4, LABELS)  # all of the inside are wrong
ROWS = np.tile(np.arange(100, 112), 2)


def points(xy=XY, labels=LABELS, adversarial=ADVERSARIAL, predicted=None, rows=None, classes=CLASSES) -> MapPoints:
    """Points with correct predictions and rows in their order, unless others are given."""
    xy, labels = np.asarray(xy, float), np.asarray(labels, int)
    predicted = labels if predicted is None else predicted
    rows = np.arange(len(labels)) if rows is None else rows
    return MapPoints(xy, labels, np.asarray(adversarial, bool), predicted, rows, tuple(classes))


@pytest.fixture
def view(qtbot: QtBot) -> MapView:
    view = MapView("Press Compute.")
    qtbot.addWidget(view)
    view.resize(700, 460)
    view.set_map(points(predicted=PREDICTED, rows=ROWS))
    with qtbot.waitExposed(view):
        view.show()
    QApplication.processEvents()
    return view


def plot(view: MapView) -> QWidget:
    return view.findChild(QGraphicsView).viewport()


def toggle(view: MapView, text: str) -> QToolButton:
    return next(button for button in view.findChildren(QToolButton) if button.text() == text)


def press(view: MapView, text: str) -> None:
    QTest.mouseClick(toggle(view, text), Qt.MouseButton.LeftButton)
    QApplication.processEvents()


def place(view: MapView, index: int) -> QPoint:
    """Position of a point of XY on screen, interpolated between the corners, the outermost coloured pixels."""
    colours = [theme.class_style(k)[0] for k in range(4)]
    mask = np.any([where(plot(view), colour) for colour in colours], axis=0)
    top, bottom = np.flatnonzero(mask.any(axis=1))[[0, -1]]
    left, right = np.flatnonzero(mask.any(axis=0))[[0, -1]]
    x, y = XY[index] / 10
    return QPoint(round(left + 3 + x * (right - left - 6)), round(bottom - 3 - y * (bottom - top - 6)))


def click(view: MapView, at: QPoint) -> None:
    move_mouse(plot(view), at)
    QTest.mouseClick(plot(view), Qt.MouseButton.LeftButton, pos=at)


def test_each_class_has_its_colour_and_each_kind_its_outline(view: MapView) -> None:
    for k in range(4):
        assert where(plot(view), theme.class_style(k)[0]).any()
    press(view, "clean")
    for k in range(4):
        assert not where(plot(view), theme.class_style(k)[0]).any()
    warm = pixels(plot(view)).astype(int)
    assert (abs(warm - theme.DARK.adv.getRgb()[:3]).sum(axis=2) < 60).any()
    press(view, "adversarial")
    assert not (abs(pixels(plot(view)).astype(int) - theme.DARK.adv.getRgb()[:3]).sum(axis=2) < 60).any()


def test_a_click_picks_the_point_under_it(view: MapView, qtbot: QtBot) -> None:
    picked: list[int] = []
    view.picked.connect(picked.append)
    points = [0, 1, 2, 3, 12, 13, 14, 15]
    places = [place(view, index) for index in points]
    for at in places:
        click(view, at)
    assert picked == points
    click(view, (places[0] + places[4]) / 2)
    assert picked == points, "between two points there is none"


def test_hidden_points_cannot_be_selected(view: MapView) -> None:
    picked: list[int] = []
    view.picked.connect(picked.append)
    inside = place(view, 14)
    press(view, "adversarial")
    click(view, inside)
    assert picked == []
    assert tooltip(plot(view), inside) == ""


def test_the_tooltip_names_class_and_both_predictions_of_a_cloud(view: MapView) -> None:
    both = "clean: predicted bag\nadversarial: predicted cap"
    assert tooltip(plot(view), place(view, 1)) == f"bag #101, clean\n{both}"
    assert tooltip(plot(view), place(view, 13)) == f"bag #101, adversarial\n{both}"


def test_the_tooltip_shows_the_cloud(view: MapView) -> None:
    asked: list[int] = []
    picture = QPixmap(8, 8)
    picture.fill(Qt.GlobalColor.red)
    view._picture = lambda index: asked.append(index) or picture
    text = tooltip(plot(view), place(view, 2))
    assert asked == [2]
    assert "data:image/png;base64" in text
    assert "cap #102, clean<br>clean: predicted cap" in text


def test_lines_join_pairs_if_every_point_has_a_partner(view: MapView) -> None:
    before = pixels(plot(view))
    press(view, "pairs")
    assert (pixels(plot(view)) != before).any()
    view.set_map(points(XY[:20], LABELS[:20], ADVERSARIAL[:20]))
    assert not toggle(view, "pairs").isEnabled()


def test_the_star_moves_and_the_map_stays(view: MapView) -> None:
    def star() -> np.ndarray:
        return np.argwhere(where(plot(view), theme.DARK.adv)).mean(axis=0)

    before = pixels(plot(view))
    view.set_marker((5, 2), (0, 0))
    low = star()
    view.set_marker((5, 8), (0, 0))
    assert star()[0] < low[0] - 50
    assert star()[1] == pytest.approx(low[1], abs=2)
    assert where(plot(view), theme.DARK.clean).any(), "the place of the clean cloud"
    assert MARKER_CAPTION in [label.text() for label in view.findChildren(QLabel)]
    view.set_marker(None)
    assert (pixels(plot(view)) == before).all()


def test_the_next_frame_moves_the_points(view: MapView) -> None:
    corner = place(view, 0)
    assert tooltip(plot(view), corner).startswith("airplane #100, clean")
    view.set_map(points(XY[::-1], LABELS[::-1], ADVERSARIAL[::-1]))
    QApplication.processEvents()
    assert tooltip(plot(view), corner).startswith("airplane #23, clean")


def test_progress_and_staleness_are_shown_over_the_map(view: MapView) -> None:
    fresh = pixels(plot(view))
    view.set_busy("iteration 250 of 750 · KL 1.84")
    assert (pixels(plot(view)) != fresh).any()
    view.set_busy(None)
    assert (pixels(plot(view)) == fresh).all()
    view.set_stale(True)
    assert where(plot(view), theme.DARK.warn).any()
    assert not where(plot(view), theme.class_style(0)[0]).any(), "dimmed"
    view.set_stale(False)
    assert (pixels(plot(view)) == fresh).all()


def test_a_double_click_shows_everything_again(view: MapView) -> None:
    corner = place(view, 0)
    middle = plot(view).rect().center()
    QTest.mousePress(plot(view), Qt.MouseButton.LeftButton, pos=middle)
    move_mouse(plot(view), middle + QPoint(30, 20))
    move_mouse(plot(view), middle + QPoint(60, 40))
    QTest.mouseRelease(plot(view), Qt.MouseButton.LeftButton, pos=middle + QPoint(60, 40))
    assert tooltip(plot(view), corner) == ""
    QTest.mouseDClick(plot(view), Qt.MouseButton.LeftButton, pos=middle)
    QApplication.processEvents()
    assert tooltip(plot(view), corner).startswith("airplane #100, clean")


def test_without_a_map_the_view_says_what_to_do(qtbot: QtBot) -> None:
    view = MapView("Press Compute.")
    qtbot.addWidget(view)
    with qtbot.waitExposed(view):
        view.show()
    assert where(plot(view), theme.DARK.text).any(), "the headline"
    view.set_busy("finding neighbours")
    assert view.accessibleDescription() == "0 clean and 0 adversarial clouds of 0 classes"


def test_the_colours_follow_the_theme(view: MapView, qapp: QApplication) -> None:
    theme.apply(qapp, "light")
    QApplication.processEvents()
    assert where(plot(view), theme.LIGHT.canvas).mean() > 0.5
    assert where(plot(view), theme.class_style(1)[0]).any()


@pytest.mark.parametrize(
    ("xy", "labels", "words"),
    [
        (XY[:, :1], LABELS, r"a map of shape \(24, 1\)"),
        (XY, LABELS[:3], r"shapes \(3,\), \(24,\)"),
        (XY + np.inf, LABELS, "not finite"),
        (XY, LABELS + 1, "labels from 0 to 4 do not fit 4 classes"),
    ],
)
def test_inconsistent_points_are_an_error(xy: np.ndarray, labels: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        MapPoints(xy, labels, ADVERSARIAL, LABELS, ROWS, tuple(CLASSES))


@given(arrays(float, st.tuples(st.integers(1, 30), st.just(2)), elements=st.floats(-100, 100)))
def test_no_point_is_closer_to_all_others_than_the_medoid(points: np.ndarray) -> None:
    sums = [sum(np.hypot(*(p - q)) for q in points) for p in points]
    assert sums[medoid(points)] == pytest.approx(min(sums))


BOX = st.builds(QRectF, st.floats(0, 200), st.floats(0, 60), st.floats(20, 80), st.floats(12, 20))


@given(st.lists(BOX, max_size=16))
def test_separated_boxes_do_not_overlap_and_move_as_little_as_possible(boxes: list[QRectF]) -> None:
    placed = separated(boxes)
    for k, (box, now) in enumerate(zip(boxes, placed, strict=True)):
        assert not any(now.intersects(other) for other in placed[:k])
        assert abs(now.left() - box.left()) <= 0.5
        away = round(now.top()) - round(box.top())
        for nearer in range(-abs(away) + 1, abs(away)):
            assert any(now.translated(0, nearer - away).intersects(other) for other in placed[:k])


def test_of_two_boxes_at_one_place_the_second_goes_down_so_that_none_leaves_at_the_top() -> None:
    assert separated([QRectF(0, 0, 40, 15), QRectF(10, 0, 40, 15)])[1].top() == 15


def test_two_names_at_one_place_are_both_readable(view: MapView) -> None:
    view.set_map(points(np.zeros((2, 2)), [0, 3], [False, False]))
    both = where(plot(view), theme.current().text)
    view.set_map(points(np.zeros((2, 2)), [0, 3], [False, False], classes=["airplane", "bag", "cap", ""]))
    alone = where(plot(view), theme.current().text)
    view.set_map(points(np.zeros((2, 2)), [0, 3], [False, False], classes=["", "bag", "cap", "car"]))
    other = where(plot(view), theme.current().text)
    assert both.sum() == pytest.approx(alone.sum() + other.sum(), rel=0.02)


def test_a_name_hides_no_small_cluster_and_stands_in_the_middle_of_a_large_one(view: MapView) -> None:
    small = [(0, 0), (0.1, 0), (0, 0.1), (10, 10)]  # three points as far apart as a name is high, and one of no name
    colour = theme.class_style(0)[0]
    seen_pixels = {}
    for name in ("airplane", ""):
        view.set_map(points(small, [0, 0, 0, 3], 4 * [False], classes=[name, "bag", "cap", ""]))
        seen_pixels[name] = where(plot(view), colour).sum()
    assert seen_pixels["airplane"] == seen_pixels[""] > 20
    large = [(0, 0), (10, 0), (5, 10), (5, 5)]
    view.set_map(points(large, 4 * [0], 4 * [False], classes=["airplane", "bag", "cap", ""]))
    text = np.argwhere(where(plot(view), theme.current().text))
    cluster = np.argwhere(where(plot(view), colour))
    assert text.mean(axis=0) == pytest.approx((cluster.min(axis=0) + cluster.max(axis=0)) / 2, abs=6)


def drag_up(view: MapView, pixels: int) -> None:
    start = QPoint(300, 200)
    QTest.mousePress(plot(view), Qt.MouseButton.LeftButton, pos=start)
    for share in (0.5, 1.0):
        move_mouse(plot(view), start - QPoint(0, round(share * pixels)))
    QTest.mouseRelease(plot(view), Qt.MouseButton.LeftButton, pos=start - QPoint(0, pixels))
    QApplication.processEvents()


def test_a_name_above_a_cluster_is_seen_whole_when_the_map_is_dragged_to_the_edge(view: MapView) -> None:
    places = [(0, 10), (0.1, 10), (0, 9.9), (10, 0)]
    view.set_map(points(places, [0, 0, 0, 3], 4 * [False], classes=["airplane", "bag", "cap", ""]))
    before = where(plot(view), theme.current().text)
    cluster = np.flatnonzero(where(plot(view), theme.class_style(0)[0]).any(axis=1))[0]
    drag_up(view, int(cluster))
    after = where(plot(view), theme.current().text)
    assert np.flatnonzero(after.any(axis=1))[0] < np.flatnonzero(before.any(axis=1))[0]
    assert after.sum() == before.sum()


# --- classes, search, lasso, neighbours, trail --------------------------------------------------------------------


def legend_row(view: MapView, k: int) -> QPoint:
    """The middle of a class's line in the legend, which begins with the two kinds."""
    return view._legend._box(2 + k).center()


def click_legend(view: MapView, k: int, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
    QTest.mouseClick(view._legend, Qt.MouseButton.LeftButton, modifier, legend_row(view, k))
    QApplication.processEvents()


def seen(view: MapView) -> list[bool]:
    """Whether the colour of each class is on the map."""
    return [bool(where(plot(view), theme.class_style(k)[0]).any()) for k in range(4)]


def test_a_click_in_the_legend_hides_a_class_and_shows_it_again(view: MapView) -> None:
    click_legend(view, 1)
    assert seen(view) == [True, False, True, True]
    assert view._legend.accessibleDescription() == "hidden: bag"
    assert tooltip(plot(view), place(view, 0)) != ""
    click_legend(view, 1)
    assert all(seen(view))


def test_with_ctrl_a_class_is_shown_alone_and_then_all_again(view: MapView) -> None:
    click_legend(view, 2, Qt.KeyboardModifier.ControlModifier)
    assert seen(view) == [False, False, True, False]
    click_legend(view, 2, Qt.KeyboardModifier.ControlModifier)
    assert all(seen(view))


def test_classes_are_hidden_with_the_keyboard_too(view: MapView) -> None:
    view._legend.setFocus()
    for _ in range(3):
        QTest.keyClick(view._legend, Qt.Key.Key_Down)
    QTest.keyClick(view._legend, Qt.Key.Key_Space)
    assert seen(view) == [True, False, True, True]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("bag", [1, 5, 9, 13, 17, 21]),
        ("BAG wrong", [13]),
        ("wrong", [12, 13, 14, 15]),
        ("=cap wrong", [13]),
        ("clean #103", [3]),
        ("adversarial right car", [19, 23]),
        ("#103", [3, 15]),
        ("nothing", []),
        ("", list(range(24))),
    ],
)
def test_words_find_points(text: str, found: list[int]) -> None:
    assert np.flatnonzero(points(predicted=PREDICTED, rows=ROWS).matching(text)).tolist() == found


def test_a_search_fades_the_others_and_enter_opens_one_after_the_other(view: MapView) -> None:
    picked: list[int] = []
    view.picked.connect(picked.append)
    view.search.setFocus()
    QTest.keyClicks(view.search, "wrong")
    assert view._count.text() == "4 of 24"
    assert not any(seen(view)), "all clean points are faded"
    for _ in range(5):
        QTest.keyClick(view.search, Qt.Key.Key_Return)
    assert picked == [12, 13, 14, 15, 12]
    QTest.keyClick(view.search, Qt.Key.Key_Escape)
    assert view.search.text() == ""
    assert all(seen(view))


def drag_around(view: MapView, middle: QPoint, reach: int, modifier: Qt.KeyboardModifier) -> None:
    """Draw a square around a place."""
    corners = [middle + QPoint(x * reach, y * reach) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    QTest.mousePress(plot(view), Qt.MouseButton.LeftButton, modifier, corners[0])
    for corner in corners[1:]:
        move_mouse(plot(view), corner)
    QTest.mouseRelease(plot(view), Qt.MouseButton.LeftButton, modifier, corners[3])
    QApplication.processEvents()


@pytest.mark.parametrize("how", ["button", "shift"])
def test_a_lasso_tells_the_points_in_it_and_fades_the_others(view: MapView, how: str) -> None:
    told: list[list[int]] = []
    view.lassoed.connect(lambda indices: told.append(indices.tolist()))
    modifier = Qt.KeyboardModifier.ShiftModifier if how == "shift" else Qt.KeyboardModifier.NoModifier
    corner = place(view, 1)
    before = view._plot.box.viewRange()
    if how == "button":
        QTest.mouseClick(view.lasso, Qt.MouseButton.LeftButton)
    drag_around(view, corner, 30, modifier)
    assert told == [[1]]
    assert view._plot.box.viewRange() == before, "the map stays where it is"
    assert seen(view) == [False, True, False, False]
    view.setFocus()
    QTest.keyClick(view, Qt.Key.Key_Escape)
    assert told[1:] == [[]]
    assert all(seen(view))


def test_lines_lead_to_the_neighbours_of_a_point(view: MapView) -> None:
    before = pixels(plot(view))
    view.set_links(0, [1, 2])
    linked = (pixels(plot(view)) != before).any(axis=2)
    edge = (place(view, 0) + place(view, 1)) / 2
    ratio = plot(view).devicePixelRatioF()
    row, column = round(edge.y() * ratio), round(edge.x() * ratio)
    assert linked[row - 2 : row + 3, column].any(), "a line to the point on the right"
    view.set_links(0, [])
    assert (pixels(plot(view)) == before).all()


def test_the_star_leaves_a_trail_until_another_cloud_is_shown(view: MapView) -> None:
    for x in (1, 3, 5, 7):
        view.set_marker((x, 2), (0, 5))
    assert [place.x() for place in view._trail] == [7, 5, 3, 1]
    with_trail = pixels(plot(view))
    view.set_marker((7, 2), (0, 5.5))
    assert len(view._trail) == 1
    assert (abs(pixels(plot(view)).astype(int) - with_trail) > 30).any()
    view.set_marker(None)
    assert view._trail == []
