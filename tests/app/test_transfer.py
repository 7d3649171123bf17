"""The Transfer tab: an experiment is started, stopped and continued, its cells fill in and open their clouds."""

import numpy as np
import pytest
from PySide6.QtCore import QRect, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog, QMenu

from app.shell import theme
from app.shell.progress import Status
from app.workspaces.transfer_results import MEAN
from core.studies.transferability.attacking import adversarial_samples
from tests.app.inspection import pixels, tooltip, where
from tests.app.window_fixtures import LEFT, open_window, person, shapes, shared_window

__all__ = ["person", "shapes", "shared_window"]

SAMPLES, POINTS = 16, 128
SURROGATES, VICTIMS = ("pointnet-simple", "pointnet-pgd"), ("pointnet-adversarial", "pointnet-defense")
ATTACKS = ("gd", "fgsm", "random-sign")


def open_tab(person):
    tabs = person.window.work.tabBar()
    QTest.mouseClick(tabs, LEFT, pos=tabs.tabRect(3).center())
    return person.window.transfer


def tick(person, chooser, names):
    """Click the boxes of a list until these are ticked."""
    for row in range(chooser.count()):
        item = chooser.item(row)
        if (item.text() in names) != (item.checkState() is Qt.CheckState.Checked):
            chooser.scrollToItem(item)
            box = chooser.visualItemRect(item)
            QTest.mouseClick(chooser.viewport(), LEFT, pos=QRect(box.left(), box.top(), 22, box.height()).center())
    assert chooser.ticked == tuple(names)


def choose(person, attacks=ATTACKS):
    panel = open_tab(person)
    tick(person, panel.setup.surrogates, SURROGATES)
    tick(person, panel.setup.victims, VICTIMS)
    tick(person, panel.setup.attacks, attacks)
    for field, value in {"samples": SAMPLES, "points": POINTS, "held_out": 16}.items():
        person.type_option(panel.setup.form, field, str(value))
    return panel


def test_a_sweep_fills_its_map_and_a_cell_opens_its_cloud(person, shot):
    panel = choose(person)
    shot(person.window, "transfer-setup")
    person.wait_until(lambda: "It will take about" in panel.status.text(), "the time before the start")
    person.click(panel.start)
    person.wait_until(lambda: panel.job is None, "the end")
    shot(person.window, "transfer-done")
    panel.results.map.setFocus()
    QTest.mouseClick(panel.results.map, LEFT, pos=panel.results.map.cell(0, 0).center())
    person.wait_for_scene()
    shot(person.window, "transfer-cell")
    theme.apply(__import__("PySide6.QtWidgets").QtWidgets.QApplication.instance(), "light")
    person.wait_for_scene()
    shot(person.window, "transfer-light")
