"""Colours, fonts, and the colours of classes. The only file with literal colours or a style sheet.

Clean is blue and adversarial is orange, everywhere; the other colours are unobtrusive. A widget that paints itself
reads `current()` while painting and repaints on `notifier.changed`; any other widget is styled by the style sheet
(`resources/style.qss`), through the palette and its property `role`.
"""

import string
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QPalette
from PySide6.QtWidgets import QApplication, QWidget

from core.runtime.files import temporary_folder
from resources import RESOURCES

Scheme = Literal["dark", "light", "system"]

SPACE_XS, SPACE_S, SPACE_M, SPACE_L, SPACE_XL = 4, 8, 12, 16, 24
CONTROL_HEIGHT = 28
CAPTION_PX, BODY_PX, TITLE_PX = 11, 13, 15


@dataclass(frozen=True)
class Theme:
    """The colours of one scheme. `text`, `muted`, `clean`, `adv`, `ok`, `warn` and `bad` reach a contrast of 4.5:1."""

    dark: bool
    window: QColor
    panel: QColor
    raised: QColor
    field: QColor  # inside of line edits and lists
    canvas: QColor  # behind shapes and plots
    border: QColor
    hover: QColor
    selection: QColor
    text: QColor
    muted: QColor
    disabled: QColor
    accent: QColor
    accent_hover: QColor
    on_accent: QColor  # text on `accent`
    clean: QColor
    adv: QColor
    unmoved: QColor  # points that the attack has not moved
    ok: QColor
    warn: QColor
    bad: QColor


def _theme(dark: bool, **colours: str) -> Theme:
    return Theme(dark, **{name: QColor(value) for name, value in colours.items()})


DARK = _theme(
    True,
    window="#14171C",
    panel="#1B2027",
    raised="#252B35",
    field="#161A20",
    canvas="#101318",
    border="#3A4350",
    hover="#2E3641",
    selection="#24486B",
    text="#E7EBF1",
    muted="#A3AEBD",
    disabled="#66707E",
    accent="#58B4FF",
    accent_hover="#7CC5FF",
    on_accent="#0B1117",
    clean="#6CB2FF",
    adv="#FFA14A",
    unmoved="#8793A3",
    ok="#4CC9A4",
    warn="#F2C14E",
    bad="#FF7B8A",
)
LIGHT = _theme(
    False,
    window="#F4F6F8",
    panel="#FFFFFF",
    raised="#E9EDF2",
    field="#FFFFFF",
    canvas="#FBFCFD",
    border="#C5CDD8",
    hover="#DEE4EB",
    selection="#CFE3F8",
    text="#18202B",
    muted="#54606F",
    disabled="#98A2AF",
    accent="#0A63B8",
    accent_hover="#0B74D6",
    on_accent="#FFFFFF",
    clean="#1C66C7",
    adv="#B54800",
    unmoved="#A9B3C0",
    ok="#0B7A5B",
    warn="#8A5A00",
    bad="#B3203A",
)

# Petroff, "Accessible color sequences for data visualization" (arXiv:2107.02270), ten colours.
# fmt: off
_PETROFF = ("#3F90DA", "#FFA90E", "#BD1F01", "#94A4A2", "#832DB6",
            "#A96B59", "#E76300", "#B9AC70", "#717581", "#92DADD")
# fmt: on
_MARKERS = ("o", "s", "t1", "d")  # pyqtgraph's circle, square, triangle, diamond


class _Notifier(QObject):
    changed = Signal()


notifier = _Notifier()
_current = DARK
_requested_scheme: Scheme | None = None  # None until `apply` is called for the first time
_icon_folder = temporary_folder("pointward")  # of the arrows and check marks that the style sheet uses


def current() -> Theme:
    """The theme on screen."""
    return _current


def apply(app: QApplication, scheme: Scheme) -> None:
    """Set the colours of the whole application; with "system" again whenever the desktop changes its scheme."""
    global _requested_scheme
    hints = app.styleHints()
    if _requested_scheme is None:
        hints.colorSchemeChanged.connect(_on_desktop_scheme)
    _requested_scheme = scheme
    if scheme == "system":
        hints.unsetColorScheme()
        _apply_colours(hints.colorScheme())
    else:
        chosen = Qt.ColorScheme.Dark if scheme == "dark" else Qt.ColorScheme.Light
        hints.setColorScheme(chosen)  # also for window frames and dialogs of the desktop, where it supports that
        _apply_colours(chosen)


def _on_desktop_scheme(desktop: Qt.ColorScheme) -> None:
    if _requested_scheme == "system":
        _apply_colours(desktop)


def _apply_colours(scheme: Qt.ColorScheme) -> None:
    global _current
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    _current = LIGHT if scheme == Qt.ColorScheme.Light else DARK
    # To replace a style sheet takes Qt four times as long as to remove it and to set the other; and while one is set,
    # Qt does not tell the name of the style below it.
    app.setStyleSheet("")
    if app.style().name() != "fusion":
        app.setStyle("Fusion")
    app.setPalette(_palette(_current))
    app.setStyleSheet(_style_sheet(_current))
    app.setFont(font())
    pg.setConfigOptions(antialias=True, background=_current.panel, foreground=_current.muted)
    notifier.changed.emit()


# --- fonts and roles ----------------------------------------------------------------------------------------------


def font(pixels: int = BODY_PX, *, semibold: bool = False) -> QFont:
    """The platform's font in one of the three sizes `CAPTION_PX`, `BODY_PX`, `TITLE_PX`."""
    made = QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont)
    made.setPixelSize(pixels)
    made.setWeight(QFont.Weight.DemiBold if semibold else QFont.Weight.Normal)
    return made


def tabular(base: QFont | None = None) -> QFont:
    """A copy of `base` (default: the body font) with tabular figures: all digits have the same width."""
    made = QFont(base) if base is not None else font()
    made.setFeature(QFont.Tag("tnum"), 1)
    return made


def set_role(widget: QWidget, name: str) -> None:
    """Set the property `role`, by which the style sheet selects the widget, and apply the style again.

    QLabel: "title", "section", "caption", "clean", "adv", "error", "warning", "chip", "chip-warn".
    QPushButton: "primary". QToolButton: "flat", "rail", "toast". QLineEdit, QAbstractSpinBox: "invalid".
    QFrame: "card". QWidget: "panel", and "content" inside of a scroll area. "" removes the role.
    """
    if widget.property("role") != name:
        widget.setProperty("role", name)
        widget.style().unpolish(widget)
        widget.style().polish(widget)


# --- colours of data ----------------------------------------------------------------------------------------------


def contrast(first: QColor, second: QColor) -> float:
    """Contrast ratio of two opaque colours, 1 to 21 (WCAG 2.2)."""
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def class_style(index: int) -> tuple[QColor, str]:
    """Colour and pyqtgraph marker of a class. Forty classes differ; neighbours differ in both."""
    return QColor(_class_colour(index % 10, _current.dark)), _MARKERS[(index + index // 20) % 4]


def value_map(token: str = "adv") -> pg.ColorMap:
    """Colour map of values, 0 to 1: from `unmoved` to the colour of a name in `Theme`, perceptually uniform."""
    return _blend(_current.unmoved.name(), getattr(_current, token).name())


@cache
def _blend(*stops: str) -> pg.ColorMap:
    """A colour map that interpolates linearly in CIELAB between its stops."""
    lab = np.array([pg.functions.colorCIELab(QColor(stop)) for stop in stops])
    at = np.linspace(0.0, 1.0, 65)
    mixed = [np.interp(at, np.linspace(0.0, 1.0, len(stops)), axis) for axis in lab.T]
    return pg.ColorMap(at, [pg.functions.CIELabColor(*point).getRgb() for point in zip(*mixed, strict=True)])


@cache
def _class_colour(index: int, dark: bool) -> str:
    """One of Petroff's colours, made lighter or darker in CIELAB until it reaches 3:1 on the panel."""
    colour = QColor(_PETROFF[index])
    lightness, a, b = pg.functions.colorCIELab(colour)
    while contrast(colour, (DARK if dark else LIGHT).panel) < 3.0:
        lightness += 1.0 if dark else -1.0
        colour = pg.functions.CIELabColor(lightness, a, b)
    return colour.name()


def _luminance(colour: QColor) -> float:
    srgb = np.array([colour.redF(), colour.greenF(), colour.blueF()])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


# --- palette and style sheet --------------------------------------------------------------------------------------


def _palette(theme: Theme) -> QPalette:
    roles = {
        QPalette.ColorRole.Window: theme.window,
        QPalette.ColorRole.WindowText: theme.text,
        QPalette.ColorRole.Base: theme.field,
        QPalette.ColorRole.AlternateBase: theme.raised,
        QPalette.ColorRole.Text: theme.text,
        QPalette.ColorRole.Button: theme.raised,
        QPalette.ColorRole.ButtonText: theme.text,
        QPalette.ColorRole.BrightText: theme.bad,
        QPalette.ColorRole.ToolTipBase: theme.raised,
        QPalette.ColorRole.ToolTipText: theme.text,
        QPalette.ColorRole.PlaceholderText: theme.muted,
        QPalette.ColorRole.Highlight: theme.selection,
        QPalette.ColorRole.HighlightedText: theme.text,
        QPalette.ColorRole.Link: theme.accent,
        QPalette.ColorRole.Accent: theme.accent,
        QPalette.ColorRole.Mid: theme.border,
        QPalette.ColorRole.Midlight: theme.hover,
        QPalette.ColorRole.Dark: theme.border,
        QPalette.ColorRole.Light: theme.hover,
        QPalette.ColorRole.Shadow: theme.window,
    }
    made = QPalette()
    for name, colour in roles.items():
        made.setColor(name, colour)
    for name in (QPalette.ColorRole.WindowText, QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText):
        made.setColor(QPalette.ColorGroup.Disabled, name, theme.disabled)
    return made


def _style_sheet(theme: Theme) -> str:
    names = {field.name: getattr(theme, field.name).name() for field in fields(theme) if field.name != "dark"}
    for name in ("chevron-down", "chevron-up", "chevron-right", "close"):
        key = name.replace("-", "_")
        names[key], names[f"{key}_disabled"] = _tinted_icon(name, theme.muted), _tinted_icon(name, theme.disabled)
    for name in ("check", "minus", "dot"):
        names[name] = _tinted_icon(name, theme.on_accent)
    names["check_text"] = _tinted_icon("check", theme.text)
    return string.Template((RESOURCES / "style.qss").read_text(encoding="utf-8")).substitute(names)


def _tinted_icon(name: str, colour: QColor) -> str:
    """Path of a coloured copy of an icon, because a style sheet can only use pictures from files."""
    path = Path(_icon_folder.name) / f"{name}-{colour.name()[1:]}.svg"
    if not path.exists():
        path.write_text(icon_svg(name, colour), encoding="utf-8")
    return path.as_posix()


def icon_svg(name: str, colour: QColor) -> str:
    """The text of `resources/icons/<name>.svg` in a colour.

    Raises
    ------
    ValueError
        If there is no such icon.
    """
    path = RESOURCES / "icons" / f"{name}.svg"
    if not path.is_file():
        raise ValueError(f'there is no icon "{name}"')
    return path.read_text(encoding="utf-8").replace("currentColor", colour.name())
