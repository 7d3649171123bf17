"""Shows a comparison of models: its table, its four figures, and the clouds behind a clicked mark."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QHBoxLayout,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.shell import theme
from app.shell.widgets import Label, add_item, tool_button
from app.views.box_plot import BoxPlotView
from app.views.curves import CurveView, line_look
from app.views.matrix import MatrixView
from app.views.pager import Pager
from app.workspaces.comparison_table import ComparisonTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from core.evaluation.comparison import Comparison, ModelMeasurement

SIDES = (("clean", "clean"), ("adversarial", "adv"))
"""Name and colour of the two kinds of clouds."""
FIGURES = {
    "table": ("Table", "The numbers of every model"),
    "top-k": ("Top-k", "Accuracy where the true class need only be among the k most probable"),
    "confidence": ("Confidence", "How sure the models are, as box plots"),
    "sweep": ("Sweep", "Accuracy over the budget of the attack"),
    "confusion": ("Confusion", "Clouds by true and predicted class"),
}
TABLE_WIDTH = 450  # beside the figures, in pixels
WIDE = 1000
"""Width in pixels from which the table is beside the figures; otherwise it is one of them, each as high as the work."""
MARKS = {
    "top-k": "Click a point to see the clouds whose true class is not among the k most probable.",
    "confidence": "Click a box or a dot to see its clouds.",
    "sweep": "Click a point to see the clouds that are misclassified at its epsilon.",
    "confusion": "Click a cell to see its clouds. The colour is the share of the true class.",
}
"""What a click on a mark of each figure does."""


class ComparisonView(QSplitter):
    """The table and one of four figures. A click on a mark in a figure opens its clouds one by one."""

    opened = Signal(object, str, object)
    """Clean cloud, name of the model and epsilon of the clicked mark; None for a mark of clean clouds."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.comparison: Comparison | None = None
        self._clicked: tuple[NDArray[np.int64], str, float | None] = (np.empty(0, np.int64), "", None)
        """Indices of clouds in the comparison (n,), model and epsilon of the clicked mark, for ``opened``."""
        self.table = ComparisonTable()

        self.figures = {
            key: tool_button(text, role="flat", tip=tip, checkable=True) for key, (text, tip) in FIGURES.items()
        }
        self.definition, self.model = QComboBox(), QComboBox()
        self.definition.setAccessibleName("Meaning of confidence")
        self.model.setAccessibleName("Model of the confusion matrices")
        self.top_k = [
            CurveView("k", f"Top-k accuracy, {side}", y_unit="%", integer_x=True, y_range=(0, 100)) for side, _ in SIDES
        ]
        self.top_k[0].link_x(self.top_k[1])
        self.boxes = BoxPlotView()
        self.sweep = CurveView(
            "Epsilon", "Adversarial accuracy", y_unit="%", y_range=(0, 100), empty="The sweep was left out or stopped."
        )
        self.matrix = MatrixView()
        self.pager = Pager("cloud")
        self._views = QStackedWidget()
        self._table_left = False
        """Whether the table was chosen when it got a place of its own, and no figure since."""
        self._lay_out()

        for side, view in enumerate(self.top_k):
            view.picked.connect(lambda title, k, side=side: self._pick_top(side, title, round(k)))
        self.boxes.picked.connect(self._pick_box)
        self.sweep.picked.connect(self._pick_budget)
        self.matrix.picked.connect(self._pick_cell)
        self.pager.itemChosen.connect(self._open)

    def _lay_out(self) -> None:
        self.table.hide()
        self.empty = Label(role="muted", wrap=True)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._pages = QStackedWidget()
        self._pages.addWidget(self.empty)
        self._pages.addWidget(self._laid_out_figures())
        self.addWidget(self._pages)
        self._arrange()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._arrange()

    def _arrange(self) -> None:
        """Put the table beside the figures where both have space, otherwise among them."""
        beside, place = self.width() >= WIDE, self._views.indexOf(self.table)
        if beside and place >= 0:
            self.insertWidget(0, self.table)
            self.setStretchFactor(1, 1)
            self.reset_sizes()
            self._table_left = self.key == "table"
            if self._table_left:
                self.figures["top-k"].setChecked(True)
        elif not beside and place < 0:
            self._views.insertWidget(0, self.table)
            if self._table_left and self.key == "top-k":
                self.figures["table"].setChecked(True)
        self.figures["table"].setVisible(not beside)
        self._show_chosen()

    def _on_figure_chosen(self) -> None:
        self._table_left = False

    def _laid_out_figures(self) -> QWidget:
        head, pair, whole, group = QHBoxLayout(), QWidget(), QWidget(), QButtonGroup(self)
        row = QHBoxLayout(pair)
        row.setContentsMargins(0, 0, 0, 0)
        for curves in self.top_k:
            row.addWidget(curves)
        head.setSpacing(theme.SPACE_XS)
        self.figures["table"].setChecked(True)
        self._view_of = dict(zip(FIGURES, (self.table, pair, self.boxes, self.sweep, self.matrix), strict=True))
        for key, view in self._view_of.items():
            self.figures[key].toggled.connect(self._draw)
            self.figures[key].clicked.connect(self._on_figure_chosen)
            group.addButton(self.figures[key])
            head.addWidget(self.figures[key])
            self._views.addWidget(view)
        head.addStretch()
        for combo in (self.definition, self.model):
            combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
            combo.setMinimumWidth(80)  # a long entry must not widen the panel
            combo.currentIndexChanged.connect(self._draw)
            head.addWidget(combo)
        column = QVBoxLayout(whole)
        column.setContentsMargins(0, theme.SPACE_S, 0, 0)
        column.setSpacing(theme.SPACE_XS)
        column.addLayout(head)
        column.addWidget(self._views, 1)
        column.addWidget(self.pager)
        return whole

    def list_definitions(self) -> None:
        """Fill the combo box with the definitions of confidence; core has been imported by now."""
        from core.evaluation.confidence import DEFINITIONS

        for key, definition in DEFINITIONS.items():
            add_item(self.definition, definition.title, key, definition.help)

    def show_comparison(self, comparison: Comparison | None) -> None:
        """Show a comparison, which may have one more model than before; None for none."""
        self.comparison = comparison
        self._show_chosen()
        self._pages.setCurrentIndex(int(comparison is not None))
        if comparison is None:
            return
        titles = [measured.model.card.title for measured in comparison.measurements]
        before = self.model.currentData()
        self.model.blockSignals(True)
        self.model.clear()
        for title in titles:
            add_item(self.model, title, title)
        self.model.setCurrentIndex(titles.index(before) if before in titles else 0)
        self.model.blockSignals(False)
        self.pager.clear("")
        self.table.set_comparison(comparison)
        self._draw()

    def reset_sizes(self) -> None:
        """Give the table beside the figures the width of the first time."""
        if self.table.parent() is self:
            self.setSizes([TABLE_WIDTH, self.width() - TABLE_WIDTH])

    def set_stale(self, stale: bool) -> None:
        """Dim the figures, because the settings have changed since."""
        views: tuple[CurveView | BoxPlotView | MatrixView, ...] = (*self.top_k, self.boxes, self.sweep, self.matrix)
        for view in views:
            view.set_stale(stale)

    @property
    def key(self) -> str:
        """Key of the chosen figure in ``FIGURES``."""
        return next(key for key, button in self.figures.items() if button.isChecked())

    def figure(self) -> Figure:
        """The chosen figure as a matplotlib figure, for export."""
        from core import figures

        assert self.comparison is not None
        measured = {each.model.card.title: each for each in self.comparison.measurements}
        clouds = len(self.comparison.rows)
        match self.key:
            case "top-k":
                return figures.top_k({title: tuple(each.report.top_k()) for title, each in measured.items()}, clouds)
            case "confidence":
                values = {title: each.confidences(self.definition.currentData())[0] for title, each in measured.items()}
                clean, adversarial = ({title: pair[side] for title, pair in values.items()} for side in (0, 1))
                return figures.confidence_boxes(clean, adversarial, self.definition.currentText())
            case "sweep":
                swept = {_curve_name(each): each.sweep for each in measured.values() if each.sweep is not None}
                if not swept:
                    raise ValueError("There is no sweep to export: it was left out or stopped.")
                lines = {name: curve.accuracies for name, curve in swept.items()}
                words = self.comparison.attack.epsilon_scale.words
                return figures.robustness_curves(next(iter(swept.values())).epsilons, lines, clouds, words)
            case _:
                before, after = measured[self.model.currentData()].report.sides
                return figures.confusion_pair(before.confusion(), after.confusion(), self.comparison.classes)

    # --- drawing ---------------------------------------------------------------------------------------------------

    def _show_chosen(self) -> None:
        self._views.setCurrentWidget(self._view_of[self.key])
        if self._views.indexOf(self.table) < 0:  # among the figures, it is shown if it is chosen
            self.table.setVisible(self.comparison is not None)
        self.definition.setVisible(self.key == "confidence")
        self.model.setVisible(self.key == "confusion")
        self.pager.setVisible(self.key != "table")

    def _draw(self, *_: object) -> None:
        self._show_chosen()
        if self.comparison is None:
            return
        self.pager.set_hint(MARKS.get(self.key, ""))
        measured = self.comparison.measurements
        match self.key:
            case "top-k":
                for side, (curves, colour) in enumerate(zip(self.top_k, dict(SIDES).values(), strict=True)):
                    curves.clear()
                    for place, each in enumerate(measured):
                        rates = 100 * each.report.top_k()[side]
                        ks = np.arange(1, len(rates) + 1)
                        curves.set_series(each.model.card.title, ks, rates, colour, *line_look(place))
            case "confidence":
                values = [each.confidences(self.definition.currentData())[0] for each in measured]
                clean, adversarial = zip(*values, strict=True)
                titles = [each.model.card.title for each in measured]
                scale = "Logits" if self.definition.currentData() == "margin" else "Confidence"
                self.boxes.set_boxes(titles, clean, adversarial, scale)
            case "sweep":
                self.sweep.clear()
                self.sweep.set_x_label(f"Epsilon ({self.comparison.attack.epsilon_scale.unit})")
                for place, each in enumerate(measured):
                    if each.sweep is not None:
                        rates = 100 * each.sweep.accuracies
                        self.sweep.set_series(_curve_name(each), each.sweep.epsilons, rates, "adv", *line_look(place))
            case "confusion":
                before, after = measured[self.model.currentIndex()].report.sides
                self.matrix.set_matrices(self.comparison.classes, before.confusion(), after.confusion())

    # --- the clouds behind a mark ----------------------------------------------------------------------------------

    def _pick_top(self, side: int, title: str, k: int) -> None:
        assert self.comparison is not None
        measured = next(each for each in self.comparison.measurements if each.model.card.title == title)
        missed = np.flatnonzero(measured.report.sides[side].rank > k)
        self._offer_clouds(measured, side, missed, f"true class not in the top {k}")

    def _pick_box(self, group: int, side: int, indices: NDArray[np.int64]) -> None:
        assert self.comparison is not None
        measured = self.comparison.measurements[group]
        cloud_indices = measured.confidences(self.definition.currentData())[1][side]
        self._offer_clouds(measured, side, cloud_indices[indices], self.definition.currentText().lower())

    def _pick_budget(self, name: str, epsilon: float) -> None:
        assert self.comparison is not None
        measured = next(
            each for each in self.comparison.measurements if each.sweep is not None and _curve_name(each) == name
        )
        assert measured.sweep is not None
        row = int(np.argmin(abs(measured.sweep.epsilons - epsilon)))
        wrong = np.flatnonzero(~measured.sweep.correct[row])
        budget = self.comparison.attack.epsilon_scale.text(epsilon)
        self._offer_clouds(measured, 1, wrong, f"misclassified at ε {budget}", epsilon)

    def _pick_cell(self, side: int, true: int, predicted: int) -> None:
        assert self.comparison is not None
        measured, names = self.comparison.measurements[self.model.currentIndex()], self.comparison.classes
        verdicts = measured.report.sides[side]
        indices = np.flatnonzero((verdicts.label == true) & (verdicts.prediction == predicted))
        self._offer_clouds(measured, side, indices, f"{names[true]} → {names[predicted]}")

    def _offer_clouds(
        self, measured: ModelMeasurement, side: int, indices: NDArray[np.int64], what: str, epsilon: float | None = None
    ) -> None:
        assert self.comparison is not None
        if side == 1 and epsilon is None:
            epsilon = self.comparison.attack.epsilon
        self._clicked = indices, measured.model.name, epsilon
        self.pager.set_items(f"{measured.model.card.title}, {SIDES[side][0]}, {what}", len(indices))

    def _open(self, place: int) -> None:
        assert self.comparison is not None
        indices, model, epsilon = self._clicked
        self.opened.emit(self.comparison.cloud(int(indices[place])), model, epsilon)


def _curve_name(measured: ModelMeasurement) -> str:
    """The name of a model's curve."""
    assert measured.sweep is not None
    return f"{measured.model.card.title}, area {measured.sweep.area:#.3g}"
