"""Losses and accuracies of training runs over their epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.shell import theme
from app.shell.widgets import Label
from app.views.curves import STYLES, CurveView, Style
from app.views.plot import MARKERS

if TYPE_CHECKING:
    from core.training import RunSummary

LOSSES: dict[str, tuple[str, str, Style]] = {
    "loss_clean": ("clean", "clean", "solid"),
    "loss_adversarial": ("adversarial", "adv", "solid"),
}
ACCURACIES: dict[str, tuple[str, str, Style]] = {
    "validation_clean": ("val.", "clean", "solid"),
    "validation_adversarial": ("val. adv.", "adv", "solid"),
    "accuracy_clean": ("train", "clean", "dash"),
    "accuracy_adversarial": ("train adv.", "adv", "dash"),
    "discriminator_accuracy": ("discr.", "muted", "dot"),
}
"""Metric of the training engine -> name in the legend, colour, line style."""
COMPARED = ("validation_clean", "validation_adversarial")
"""Accuracies that are drawn of several runs, each with a line style and a marker of its own."""
LETTERS = "ABCD"
"""Short names of the runs that are compared; there is a line style for each."""


class RunCurves(QWidget):
    """The curves of one run with all its metrics, or of up to four runs, which then have letters."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.loss = CurveView("Epoch", "Loss", y_unit="nat", integer_x=True, empty="The loss of the selected run.")
        self.accuracy = CurveView(
            "Epoch", "Accuracy", y_unit="%", integer_x=True, y_range=(0, 100), empty="The accuracy of the selected run."
        )
        self.letters = Label(role="caption", wrap=True)
        self.letters.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.letters)
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE_M)
        row.addWidget(self.loss, 1)
        row.addWidget(self.accuracy, 1)
        column.addLayout(row, 1)

    def show_runs(self, runs: Sequence[RunSummary]) -> None:
        """Draw the curves of these runs, the first four of more."""
        compared, runs = len(runs) > 1, runs[: len(LETTERS)]
        named = [f"{letter}  {run.title}" for letter, run in zip(LETTERS, runs, strict=False)]
        self.letters.setText("     ".join([*named, "′  means adversarial"]))
        self.letters.setVisible(compared)
        for view, table, scale in ((self.loss, LOSSES, 1), (self.accuracy, ACCURACIES, 100)):
            view.clear()
            for run, letter, style, marker in zip(runs, LETTERS, STYLES, MARKERS, strict=False):
                for key, (name, colour, own_style) in table.items():
                    epochs = [int(line["epoch"]) for line in run.history if key in line]
                    if not epochs or (compared and view is self.accuracy and key not in COMPARED):
                        continue
                    values = [scale * line[key] for line in run.history if key in line]
                    label = name if not compared else f"{letter}′" if colour == "adv" else letter
                    view.set_series(label, epochs, values, colour, *((style, marker) if compared else (own_style,)))
