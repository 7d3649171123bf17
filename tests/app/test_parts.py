"""The small pieces of the panels, as they are painted."""

import pytest
from PySide6.QtGui import QImage

from app.panels.parts import Choice


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
