"""The two small curves of an attack's course."""

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from app.shell import theme
from app.views.traces import CAPTION, AttackTraces
from tests.pixels.pictures import pixels

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def traces(qtbot):
    traces = AttackTraces()
    qtbot.addWidget(traces)
    traces.resize(320, 64)
    with qtbot.waitExposed(traces):
        traces.show()
    return traces


def in_colour(traces, colour):
    """Mask (H, W) of the pixels of about this colour."""
    return np.abs(pixels(traces.grab().toImage()).astype(int) - colour.getRgb()[:3]).sum(axis=-1) < 160


def test_curves_rise_as_their_values_do(traces, shot):
    traces.set_traces(np.linspace(0, 5, 21), np.linspace(0.02, 0.0, 21), 20)
    shot(traces, "traces")
    drawn = in_colour(traces, theme.current().adv)[CAPTION:]
    heights = [[np.flatnonzero(drawn[:, x]).mean() for x in (left + 20, left + 120)] for left in (0, 168)]
    assert heights[0][0] > heights[0][1] + 10, "the loss rises, so its row number falls"
    assert heights[1][0] < heights[1][1] - 10
    assert traces.accessibleDescription() == "loss 5.00 nat, RMSE 0 r"


def test_steps_without_a_loss_are_left_out(traces):
    traces.set_traces(np.array([0.1, np.nan, 3.0]), np.zeros(3), 1)
    assert traces.accessibleDescription() == "loss –, RMSE 0 r"
    assert in_colour(traces, theme.current().adv).any()
    traces.set_traces(np.full(3, np.nan), np.zeros(3), 1)
    assert not in_colour(traces, theme.current().adv)[:, :150].any()


@pytest.mark.parametrize(("x", "step"), [(0, 0), (75, 10), (151, 20), (168, 0), (244, 10), (319, 20)])
def test_a_click_on_either_curve_goes_to_the_step_under_it(traces, qtbot, x, step):
    traces.set_traces(np.linspace(0, 5, 21), np.linspace(0, 0.1, 21), 3)
    with qtbot.waitSignal(traces.stepChosen) as chosen:
        QTest.mouseClick(traces, LEFT, pos=QPoint(x, 40))
    assert chosen.args == [step]


def test_without_an_attack_a_click_does_nothing(traces, qtbot):
    with qtbot.assertNotEmitted(traces.stepChosen):
        QTest.mouseClick(traces, LEFT, pos=QPoint(30, 40))
