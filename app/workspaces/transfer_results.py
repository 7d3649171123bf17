"""What a transfer experiment has found: success rates of pairs of models, of attacks, and the samples of a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QScrollArea, QStackedWidget, QVBoxLayout, QWidget

from app.shell import theme
from app.shell.plain_text import set_tooltip
from app.shell.widgets import ElidedComboBox, Label, Splitter, add_item, number
from app.views.heat_map import HeatMap
from app.views.pager import Pager
from app.views.table import Cell, ResultTable
from core.runtime.text import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from core.studies.transferability.findings import TransferFindings
    from core.studies.transferability.measures import Measures

MEAN = "mean over attacks"
COLUMNS = {
    "Attack": "Double-click or Enter shows its map",
    "ASR": "Mean success rate over all victims, once each has judged",
    "White box": "Success rate on the surrogate itself",
    "RMSE": "Mean root mean square of the perturbation, in unit-sphere radii",
    "Matched": "Share of samples that meet the protocol's condition; the others are left out",
}
NOT_DONE = -1.0
"""By which a cell of the table is sorted that has no number."""
HINT = "Click a cell, or press Enter on it, to see its clouds in the pair view; Page Up and Down go through them."


class Sample(NamedTuple):
    """An adversarial sample that a victim has judged."""

    surrogate: str
    attack: str
    victim: str
    number: int
    """Its place among the samples of the experiment."""


class _Rates(NamedTuple):
    """Of the attacks by one attack on one surrogate, by victim (V,)."""

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    samples: NDArray[np.int64]


class TransferResults(QWidget):
    """The heat map of an attack or of all, a table of attacks, and the samples behind a cell one after the other."""

    opened = Signal(object)
    """A ``Sample`` to be shown in the pair view."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.measures: Measures | None = None
        self._rates: dict[tuple[str, str], tuple[int, _Rates]] = {}
        """By surrogate and attack: how many victims had judged, and what they said; resampling takes its time."""
        self._rows: list[tuple[Cell, ...]] = []
        self._samples: list[Sample] = []
        self.attack = ElidedComboBox()
        self.attack.setAccessibleName("Attack of the map")
        add_item(self.attack, MEAN)
        self.map = HeatMap("surrogate", "victim")
        self.map.setAccessibleName("Success rates of surrogates and victims")
        self.legend = Label(
            "Share of the clouds that both models get right which fool the victim", "caption", wrap=True
        )
        self.title = Label(role="section")
        self.table = ResultTable(COLUMNS)
        self.table.setAccessibleName("Attacks on the surrogate")
        self.pager = Pager("sample")
        self.verdicts = Label(role="caption", wrap=True)
        self.empty = Label(role="muted", wrap=True)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._pages = QStackedWidget()
        self._lay_out()
        self.attack.currentIndexChanged.connect(self._draw)
        self.table.chosen.connect(lambda attack: self.attack.setCurrentIndex(self.attack.findData(attack)))
        self.map.moved.connect(self._draw_table)
        self.map.picked.connect(self._pick)
        self.map.paged.connect(lambda step: (self.pager.next if step > 0 else self.pager.previous).click())
        self.pager.itemChosen.connect(self._open)

    def _lay_out(self) -> None:
        head, above, below = QHBoxLayout(), QVBoxLayout(), QVBoxLayout()
        head.setSpacing(theme.SPACE_S)
        head.addWidget(self.attack)
        head.addWidget(self.legend, 1)
        above.addLayout(head)
        area = QScrollArea(widgetResizable=True)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(self.map)
        self.map.moved.connect(lambda row, column: area.ensureVisible(*self.map.cell(row, column).center().toTuple()))
        above.addWidget(area, 1)
        below.addWidget(self.title)
        below.addWidget(self.table, 1)
        map_part, table_part = QWidget(), QWidget()
        for part, layout in ((map_part, above), (table_part, below)):
            layout.setSpacing(theme.SPACE_XS)
            part.setLayout(layout)
        above.setContentsMargins(0, 0, 0, theme.SPACE_S)
        below.setContentsMargins(0, theme.SPACE_S, 0, 0)
        both = Splitter(Qt.Orientation.Vertical, "transfer-map-and-table", {map_part: 3, table_part: 2})
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.SPACE_XS)
        column.addWidget(both, 1)
        column.addWidget(self.pager)
        column.addWidget(self.verdicts)
        for page in (self.empty, content):
            self._pages.addWidget(page)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self._pages)

    def set_findings(self, findings: TransferFindings | None, *, another: bool = False) -> None:
        """Show what has been found so far; ``another`` if it is of another experiment than what is shown."""
        from core.studies.transferability.measures import Measures

        if another or findings is None:
            self._rates, self._samples = {}, []
            self.pager.clear(HINT)
            self.verdicts.setText("")
            self.map.selected = None
        self.measures = None if findings is None else Measures(findings)
        self._pages.setCurrentIndex(int(findings is not None))
        if self.measures is not None:
            attacks = self.measures.attacks()
            if [self.attack.itemData(place) for place in range(1, self.attack.count())] != list(attacks):
                with QSignalBlocker(self.attack):
                    self.attack.clear()
                    add_item(self.attack, MEAN)
                    for attack in attacks:
                        add_item(self.attack, attack, attack)
        self._draw()

    def set_stale(self, stale: bool) -> None:
        """Dim the results, because the settings have changed since."""
        self.map.set_stale(stale)
        self.table.set_stale(stale)

    # --- drawing ---

    @property
    def shown_attacks(self) -> tuple[str, ...]:
        """The attacks that the map is about."""
        chosen = self.attack.currentData()
        assert self.measures is not None
        return self.measures.attacks() if chosen is None else (chosen,)

    def _rates_of(self, surrogate: str, attack: str) -> _Rates | None:
        from core.studies.transferability.measures import estimate

        assert self.measures is not None
        findings, victims = self.measures.findings, self.measures.victims(surrogate)
        judged = sum((surrogate, attack, victim) in findings.predicted for victim in victims)
        known = self._rates.get((surrogate, attack))
        if known is not None and known[0] == judged:
            return known[1]
        if (surrogate, attack) not in findings.made:
            return None
        found = [estimate(draws) for draws in self.measures.rates(surrogate, attack).T]
        value, low, high = (np.array([getattr(each, name) for each in found]) for name in ("value", "low", "high"))
        rates = _Rates(value, low, high, self.measures.among(surrogate, attack).sum(axis=0))
        self._rates[surrogate, attack] = judged, rates
        return rates

    def _draw(self, *_: object) -> None:
        if self.measures is None:
            return
        findings, attacks = self.measures.findings, self.shown_attacks
        shape = len(findings.surrogates), len(findings.victims)
        rates, void = np.full(shape, np.nan), np.zeros(shape, dtype=np.bool_)
        tips: dict[tuple[int, int], str] = {}
        for row, surrogate in enumerate(findings.surrogates):
            victims = self.measures.victims(surrogate)
            of_attacks = [each for attack in attacks if (each := self._rates_of(surrogate, attack)) is not None]
            for column, victim in enumerate(findings.victims):
                place, pair = (row, column), f"{surrogate} → {victim}"
                if victim not in victims:
                    void[place], tips[place] = True, "A model is no victim of attacks on itself."
                    continue
                at = victims.index(victim)
                values = [each.value[at] for each in of_attacks if np.isfinite(each.value[at])]
                if not values:
                    tips[place] = f"{pair}: {self._why_empty(surrogate, victim, attacks)}"
                    continue
                rates[place] = np.mean(values)
                tips[place] = f"{pair}: {100 * rates[place]:.1f} %, mean over {len(values)} of {len(attacks)} attacks"
                if len(attacks) == 1:
                    only = of_attacks[0]
                    tips[place] = (
                        f"{pair}: {100 * only.value[at]:.1f} % [{100 * only.low[at]:.1f}, {100 * only.high[at]:.1f}] "
                        f"of {only.samples[at]:,} samples"
                    )
        self.map.set_rates(findings.surrogates, findings.victims, rates, void, tips)
        self._draw_table()

    def _why_empty(self, surrogate: str, victim: str, attacks: tuple[str, ...]) -> str:
        assert self.measures is not None
        if any((surrogate, attack, victim) in self.measures.findings.predicted for attack in attacks):
            return "no sample that both models get right is matched."
        return "not done yet."

    @property
    def surrogate(self) -> str:
        """The surrogate that the table is about: that of the current cell."""
        assert self.measures is not None
        return self.measures.findings.surrogates[self.map.current[0]]

    def _draw_table(self, *_: object) -> None:
        """Show the attacks on the surrogate of the current cell, unless they are shown."""
        if self.measures is None:
            return
        surrogate, attacks = self.surrogate, self.measures.attacks()
        rows = [self._row(surrogate, attack) for attack in attacks]
        self.title.setText(f"Attacks through the surrogate {surrogate}, mean over its victims")
        if rows != self._rows:
            self._rows = rows
            self.table.set_rows(list(zip(rows, attacks, strict=True)))

    def _row(self, surrogate: str, attack: str) -> tuple[Cell, ...]:
        assert self.measures is not None
        rates, made = self._rates_of(surrogate, attack), self.measures.findings.made.get((surrogate, attack))
        name = Cell(attack, attack)
        if rates is None or made is None:
            return (name, *[Cell("–", NOT_DONE, "muted")] * (len(COLUMNS) - 1))
        attacked = self.measures.attacked(surrogate, attack)
        right = self.measures.right(surrogate)
        wrong = made.prediction != self.measures.findings.label
        done = self.measures.done(surrogate, attack)
        values = (
            100 * float(np.nanmean(rates.value)) if done and np.isfinite(rates.value).any() else NOT_DONE,
            100 * float(wrong[attacked].mean()) if attacked.any() else NOT_DONE,
            float(made.rmse[attacked].mean()) if attacked.any() else NOT_DONE,
            100 * float(made.matched[right].mean()) if right.any() else NOT_DONE,
        )
        units = ("\u2009%", "\u2009%", "\u2009r", "\u2009%")
        texts = ("–" if value == NOT_DONE else number(value) + unit for value, unit in zip(values, units, strict=True))
        colours = ("adv", "text", "text", "muted")
        return (name, *map(Cell, texts, values, colours))

    def figure(self) -> Figure:
        """The map as a matplotlib figure, for export."""
        from core.figures import pair_map

        assert self.measures is not None
        findings, attacks = self.measures.findings, self.shown_attacks
        table = np.full((len(findings.surrogates), len(findings.victims), 3), np.nan)
        for row, surrogate in enumerate(findings.surrogates):
            table[row] = self._intervals(surrogate, attacks)
        return pair_map(table, findings.surrogates, findings.victims, "Success rate (%)")

    def _intervals(self, surrogate: str, attacks: tuple[str, ...]) -> NDArray[np.float64]:
        """(victims, 3), mean success rates of attacks in %, and their limits; resampled jointly."""
        from core.studies.transferability.measures import estimate, mean_over

        assert self.measures is not None
        findings, victims = self.measures.findings, self.measures.victims(surrogate)
        found = np.full((len(findings.victims), 3), np.nan)
        done = [attack for attack in attacks if (surrogate, attack) in findings.made]
        if done:
            draws = mean_over(np.stack([self.measures.rates(surrogate, attack) for attack in done]), 0)
            for victim, each in zip(victims, draws.T, strict=True):
                interval = estimate(100 * each)
                found[findings.victims.index(victim)] = interval.value, interval.low, interval.high
        return found

    # --- the samples behind a cell ---

    def _pick(self, row: int, column: int) -> None:
        """Offer the samples of a cell: those that fool the victim or, if none does, the others."""
        assert self.measures is not None
        findings = self.measures.findings
        surrogate, victim = findings.surrogates[row], findings.victims[column]
        fooling: list[Sample] = []
        held: list[Sample] = []
        for attack in self.shown_attacks:
            said = findings.predicted.get((surrogate, attack, victim))
            if said is not None:
                at = self.measures.victims(surrogate).index(victim)
                for index in np.flatnonzero(self.measures.among(surrogate, attack)[:, at]).tolist():
                    wrong = said[index] != findings.label[index]
                    (fooling if wrong else held).append(Sample(surrogate, attack, victim, index))
        self._samples = fooling or held
        what = "fooled" if fooling else "not fooled"
        self.pager.set_items(f"{self.attack.currentText()}, {surrogate} → {victim}, {what}", len(self._samples))

    def _open(self, place: int) -> None:
        sample = self._samples[place]
        text = self.words(sample)
        self.verdicts.setText(text)
        set_tooltip(self.verdicts, text, wrap=True)
        self.opened.emit(sample)

    def words(self, sample: Sample) -> str:
        """What both models say of a sample, clean and adversarial."""
        assert self.measures is not None
        surrogate, attack, victim, index = sample
        findings = self.measures.findings
        true = findings.label[index]
        verdicts = (
            (f"surrogate {surrogate}", findings.clean[surrogate], findings.made[surrogate, attack].prediction),
            (f"victim {victim}", findings.clean[victim], findings.predicted[surrogate, attack, victim]),
        )
        said = (
            f"{who}: {findings.classes[clean[index]]} → {findings.classes[adversarial[index]]} "
            f"{'✓' if adversarial[index] == true else '✗'}"
            for who, clean, adversarial in verdicts
        )
        return printable(" · ".join((attack, f"true class {findings.classes[true]}", *said)))
