"""The small pieces of the panels, as they are painted."""

import pytest
from PySide6.QtGui import QImage

from app.panels.parts import NARROW, Choice


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
