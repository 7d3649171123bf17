from itertools import combinations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QPainter, QPixmap
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QGraphicsView, QLabel, QToolButton, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from app.shell import theme
from app.views.curves import MAX_MARKERS, CurveView, line_look
from app.views.plot import MARKERS
from app.views.value_legend import SAMPLE_WIDTH
from tests.app.inspection import pixels, where
from tests.app.mouse import move_mouse


@pytest.fixture
def view(qtbot: QtBot) -> CurveView:
    view = CurveView("epoch", "loss", y_unit="nats", empty="Press Train.")
    qtbot.addWidget(view)
    view.resize(500, 260)
    with qtbot.waitExposed(view):
        view.show()
    return view


def height(view: CurveView, colour: str) -> float:
    """Mean row of the pixels in a colour, from the top of the view."""
    return float(np.flatnonzero(where(plot(view), getattr(theme.current(), colour), 40).any(axis=1)).mean())


def plot(view: CurveView) -> QWidget:
    return view.findChild(QGraphicsView).viewport()


def test_appended_points_are_drawn_with_the_next_frame(view: CurveView, qtbot: QtBot) -> None:
    view.set_series("clean", colour_role="clean")
    for epoch in range(1, 6):
        view.append("clean", epoch, 1 / epoch)
    qtbot.waitUntil(lambda: where(plot(view), theme.DARK.clean).any())
    assert view.accessibleDescription() == "clean 0.200 nats at epoch 5"


def test_a_larger_loss_is_drawn_higher(view: CurveView) -> None:
    view.set_series("clean", [0, 1, 2], [0.1, 0.1, 0.1], "clean")
    view.set_series("adversarial", [0, 1, 2], [2.0, 2.0, 2.0], "adv")
    QApplication.processEvents()
    assert height(view, "adv") < height(view, "clean") - 50


@pytest.mark.parametrize(("last", "fewest"), [(1, 2), (2, 2), (7, 3), (150, 3)])
def test_an_integer_axis_has_ticks_only_at_integers(qtbot: QtBot, last: int, fewest: int) -> None:
    view = CurveView("Epoch", "Loss", integer_x=True)
    qtbot.addWidget(view)
    view.resize(500, 260)
    with qtbot.waitExposed(view):
        view.show()
    view.set_series("clean", np.arange(last + 1), np.ones(last + 1), "clean")
    QApplication.processEvents()
    axis = view._plot.bottom
    low, high = axis.range
    marks = [mark for _, level in axis.tickValues(low, high, axis.width()) for mark in level]
    assert len(marks) >= fewest
    assert all(mark == round(mark) for mark in marks)


def test_the_name_of_the_lower_axis_does_not_touch_the_edge(view: CurveView) -> None:
    view.set_series("clean", [0, 1], [1.0, 2.0], "clean")
    QApplication.processEvents()
    rows = np.flatnonzero(where(plot(view), theme.DARK.muted, 90).any(axis=1))
    assert plot(view).height() - 1 - rows[-1] >= theme.SPACE_XS


def test_the_cursor_follows_the_mouse_inside_the_axes(view: CurveView) -> None:
    view.set_series("clean", np.arange(11), np.linspace(1, 0, 11), "clean")
    QApplication.processEvents()
    seen: list = []
    view.hovered.connect(seen.append)
    move_mouse(plot(view), plot(view).rect().center())
    assert 3 < seen[-1] < 6
    move_mouse(plot(view), QPoint(5, 5))
    assert seen[-1] is None, "beside the axes there is nothing to read"


def test_a_click_selects_the_point_under_it_and_nothing_elsewhere(view: CurveView) -> None:
    view.set_series("clean", [0, 1, 2], [1, 1, 1], "clean")
    view.set_series("adversarial", [0, 1, 2], [1, 2, 3], "adv")
    view.set_series("none", [], [], "muted")
    QApplication.processEvents()
    seen: list = []
    view.picked.connect(lambda *what: seen.append(what))
    plane = view.findChild(QGraphicsView)
    for at in ((1, 2), (1, 1), (1.5, 1.8)):
        place = plane.mapFromScene(plane.box.mapViewToScene(QPointF(*at)))
        move_mouse(plot(view), place)
        QTest.mouseClick(plot(view), Qt.MouseButton.LeftButton, pos=place)
    assert seen == [("adversarial", 1.0), ("clean", 1.0)]


def test_the_axes_do_not_move_when_numbers_change(view: CurveView, qtbot: QtBot) -> None:
    view.set_series("clean", [0, 1], [1.0, 2.0], "clean")
    QApplication.processEvents()
    axis = np.flatnonzero(where(plot(view), theme.DARK.border).sum(axis=0) > 50)
    view.set_series("clean", [0, 1], [1e-7, 12345.678], "clean")
    QApplication.processEvents()
    assert np.flatnonzero(where(plot(view), theme.DARK.border).sum(axis=0) > 50)[0] == axis[0]


def test_names_that_do_not_fit_in_one_row_of_the_legend_take_two(view: CurveView, qtbot: QtBot) -> None:
    def height_of_text() -> int:
        QApplication.processEvents()
        return int(np.ptp(np.flatnonzero(where(view._legend, theme.DARK.muted, 40).any(axis=1))))

    view.set_series("simple", [0, 1], [1.0, 2.0], "clean")
    one_row = height_of_text()
    for name in ("adversarial", "defense", "thirty epochs"):
        view.set_series(name, [0, 1], [1.0, 2.0], "clean")
    assert height_of_text() > one_row + 10


def test_clean_and_adversarial_lines_of_a_model_are_in_one_column_of_the_legend(view: CurveView) -> None:
    for place, model in enumerate("ABCD"):
        style, marker, _ = line_look(place)
        view.set_series(model, [0, 1], [0.1, 0.2], "clean", style, marker)
        view.set_series(f"{model}′", [0, 1], [0.3, 0.4], "adv", style, marker)
    view.resize(440, 260)
    QApplication.processEvents()
    clean, adversarial = (where(view._legend, colour, 40) for colour in (theme.DARK.clean, theme.DARK.adv))
    height = view._legend.height()
    assert height == 3 * theme.CONTROL_HEIGHT // 2, "where it is read, clean ones, adversarial ones"
    assert not clean[: height // 3].any()
    assert not clean[2 * height // 3 :].any()
    assert not adversarial[: 2 * height // 3].any()
    assert np.array_equal(clean[height // 3 : 2 * height // 3], adversarial[2 * height // 3 :])
    written = pixels(view._legend)[height // 3 :]
    empty = (abs(written.astype(int) - written[0, 0]).max(axis=2) <= 12).all(axis=0)
    steps = np.flatnonzero(np.diff(np.r_[False, empty, False]))
    gaps = np.subtract(steps[1::2], steps[::2])[1:-1]  # not those at the ends
    between = gaps[gaps > theme.SPACE_M]
    assert len(between) == 3, "a value is near its sample and its name"
    assert between.min() >= theme.SPACE_L
    assert np.ptp(between) <= 4  # samples of dashed lines begin and end otherwise


def shows(widget: QWidget, text: str, colour: QColor) -> bool:
    """Whether a widget has a text in a colour somewhere, to the pixel."""
    now = pixels(widget).astype(int)
    picture = QPixmap(200, 20)
    picture.fill(QColor(*now[0, 0].tolist()))
    painter = QPainter(picture)
    painter.setFont(theme.tabular(theme.font(theme.CAPTION_PX)))
    painter.setPen(colour)
    painter.drawText(QPoint(2, 15), text)
    painter.end()
    label = QLabel(pixmap=picture)
    written = pixels(label).astype(int)
    rows, columns = np.nonzero((written != written[0, 0]).any(axis=2))
    written = written[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1, 0]
    places = np.lib.stride_tricks.sliding_window_view(now[:, :, 0], written.shape)
    return bool((abs(places - written).max(axis=(2, 3)) <= 2).any())


def test_no_value_and_no_short_name_of_a_legend_is_shortened(view: CurveView) -> None:
    names, values = ("A", "A′", "B′", "defense, area 0.675", "adv., area 0.706"), (0.83, 0.611, 1.23, 0.974, 0.549)
    for place, (name, value) in enumerate(zip(names, values, strict=True)):
        view.set_series(name, [0, 1], [2.0, value], "clean", *line_look(place))
    QApplication.processEvents()
    for name, value in zip(names, values, strict=True):
        assert shows(view._legend, name, theme.DARK.muted), name
        assert shows(view._legend, f"{value:#.3g}", theme.DARK.text), value


def test_names_in_the_legend_stay_where_they_are_while_values_change(view: CurveView) -> None:
    view.set_series("clean", [0, 1], [1.0, 1.23e-7], "clean")
    view.set_series("adversarial", [0, 1], [2.0, 12345.0], "adv")
    pictures = []
    for x in (0, 1):
        view.hovered.emit(x)
        QApplication.processEvents()
        pictures.append(pixels(view._legend).astype(int)[theme.CONTROL_HEIGHT // 2 :])  # below the heading
    first, second = pictures
    changed = np.flatnonzero((first != second).any(axis=(0, 2)))
    drawn = np.flatnonzero((abs(second - second[0, 0]).max(axis=2) > 12).any(axis=0))
    samples, same_samples = ((abs(each - theme.DARK.adv.getRgb()[:3]).max(axis=2) < 40) for each in pictures)
    assert samples.any()
    assert np.array_equal(samples, same_samples)
    assert drawn[-1] - changed[-1] > view._legend.fontMetrics().horizontalAdvance("adversarial") * 0.7


def test_a_logarithmic_axis_leaves_out_what_has_no_logarithm(view: CurveView, qtbot: QtBot) -> None:
    view.set_series("clean", np.arange(60), np.r_[0.0, -1.0, np.full(29, 1e-3), np.full(29, 1.0)], "clean")
    view.set_series("adversarial", np.arange(60), np.full(60, np.sqrt(1e-3)), "adv")
    qtbot.mouseClick(view.findChild(QToolButton), Qt.MouseButton.LeftButton)
    QApplication.processEvents()
    assert height(view, "adv") == pytest.approx(height(view, "clean"), abs=3), "the geometric mean is in the middle"


def test_a_gap_is_left_where_a_loss_is_not_finite(view: CurveView) -> None:
    y = np.linspace(0, 1, 101)
    y[40:60] = np.nan
    view.set_series("clean", np.arange(101), y, "clean")
    QApplication.processEvents()
    columns = np.flatnonzero(where(plot(view), theme.DARK.clean, 40).any(axis=0))
    assert np.diff(columns).max() == pytest.approx(0.2 * np.ptp(columns), rel=0.15)


def test_clear_removes_all_lines(view: CurveView) -> None:
    view.set_series("clean", [0, 1], [1.0, 2.0], "clean")
    assert view.findChild(QToolButton).isVisible()
    view.clear()
    assert not view.findChild(QToolButton).isVisible(), "there is no axis to be logarithmic"
    assert not where(plot(view), theme.DARK.clean).any()
    assert view.accessibleDescription() == ""
    with pytest.raises(ValueError, match='there is no line "clean"; the lines are none'):
        view.append("clean", 2, 1.0)


def test_a_double_click_shows_everything_again(view: CurveView) -> None:
    def end() -> int:
        return int(np.flatnonzero(where(plot(view), theme.DARK.clean, 40).any(axis=0))[-1])

    view.set_series("clean", np.arange(101), np.linspace(0, 1, 101), "clean")
    QApplication.processEvents()
    home = end()
    QTest.mousePress(plot(view), Qt.MouseButton.LeftButton, pos=QPoint(400, 60))
    for x in (300, 250, 200):
        move_mouse(plot(view), QPoint(x, 60))
    QTest.mouseRelease(plot(view), Qt.MouseButton.LeftButton, pos=QPoint(200, 60))
    assert end() == pytest.approx(home - 200, abs=3)
    QTest.mouseDClick(plot(view), Qt.MouseButton.LeftButton, pos=QPoint(300, 60))
    QApplication.processEvents()
    assert end() == home


def test_two_views_share_x_and_the_cursor(qtbot: QtBot) -> None:
    window = QWidget()
    layout = QVBoxLayout(window)
    loss, accuracy = CurveView("epoch", "loss"), CurveView("epoch", "accuracy", y_range=(0, 1))
    layout.addWidget(loss)
    layout.addWidget(accuracy)
    loss.link_x(accuracy)
    loss.set_series("train", np.arange(41), np.ones(41), "muted")
    accuracy.set_series("train", [0, 1], [0.2, 0.3], "clean")
    qtbot.addWidget(window)
    window.resize(500, 500)
    with qtbot.waitExposed(window):
        window.show()
    lines = where(plot(accuracy), theme.DARK.muted).sum(axis=0)
    move_mouse(plot(loss), plot(loss).rect().center())
    QApplication.processEvents()
    moved = where(plot(accuracy), theme.DARK.muted).sum(axis=0)
    assert (moved > lines + 50).any(), "the cursor's line is in the other view too"
    columns = np.flatnonzero(where(plot(accuracy), theme.DARK.clean).any(axis=0))
    assert np.ptp(columns) < 30, "one epoch of forty"


def test_the_colours_follow_the_theme(view: CurveView, qapp: QApplication) -> None:
    view.set_series("adversarial", [0, 1], [1.0, 2.0], "adv")
    theme.apply(qapp, "light")
    QApplication.processEvents()
    assert where(plot(view), theme.LIGHT.adv).any()
    assert where(plot(view), theme.LIGHT.canvas).mean() > 0.5


def test_without_points_the_view_says_what_to_do(view: CurveView) -> None:
    view.clear()
    assert where(plot(view), theme.DARK.text).any(), "the headline"
    view.set_series("clean", [0, 1], [1.0, 2.0], "clean")
    QApplication.processEvents()
    assert not where(plot(view), theme.DARK.text).any()


def test_each_marker_is_another_picture_in_the_plot_and_in_the_legend(view: CurveView) -> None:
    plane, half = view.findChild(QGraphicsView), 7
    in_plot, in_legend = [], []
    view.set_series("another", [0, 1, 2], [0.0, 0.0, 0.0], "adv")  # so that no line of the grid is at 0.93
    for marker in MARKERS:
        view.set_series("clean", [0, 1, 2], [0.93, 0.93, 0.93], "clean", marker=marker)
        QApplication.processEvents()
        at = plane.mapFromScene(plane.box.mapViewToScene(QPointF(1, 0.93)))
        drawn = where(plot(view), theme.DARK.clean, 60)
        around = np.s_[at.y() - half : at.y() + half, at.x() - half : at.x() + half]
        in_plot.append(pixels(plot(view))[around].astype(int))
        in_legend.append(pixels(view._legend).astype(int))
        line = drawn[:, at.x() - 20 : at.x() - half].any(axis=1).sum()
        assert drawn[around].any(axis=1).sum() >= line + 5, "a marker is more than the line"
    for pictures in (in_plot, in_legend):
        for one, other in combinations(pictures, 2):
            assert (abs(one - other).max(axis=2) > 50).sum() >= 6


def test_a_line_of_many_points_has_markers_on_some_of_them(view: CurveView) -> None:
    view.set_series("clean", np.arange(101), np.ones(101), "clean", marker="s")
    QApplication.processEvents()
    thick = (where(plot(view), theme.DARK.clean, 40).sum(axis=0) >= 5).astype(int)
    assert MAX_MARKERS / 2 <= (np.diff(thick) == 1).sum() <= MAX_MARKERS


def test_lines_that_coincide_show_the_markers_of_both(view: CurveView) -> None:
    for name, role in (("clean", "clean"), ("adversarial", "adv")):
        view.set_series(name, np.arange(101), np.ones(101), role, marker="s")
    QApplication.processEvents()
    clean, adversarial = (
        where(plot(view), colour, 40).sum(axis=0) >= 5 for colour in (theme.DARK.clean, theme.DARK.adv)
    )
    assert clean.sum() > 30
    assert adversarial.sum() > 30
    assert not (clean & adversarial).any()


def test_the_looks_of_lines_differ_and_stand_out_in_both_themes(view: CurveView, qapp: QApplication) -> None:
    assert len({line_look(index) for index in range(84)}) == 84
    assert len({line_look(index)[1] for index in range(7)}) == 7
    for index in range(3):
        for role in ("clean", "adv"):
            view.set_series(f"{index} {role}", [0, 1], [1.0, 2.0], role, *line_look(index))
    for scheme, colours in (("light", theme.LIGHT), ("dark", theme.DARK)):
        theme.apply(qapp, scheme)
        pens = [row.pen.color() for row in view._legend_rows()]
        assert len({pen.name() for pen in pens}) == 6
        assert min(theme.contrast(pen, colours.canvas) for pen in pens) >= 3
        for pen, side in zip(pens, 3 * ("clean", "adv"), strict=True):
            bluer = pen.blue() > pen.red()
            assert bluer == (side == "clean")


def test_seven_long_names_are_whole_in_the_legend_of_a_narrow_plot(view: CurveView) -> None:
    names = [f"adversarial training {number}" for number in range(7)]
    view.resize(280, 400)
    for name in names:
        view.set_series(name, [0, 1], [1.0, 2.0], "clean")
    QApplication.processEvents()
    widest = max(view._legend.fontMetrics().horizontalAdvance(name) for name in names)
    assert view._legend.height() == 8 * theme.CONTROL_HEIGHT // 2, "and one row for x"
    text = where(view._legend, theme.DARK.muted, 40).any(axis=0)
    last_of_name = np.flatnonzero(text)[-1] - theme.SPACE_S - SAMPLE_WIDTH
    assert last_of_name > 0.7 * widest, "it ends with its number, not with an ellipsis"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"x": [1, 2], "y": [1]}, r"x of shape \(2,\) and y of \(1,\)"),
        ({"colour_role": "pink"}, "asks for pink"),
        ({"colour_role": "dark"}, "asks for dark"),
        ({"style": "wavy"}, "wavy"),
        ({"marker": "heart"}, "heart"),
    ],
)
def test_inconsistent_arguments_are_an_error(view: CurveView, given: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        view.set_series("clean", **given)


def test_keys_choose_a_point_and_return_picks_it(view: CurveView, qtbot: QtBot) -> None:
    view.set_series("clean", [0, 1, 2], [1.0, 0.8, 0.6], "clean")
    view.set_series("adversarial", [0, 1, 2], [0.5, 0.4, 0.3], "adv")
    view.activateWindow()
    view.setFocus()
    qtbot.waitUntil(view.hasFocus)
    picked: list[tuple[str, float]] = []
    read: list[float | None] = []
    view.picked.connect(lambda name, x: picked.append((name, x)))
    view.hovered.connect(read.append)
    QTest.keyClick(view, Qt.Key.Key_Return)
    assert picked == []
    bare = where(plot(view), theme.DARK.accent).sum()
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Down, Qt.Key.Key_Return):
        QTest.keyClick(view, key)
    assert picked == [("adversarial", 1)]
    assert read == [0, 1, 1]
    QApplication.processEvents()
    ringed = where(plot(view), theme.DARK.accent)
    assert ringed.sum() > bare
    for _ in range(5):
        QTest.keyClick(view, Qt.Key.Key_Right)
    QTest.keyClick(view, Qt.Key.Key_Up)
    QTest.keyClick(view, Qt.Key.Key_Space)
    assert picked[-1] == ("clean", 2)
    view.clearFocus()
    QApplication.processEvents()
    assert where(plot(view), theme.DARK.accent).sum() <= bare
    assert read[-1] is None
