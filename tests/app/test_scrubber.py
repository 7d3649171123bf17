"""The slider over steps: its marks are where their steps are."""

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from app.shell import theme
from app.views.scrubber import Scrubber
from tests.pixels.pictures import pixels


@pytest.fixture
def scrubber(qtbot):
    made = Scrubber()
    qtbot.addWidget(made)
    made.resize(160, 26)
    made.setRange(0, 12)
    made.setValue(12)
    made.show()
    return made


def columns(scrubber, colour):
    picture = pixels(scrubber.grab().toImage())[..., :3].astype(int)
    return np.flatnonzero((abs(picture - np.array(colour.getRgb()[:3])).max(-1) < 40).any(0))


def test_the_best_step_has_a_diamond_and_no_step_none(scrubber):
    assert not len(columns(scrubber, theme.current().adv))
    scrubber.set_marks((), 7)
    assert columns(scrubber, theme.current().adv).mean() == pytest.approx(scrubber.place(7), abs=1)


def test_each_further_start_has_a_line(scrubber):
    before = pixels(scrubber.grab().toImage()).astype(int)
    scrubber.set_marks((4, 8), None)
    changed = np.flatnonzero((pixels(scrubber.grab().toImage()) != before).any((0, 2)))
    assert {round(scrubber.place(step)) for step in (4, 8)} <= set(changed) | {each + 1 for each in changed}
    assert len(changed) <= 6


def test_a_step_is_where_the_handle_stands(scrubber):
    for step in (0, 5, 12):
        scrubber.setValue(step)
        QTest.mouseClick(scrubber, Qt.MouseButton.LeftButton, pos=QPoint(round(scrubber.place(step)), 13))
        assert scrubber.value() == step
