"""The dialogs that only show a text: first steps, shortcuts, a model's card, diagnostics, about."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QTextBrowser, QVBoxLayout, QWidget

from app.shell.actions import shortcut_page
from core.runtime.text import printable

if TYPE_CHECKING:
    from core.models.cards import ModelCard

FIRST_STEPS = """
<h3>Three things to try first</h3>
<ol>
<li><b>Drag epsilon.</b> Every point of the shape on the right may move by that much. The orange bars show what the
models make of it; the curve in the slider's groove shows where the attacked one changes its mind.</li>
<li><b>Step an attack.</b> Choose PGD instead of FGSM, press R, then N for every step, or P to let it play.</li>
<li><b>See the latents.</b> In the Latents workspace make a map, then drag epsilon again: the star is this shape's place
among all others.</li>
</ol>
<p>To attack a shape of your own, drop its file on the window. To defend against the attack, train a model in the Train
workspace and load it: its verdict is a row in the list of models.</p>
"""

ABOUT = """
<h3>Pointward</h3>
<p>Attack, defend and measure point-cloud classifiers.</p>
<p>It implements <i>Defense-PointNet: Protecting PointNet Against Adversarial Attacks</i> (Zhang et al. 2019) and, in
part so far, <i>Measuring the Transferability of ℓ∞ Attacks by the ℓ2 Norm</i> (Chen et al. 2021).</p>
<p>MIT licence. Made with Qt, PyTorch, pyqtgraph, Open3D, scikit-learn, openTSNE and matplotlib.</p>
"""


def first_steps(parent: QWidget) -> None:
    _show(parent, "First steps", FIRST_STEPS)


def shortcuts(parent: QWidget) -> None:
    _show(parent, "Shortcuts", shortcut_page())


def about(parent: QWidget) -> None:
    from core.results.records import versions

    version = versions(("pointward",)).get("pointward", "")
    _show(parent, "About Pointward", ABOUT.replace("<h3>Pointward</h3>", f"<h3>Pointward {version}</h3>"))


def diagnostics(parent: QWidget, cache: Path) -> None:
    """The output of ``pointward doctor``, with a button that copies it."""
    from core.runtime.diagnosis import diagnose

    text = json.dumps(diagnose(cache), indent=2, ensure_ascii=False)
    _show(parent, "Diagnostics", f"<pre>{escape(text)}</pre>", copy=text)


def card(parent: QWidget, card: ModelCard) -> None:
    """What is known of a model."""
    values: dict[str, object] = card.model_dump(exclude={"metrics", "versions", "typical"})
    if card.source is None:
        values.pop("source")
    values |= {"classes": ", ".join(card.classes)} | {name: f"{value:.4g}" for name, value in card.metrics.items()}
    known = ((name.replace("_", " "), str(value)) for name, value in values.items() if value not in (None, "", {}))
    rows = "".join(f"<tr>{''.join(f'<td>{escape(printable(cell))}</td>' for cell in row)}</tr>" for row in known)
    _show(parent, printable(card.title), f'<table cellspacing="8">{rows}</table>', copy=card.model_dump_json(indent=2))


def _show(parent: QWidget, title: str, html: str, copy: str = "") -> None:
    dialog = QDialog(parent)
    dialog.setWindowTitle(title)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.resize(560, 480)
    text = QTextBrowser(openExternalLinks=True)
    text.setHtml(html)
    text.setAccessibleName(title)
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
    buttons.rejected.connect(dialog.reject)
    if copy:
        button = buttons.addButton("Copy", QDialogButtonBox.ButtonRole.ActionRole)
        button.clicked.connect(lambda: QGuiApplication.clipboard().setText(copy))
    column = QVBoxLayout(dialog)
    column.addWidget(text)
    column.addWidget(buttons)
    buttons.button(QDialogButtonBox.StandardButton.Close).setDefault(True)  # once it is in the dialog, or Copy is
    dialog.open()
