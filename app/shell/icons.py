"""Icons in the colours of the theme, which change with it."""

from PySide6.QtCore import QByteArray, QObject, Qt
from PySide6.QtGui import QAction, QColor, QIcon, QPainter, QPixmap, QPixmapCache
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QAbstractButton

from app.shell import theme


def icon(name: str, token: str = "text") -> QIcon:
    """`resources/icons/<name>.svg` in a colour of the current theme, sharp at any device pixel ratio.

    ``token`` is the name of the colour in ``Theme``.

    Raises
    ------
    ValueError
        If there is no such icon.
    """
    made = QIcon()
    for mode, shade in ((QIcon.Mode.Normal, token), (QIcon.Mode.Disabled, "disabled")):
        colour = getattr(theme.current(), shade)
        for pixels in (16, 20, 24, 32, 48, 64):
            made.addPixmap(_rendered(name, colour, pixels), mode)
    return made


def _rendered(name: str, colour: QColor, pixels: int) -> QPixmap:
    key = f"{name} {colour.name()} {pixels}"
    picture = QPixmap()
    if not QPixmapCache.find(key, picture):
        renderer = QSvgRenderer(QByteArray(theme.icon_svg(name, colour).encode()))
        picture = QPixmap(pixels, pixels)
        picture.fill(Qt.GlobalColor.transparent)
        painter = QPainter(picture)
        renderer.render(painter)
        painter.end()
        QPixmapCache.insert(key, picture)
    return picture


def set_icon(target: QAbstractButton | QAction, name: str, token: str = "text") -> None:
    """Give a button or an action an icon that follows the theme. Calling it again changes the icon."""
    themed = target.findChild(_ThemedIcon, options=Qt.FindChildOption.FindDirectChildrenOnly) or _ThemedIcon(target)
    themed.set_icon(name, token)


class _ThemedIcon(QObject):
    """Child object of a button or action that renders its icon again when the theme changes."""

    def __init__(self, target: QObject) -> None:
        super().__init__(target)
        self._icon_and_colour = ("", "")
        theme.notifier.changed.connect(self._render)

    def set_icon(self, name: str, token: str) -> None:
        if self._icon_and_colour != (name, token):  # rendering takes a millisecond, too long for each slider move
            self._icon_and_colour = name, token
            self._render()

    def _render(self) -> None:
        target = self.parent()
        assert isinstance(target, QAbstractButton | QAction)
        target.setIcon(icon(*self._icon_and_colour))
