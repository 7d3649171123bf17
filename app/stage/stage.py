"""The Stage: the pair view, the strip with the epsilon slider, and the models with their verdicts.

One widget that is there in every workspace, so that camera, epsilon and verdicts stay when the workspace changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QScrollArea, QSplitter, QVBoxLayout, QWidget

from app.shell import theme
from app.stage.attack import AttackPanel
from app.stage.models import ModelsPanel
from app.stage.verdict import VerdictPanel
from app.store import Store
from app.views.chips import VerdictChips
from app.views.model_list import ModelRow
from app.views.pair import PairView

UNLIMITED = 16_777_215  # pixels, Qt's largest size of a widget
COLUMN_WIDTHS = 360, 800
"""Smallest and largest width in pixels while it is a column beside the work."""


class Arrangement(Enum):
    """What of the Stage is shown, and how."""

    WIDE = auto()
    """Pair view over strip, beside them models and verdicts."""
    COLUMN = auto()
    """Pair view over strip over models and verdicts."""
    PAIR = auto()
    """Pair view, slider, and the verdicts as chips."""
    BAR = auto()
    """Slider and chips in one line."""


SIDE_WIDTH = 340
"""Width in pixels of the models and verdicts at the first start."""
COLUMN_SHARES = [560, 440]
"""Of the height, for the shapes with the strip, and for the models, at the first start."""


class Stage(QWidget):
    """Pair view, strip, models and verdicts, arranged for the space that they have."""

    def __init__(self, store: Store, pair: PairView, strip: AttackPanel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.pair, self.strip = pair, strip
        self.models, self.verdict, self.chips = ModelsPanel(store), VerdictPanel(store), VerdictChips()
        self.arrangement = Arrangement.WIDE
        self.sizes: dict[str, list[int]] = {}
        """Of the two parts, by the name of the arrangement in which they were dragged."""
        upper, content = QWidget(), QWidget()
        self.side = QScrollArea(widgetResizable=True)  # in a low window the shapes keep their space
        """The models and what they say."""
        self.side.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.side.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.side.setWidget(content)
        theme.set_role(content, "content")
        self._foot = QBoxLayout(QBoxLayout.Direction.TopToBottom)
        self._foot.addWidget(self.chips)
        self._foot.addWidget(strip, 1)
        column = QVBoxLayout(upper)
        column.addWidget(pair, 1)
        column.addLayout(self._foot)
        below = QVBoxLayout(content)
        below.addWidget(self.models)
        below.addWidget(self.verdict, 1)
        below.setSpacing(theme.SPACE_M)
        below.setContentsMargins(theme.SPACE_M, theme.SPACE_M, theme.SPACE_M, theme.SPACE_S)
        self._parts = QSplitter(Qt.Orientation.Horizontal)
        self._parts.setChildrenCollapsible(False)
        self.side.setMinimumWidth(content.minimumSizeHint().width())
        for part in (upper, self.side):
            self._parts.addWidget(part)
        self._parts.splitterMoved.connect(self._on_dragged)
        whole = QVBoxLayout(self)
        whole.addWidget(self._parts)
        for layout in (self._foot, column, whole):
            layout.setContentsMargins(0, 0, 0, 0)
            layout.setSpacing(0)
        self.models.rowsChanged.connect(self._show_chips)
        self.models.currentModelChanged.connect(self.verdict.show_model)
        self.models.currentModelChanged.connect(self._scroll_to_current_row)
        self.arrange(Arrangement.WIDE)

    def arrange(self, arrangement: Arrangement) -> None:
        """Show the parts in another arrangement; each keeps the sizes that its parts were given."""
        self.arrangement = arrangement
        bar, column = arrangement is Arrangement.BAR, arrangement is Arrangement.COLUMN
        large = arrangement in (Arrangement.WIDE, Arrangement.COLUMN)
        self.pair.setVisible(not bar)
        self.strip.show_options(large)
        self.chips.setVisible(not large)
        self._show_chips(self.models.list.rows)
        self._foot.setStretch(0, int(bar))
        self._foot.setDirection(QBoxLayout.Direction.LeftToRight if bar else QBoxLayout.Direction.TopToBottom)
        margin = theme.SPACE_M
        self._foot.setContentsMargins(*((0, 0, 0, 0) if large else (margin, theme.SPACE_S, 0 if bar else margin, 0)))
        self.side.setVisible(large)
        self._parts.setOrientation(Qt.Orientation.Vertical if column else Qt.Orientation.Horizontal)
        self._parts.setStretchFactor(0, 1)
        self._parts.setStretchFactor(1, int(column))
        self._set_part_sizes()
        low, high = COLUMN_WIDTHS if column else (0, UNLIMITED)
        self.setMinimumWidth(low)
        self.setMaximumWidth(high)

    def _show_chips(self, rows: Sequence[ModelRow]) -> None:
        """Hidden they are left as they are, because they would cost time at each move of the slider."""
        if not self.chips.isHidden():
            self.chips.set_rows(rows)

    def set_sizes(self, sizes: dict[str, list[int]]) -> None:
        """Give the parts sizes as in ``sizes``; what makes no sense is ignored."""
        self.sizes = {name: list(parts) for name, parts in sizes.items() if len(parts) == self._parts.count()}
        self._set_part_sizes()

    def reset_sizes(self) -> None:
        """Give the parts the sizes of the first start."""
        self.pair.views.reset_sizes()
        self.set_sizes({})

    def _set_part_sizes(self) -> None:
        wide = [max(1, self.width() - SIDE_WIDTH), SIDE_WIDTH]
        by_default = COLUMN_SHARES if self.arrangement is Arrangement.COLUMN else wide
        self._parts.setSizes(self.sizes.get(self.arrangement.name, by_default))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Qt shares a first size among the parts before they have one."""
        super().resizeEvent(event)
        if event.oldSize().isEmpty():
            self._set_part_sizes()

    def _on_dragged(self) -> None:
        self.sizes[self.arrangement.name] = self._parts.sizes()

    def _scroll_to_current_row(self) -> None:
        models = self.models.list
        row = models.visualRect(models.currentIndex())
        content = self.side.widget()
        assert content is not None
        centre = models.viewport().mapTo(content, row.center())
        self.side.ensureVisible(centre.x(), centre.y(), 0, row.height())
