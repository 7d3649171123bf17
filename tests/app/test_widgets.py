"""The elided combo box: what it paints, and how wide it is."""

import pytest
from PySide6.QtCore import QSignalBlocker
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QHBoxLayout, QWidget

from app.shell.widgets import MINIMUM_WIDTH, ElidedComboBox


@pytest.fixture
def painted(qtbot):
    def paint(text: str, width: int) -> QImage:
        combo = ElidedComboBox()
        qtbot.addWidget(combo)
        combo.addItem(text)
        combo.resize(width, 30)
        return combo.grab().toImage()

    return paint


def test_a_text_that_does_not_fit_ends_in_an_ellipsis(painted):
    assert painted("shapenetpart", 90) in [painted(f"{'shapenetpart'[:count]}…", 90) for count in range(3, 11)]
    assert painted("shapenetpart", 200) != painted("shapenetpar…", 200)


def test_the_size_hint_is_that_of_the_current_text(qtbot):
    combo = ElidedComboBox()
    qtbot.addWidget(combo)
    combo.addItems(["sign", "raw, batch mean"])
    short = combo.sizeHint().width()
    combo.setCurrentIndex(1)
    wide, advance = combo.sizeHint().width(), combo.fontMetrics().horizontalAdvance
    assert wide - short == advance("raw, batch mean") - advance("sign")
    assert combo.minimumSizeHint().width() == MINIMUM_WIDTH < wide


def test_the_width_follows_a_change_with_blocked_signals(qtbot):
    row, combo = QWidget(), ElidedComboBox()
    layout = QHBoxLayout(row)
    layout.addWidget(combo)
    layout.addStretch()
    qtbot.addWidget(row)
    row.resize(400, 60)
    with qtbot.waitExposed(row):
        row.show()
    with QSignalBlocker(combo):
        combo.addItem("towards skateboard")
    qtbot.waitUntil(lambda: combo.width() == combo.sizeHint().width())
    assert combo.width() > combo.fontMetrics().horizontalAdvance("towards skateboard")
