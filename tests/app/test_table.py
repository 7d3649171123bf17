"""The table of results: which keys are its own."""

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLineEdit, QVBoxLayout, QWidget

from app.views.table import Cell, ResultTable


def test_enter_and_copy_belong_to_the_table_only_while_it_has_the_focus(qtbot):
    window, field, table = QWidget(), QLineEdit("text"), ResultTable({"Attack": "Its name"})
    qtbot.addWidget(window)
    column = QVBoxLayout(window)
    column.addWidget(field)
    column.addWidget(table)
    table.add_row([Cell("fgsm")], "fgsm")
    table.setCurrentIndex(table.model().index(0, 0))
    chosen, entered = [], []
    table.chosen.connect(chosen.append)
    field.returnPressed.connect(lambda: entered.append(field.text()))
    window.show()
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow, timeout=60_000)

    field.setFocus()
    field.selectAll()
    QTest.keyClick(field, Qt.Key.Key_Return)
    QTest.keyClick(field, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert (chosen, entered, QGuiApplication.clipboard().text()) == ([], ["text"], "text")

    table.setFocus()
    QTest.keyClick(table, Qt.Key.Key_Return)
    QTest.keyClick(table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert (chosen, entered) == (["fgsm"], ["text"])
    assert "fgsm" in QGuiApplication.clipboard().text()
