"""Contrast of the colours, class colours, icons, and the change of scheme."""

import sys
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pyqtgraph as pg
import pytest
from PySide6.QtCore import QObject, QSize, Qt, Signal
from PySide6.QtGui import QAction, QColor
from PySide6.QtWidgets import QLabel, QPushButton, QToolButton

from app.shell import icons, theme

SCHEMES = pytest.mark.parametrize("scheme", [theme.DARK, theme.LIGHT], ids=["dark", "light"])


@SCHEMES
@pytest.mark.parametrize("foreground", ["text", "muted", "accent", "clean", "adv", "ok", "warn", "bad"])
@pytest.mark.parametrize("background", ["window", "panel", "raised", "field", "canvas"])
def test_text_has_enough_contrast_on_every_background(scheme, foreground, background):
    assert theme.contrast(getattr(scheme, foreground), getattr(scheme, background)) >= 4.5


@SCHEMES
def test_text_has_enough_contrast_on_selection_hover_and_accent(scheme):
    assert theme.contrast(scheme.text, scheme.selection) >= 4.5
    assert theme.contrast(scheme.text, scheme.hover) >= 4.5
    assert theme.contrast(scheme.on_accent, scheme.accent) >= 4.5
    assert theme.contrast(scheme.on_accent, scheme.accent_hover) >= 4.5


def test_class_colours_are_made_of_the_published_palette():
    published = mpl.color_sequences["petroff10"]
    assert [colour.lower() for colour in theme._PETROFF] == [mpl.colors.to_hex(colour) for colour in published]


@SCHEMES
def test_class_colours_and_focus_ring_have_enough_contrast(scheme, qapp):
    theme.apply(qapp, "dark" if scheme.dark else "light")
    for index in range(10):
        assert theme.contrast(theme.class_style(index)[0], scheme.panel) >= 3.0
    assert theme.contrast(scheme.accent, scheme.panel) >= 3.0  # the focus ring


def test_contrast_is_that_of_the_web_guidelines():
    assert theme.contrast(QColor("white"), QColor("black")) == pytest.approx(21.0)
    assert theme.contrast(QColor("#777777"), QColor("white")) == pytest.approx(4.48, abs=0.01)


@SCHEMES
def test_forty_classes_differ_in_colour_or_marker_and_neighbours_in_both(scheme, qapp):
    theme.apply(qapp, "dark" if scheme.dark else "light")
    styles = [(colour.name(), marker) for colour, marker in map(theme.class_style, range(40))]
    assert len(set(styles)) == 40
    for (colour, marker), (next_colour, next_marker) in pairwise(styles):
        assert colour != next_colour
        assert marker != next_marker


@SCHEMES
def test_the_map_of_values_is_perceptually_uniform_from_unmoved_to_adversarial(scheme, qapp):
    theme.apply(qapp, "dark" if scheme.dark else "light")
    colours = theme.value_map().map(np.linspace(0, 1, 17), mode="qcolor")
    assert (colours[0], colours[-1]) == (scheme.unmoved, scheme.adv)
    lab = np.array([pg.functions.colorCIELab(colour) for colour in colours])
    steps = np.linalg.norm(np.diff(lab, axis=0), axis=1)
    assert steps.max() < 1.3 * steps.min()


def test_a_change_of_scheme_is_signalled_and_reaches_widgets_and_plots(qapp, qtbot):
    label = QLabel("text")
    qtbot.addWidget(label)
    with qtbot.waitSignal(theme.notifier.changed):
        theme.apply(qapp, "light")
    assert theme.current() is theme.LIGHT
    # Qt hands the palette on with its events; what paints itself reads `theme.current()`
    qtbot.waitUntil(lambda: label.palette().windowText().color() == theme.LIGHT.text)
    assert pg.mkColor(pg.getConfigOption("background")) == theme.LIGHT.panel


def test_only_the_scheme_system_follows_the_desktop(qapp):
    theme.apply(qapp, "system")
    for desktop, expected in ((Qt.ColorScheme.Light, theme.LIGHT), (Qt.ColorScheme.Dark, theme.DARK)):
        qapp.styleHints().colorSchemeChanged.emit(desktop)
        assert theme.current() is expected
    theme.apply(qapp, "dark")
    qapp.styleHints().colorSchemeChanged.emit(Qt.ColorScheme.Light)
    assert theme.current() is theme.DARK


def test_a_role_changes_how_a_widget_is_drawn(qtbot):
    button = QPushButton("Train")
    qtbot.addWidget(button)
    plain = button.grab().toImage()
    theme.set_role(button, "primary")
    assert button.grab().toImage() != plain
    theme.set_role(button, "")
    assert button.grab().toImage() == plain


@pytest.mark.parametrize("ratio", [1.0, 1.5, 2.0])
def test_every_icon_is_drawn_in_the_colour_asked_for_at_any_density(ratio, qapp):
    names = sorted(path.stem for path in (theme.RESOURCES / "icons").glob("*.svg"))
    assert len(names) > 30
    for name in names:
        picture = icons.icon(name, "accent").pixmap(QSize(20, 20), ratio).toImage()
        assert picture.width() == round(20 * ratio)
        colours = [picture.pixelColor(x, y) for x in range(picture.width()) for y in range(picture.height())]
        full = [foreground for foreground in colours if foreground.alpha() > 150]
        assert full, name
        assert all(abs(foreground.red() - theme.current().accent.red()) < 8 for foreground in full), name


def test_icons_of_buttons_and_actions_follow_the_scheme(qapp, qtbot):
    button, action = QToolButton(), QAction()
    qtbot.addWidget(button)
    for target in (button, action):
        icons.set_icon(target, "play")
        dark = target.icon().pixmap(16, 16).toImage()
        icons.set_icon(target, "pause")
        assert target.icon().pixmap(16, 16).toImage() != dark
        icons.set_icon(target, "play")
        worn = target.icon().cacheKey()
        icons.set_icon(target, "play")
        assert target.icon().cacheKey() == worn  # one that is worn is not drawn again
        theme.apply(qapp, "light")
        assert target.icon().pixmap(16, 16).toImage() != dark
        theme.apply(qapp, "dark")
        assert target.icon().pixmap(16, 16).toImage() == dark


def test_an_unknown_icon_name_is_an_error():
    with pytest.raises(ValueError, match="no-such"):
        icons.icon("no-such")


def test_digits_of_tabular_fonts_have_one_width(qtbot):
    label = QLabel()
    qtbot.addWidget(label)
    label.setFont(theme.tabular())
    assert len({label.fontMetrics().horizontalAdvance(digit * 8) for digit in "0123456789"}) == 1


def test_qt_does_not_lose_references_to_none_and_true():
    """PySide6 6.12.0 does under Python 3.11, and aborts the process after some thousand calls."""

    class Sender(QObject):
        sent = Signal(bool)

    sender, label = Sender(), QObject()
    sender.sent.connect(label.blockSignals)
    before = sys.getrefcount(None), sys.getrefcount(True)
    for _ in range(2000):
        label.setObjectName("x")
        sender.sent.emit(True)
    after = sys.getrefcount(None), sys.getrefcount(True)
    assert np.abs(np.subtract(after, before)).max() < 50
