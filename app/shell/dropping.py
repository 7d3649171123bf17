"""Files and folders that are dropped on the window: what takes them, and what will happen, is shown during the drag."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PySide6.QtCore import QEvent, QMimeData, QObject, QPoint, QRect, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QDragEnterEvent, QDragMoveEvent, QDropEvent, QPainter, QPaintEvent, QPen, QTextOption
from PySide6.QtWidgets import QWidget

from app.shell import theme
from app.shell.opening import READABLE, Opener
from core.datasets.matching import listed
from core.runtime.files import readable
from core.runtime.text import printable

Kind = Literal["cloud", "model", "folder"]

NOT_LOCAL = "Only files and folders of this machine can be dropped here."
ACCEPTED = "clouds such as .ply, .pcd, .xyz, .npy or .off, models such as .safetensors or .pth, and folders"
FRAME, RADIUS = 2, 6  # in pixels: of the frame
VEIL = 36  # opacity of the colour over the part that takes the files, of 255
MOST_NAMED = 3
"""Files that can't be opened, of which the names are told; more are counted."""


@dataclass(frozen=True)
class Outcome:
    """What dropping some files and folders will do."""

    kinds: frozenset[Kind]
    """Of those that can be opened."""
    sentence: str


def outcome(paths: Sequence[Path]) -> Outcome:
    """What dropping these will do, told from their names: no file is read. Without any, none is of this machine."""
    kinds = {path: _kind(path) for path in paths}
    parts = []
    for kind in dict.fromkeys(kinds.values()):
        count = sum(each == kind for each in kinds.values())
        if kind is not None:
            parts.append(f"this {kind}" if count == len(paths) == 1 else f"{count} {kind}{'s' * (count > 1)}")
    refused = [readable(path.name) for path, kind in kinds.items() if kind is None]
    sentences = []
    if parts:
        sentences.append(f"Drop to open {' and '.join(filter(None, (', '.join(parts[:-1]), parts[-1])))}")
    if refused:
        sentences.append(f"Not a file that can be opened: {listed(refused, MOST_NAMED)} ({ACCEPTED} can)")
    return Outcome(frozenset(kind for kind in kinds.values() if kind), ". ".join(sentences) or NOT_LOCAL)


def _kind(path: Path) -> Kind | None:
    """What a path is opened as; None for a file that can't be opened."""
    from core.clouds.files import READABLE as CLOUDS

    if os.path.isdir(path):  # Path.is_dir raises without permission
        return "folder"
    if path.suffix.lower() in CLOUDS:
        return "cloud"
    endings = READABLE[READABLE.index("(") + 1 : -1].replace("*", "").split()
    return "model" if path.name.lower().endswith(tuple(endings)) else None


DRAGS = {QEvent.Type.DragEnter, QEvent.Type.DragMove, QEvent.Type.DragLeave, QEvent.Type.Drop}


class DropTarget(QWidget):
    """Opens what is dropped on a window. During the drag it is a frame over the part that takes it, with a sentence."""

    failed = Signal(str)

    def __init__(self, window: QWidget, opener: Opener, whole: QWidget, parts: Mapping[Kind, QWidget]) -> None:
        """``parts`` take what is of one kind; ``whole`` takes the rest, and what belongs to a part that is hidden."""
        super().__init__(window)
        self._opener, self._whole, self._parts = opener, whole, parts
        self.outcome = outcome(())
        """Of the present or the last drag."""
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.hide()
        window.setAcceptDrops(True)
        window.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() not in DRAGS:
            return False
        if isinstance(event, QDragEnterEvent) and event.mimeData().hasUrls():
            self._show(event.mimeData())
            event.acceptProposedAction()  # also if nothing can be opened: otherwise Qt does not tell when it leaves
            return True
        if isinstance(event, QDropEvent) and type(event) is QDropEvent:
            self.hide()
            event.acceptProposedAction()
            self._open(event.mimeData())
            return True
        if isinstance(event, QDragMoveEvent) and self.isVisible():
            event.setAccepted(bool(self.outcome.kinds))
            return True
        if event.type() == QEvent.Type.DragLeave:
            self.hide()
        return super().eventFilter(watched, event)

    def _show(self, data: QMimeData) -> None:
        self.outcome = outcome([Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile()])
        part = self._whole
        if len(self.outcome.kinds) == 1:
            (kind,) = self.outcome.kinds
            part = self._parts[kind] if self._parts[kind].isVisible() else self._whole
        self.setGeometry(QRect(part.mapTo(self.window(), QPoint()), part.size()))
        self.show()
        self.raise_()
        self.update()

    def _open(self, data: QMimeData) -> None:
        for url in data.urls():
            if url.isLocalFile():
                self._opener.open_path(Path(url.toLocalFile()))
            else:
                self.failed.emit(NOT_LOCAL)

    def paintEvent(self, _: QPaintEvent) -> None:
        painter, now = QPainter(self), theme.current()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        possible = bool(self.outcome.kinds)
        veil = QColor(now.accent)
        veil.setAlpha(VEIL if possible else 0)
        painter.setPen(QPen(now.accent if possible else now.bad, FRAME))
        painter.setBrush(veil)
        painter.drawRoundedRect(self.rect().adjusted(FRAME, FRAME, -FRAME, -FRAME), RADIUS, RADIUS)
        painter.setFont(theme.font(semibold=True))
        text, lines = printable(self.outcome.sentence), QTextOption(Qt.AlignmentFlag.AlignCenter)
        lines.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        space = self.rect().adjusted(theme.SPACE_XL, theme.SPACE_XL, -theme.SPACE_XL, -theme.SPACE_XL)
        box = painter.boundingRect(QRectF(space), text, lines)
        painter.setBrush(now.panel)
        painter.drawRoundedRect(
            box.adjusted(-theme.SPACE_M, -theme.SPACE_S, theme.SPACE_M, theme.SPACE_S), RADIUS, RADIUS
        )
        painter.setPen(now.text)
        painter.drawText(box, text, lines)
