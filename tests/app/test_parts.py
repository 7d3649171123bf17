"""The small pieces of the panels, as they are painted."""

import pytest
from PySide6.QtCore import QSignalBlocker
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QHBoxLayout, QWidget

from app.shell.parts import NARROW, Choice


@pytest.fixture
def painted(qtbot):
    def paint(text: str, width: int) -> QImage:
        choice = Choice()
        qtbot.addWidget(choice)
        choice.addItem(text)
        choice.resize(width, 30)
        return choice.grab().toImage()

    return paint


def test_a_choice_ends_in_an_ellipsis_only_where_it_does_not_fit(painted):
    assert painted("shapenetpart", 90) in [painted(f"{'shapenetpart'[:count]}…", 90) for count in range(3, 11)]
    assert painted("shapenetpart", 200) != painted("shapenetpar…", 200)


def test_a_choice_asks_for_the_room_of_what_is_chosen_and_no_more(qtbot):
    choice = Choice()
    qtbot.addWidget(choice)
    choice.addItems(["sign", "raw, batch mean"])
    short = choice.sizeHint().width()
    choice.setCurrentIndex(1)
    wide, advance = choice.sizeHint().width(), choice.fontMetrics().horizontalAdvance
    assert wide - short == advance("raw, batch mean") - advance("sign")
    assert choice.minimumSizeHint().width() == NARROW < wide


def test_a_choice_gets_its_room_even_if_it_is_filled_in_silence(qtbot):
    row, choice = QWidget(), Choice()
    layout = QHBoxLayout(row)
    layout.addWidget(choice)
    layout.addStretch()
    qtbot.addWidget(row)
    row.resize(400, 60)
    with qtbot.waitExposed(row):
        row.show()
    with QSignalBlocker(choice):
        choice.addItem("towards skateboard")
    qtbot.waitUntil(lambda: choice.width() == choice.sizeHint().width())
    assert choice.width() > choice.fontMetrics().horizontalAdvance("towards skateboard")
