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


def test_the_first_column_has_what_the_others_leave_and_a_long_text_takes_several(qtbot):
    table = ResultTable({"Run": "Its name", "State": "What it is doing", "Begun": "When"})
    qtbot.addWidget(table)
    table.resize(400, 200)
    with qtbot.waitExposed(table):
        table.show()
    name, problem = (
        "a name of a run that is longer than the table is wide",
        "options.json is no JSON: put it right, or remove",
    )
    good = [Cell(name, name), Cell("done", "done"), Cell("30 Nov 05:54", 1.0)]
    damaged = [Cell("damaged", "damaged"), Cell(problem, None, "bad", 2), Cell()]
    table.set_rows([(good, "good"), (damaged, "bad")])
    widths = [table.columnWidth(column) for column in range(3)]
    assert sum(widths) == table.viewport().width()
    assert widths[1] < 100, "the text of several columns makes none wider"
    assert [table.columnSpan(row, 1) for row in range(2)] == [1, 2]
    table.sortByColumn(0, Qt.SortOrder.DescendingOrder)
    assert [table.columnSpan(row, 1) for row in range(2)] == [2, 1], "it goes with its row"
    table.setColumnWidth(0, 60)
    table.resize(500, 200)
    assert table.columnWidth(0) == 60, "as a person has it"
    table.set_rows([(good, "good"), (damaged, "bad")])
    table.resize(900, 200)
    assert table.columnWidth(0) > table.fontMetrics().horizontalAdvance(name)
