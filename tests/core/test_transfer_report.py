"""The report of transfer experiments: its files, its figures, and that it copes with what is not done yet."""

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text

from core.evaluation.bootstrap import Estimate
from core.figures import cloud_rows, image_rows, pair_map, rates_against, transfer_bars
from core.results.records import provenance, read_json
from core.studies.report import Plate
from core.studies.transferability import report
from core.studies.transferability.figures import plates
from core.studies.transferability.findings import CONTROLS, OPTIMISERS, OTHERS, TransferFindings
from core.studies.transferability.measures import Measures, estimate
from core.studies.transferability.report import write_report
from core.studies.transferability.setup_tables import matching, setup_tables
from core.studies.transferability.tables import orders, result_tables
from tests.core.test_defense_pointnet import Page
from tests.core.test_figures import ball
from tests.core.transfers import SURROGATES, VICTIMS, realistic
from tests.figure_metadata import figure_metadata

WEIGHTS = {name: f"{name}-sha" for name in (*SURROGATES, *VICTIMS)}
ATTACKS = ("adam", "pgd", "gaussian")
CLOUDS = {name: ball() + 0.02 * number for number, name in enumerate(("clean", "pgd", "mi"))}


def small(protocol: str = "equal-loss", **changes: Any) -> TransferFindings:
    usual = {"samples": 24, "surrogates": SURROGATES[:2], "victims": VICTIMS[:2], "attacks": ATTACKS}
    return realistic(protocol, **(usual | changes))


def made_with() -> dict[str, Any]:
    return provenance({"samples": 24}, seed=3, dataset="ab" * 32, weights=WEIGHTS)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder, how = tmp_path_factory.mktemp("report"), made_with()
    write_report({"equal-loss": small()}, folder, how, samples=CLOUDS)
    return folder, how


@pytest.fixture
def no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The report draws none, for what is not about figures."""
    monkeypatch.setattr(report, "plates", lambda *_: islice((), 0))


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / "tables" / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


class TestFiles:
    def test_every_table_and_figure_is_there_in_every_format_and_says_how_it_was_made(
        self, written: tuple[Path, dict[str, Any]]
    ) -> None:
        folder, how = written
        names = {path.stem for path in (folder / "figures").iterdir()}
        maps = {f"equal-loss-{attack}" for attack in ATTACKS}
        assert names == {"figure-1", "figure-3", "equal-loss-against-rmse", "alignment"} | maps
        for suffix in (".png", ".svg", ".pdf"):
            caption, inside = figure_metadata(folder / "figures" / f"figure-1{suffix}")
            assert inside == how
            assert caption.startswith("Fig. 1. Transferability (lines) and RMSE (bars) of adversarial samples at equal")
        parts = {"rates", "correlations", "spreads", "orders", "controls", "distances", "mistakes", "cells", "victims"}
        parts |= {"matching", "calibration", "first-steps"}
        tables = {"claims", "models", "gradients"} | {f"equal-loss-{part}" for part in parts}
        files = {f"{name}{suffix}" for name in tables for suffix in (".csv", ".md", ".tex")}
        assert {path.name for path in (folder / "tables").iterdir()} == files | {f"{name}.json" for name in files}
        assert how.items() <= read_json(folder / "tables" / "equal-loss-rates.tex.json").items()

    def test_report_json_has_the_claims_and_the_options(self, written: tuple[Path, dict[str, Any]]) -> None:
        whole = read_json(written[0] / "report.json")
        assert written[1].items() <= whole.items()
        assert whole["experiments"]["equal-loss"]["options"]["protocol"] == "equal-loss"
        assert whole["experiments"]["equal-loss"]["cells"] == whole["experiments"]["equal-loss"]["cells_done"] == 12
        assert [claim["name"] for claim in whole["claims"]][:3] == ["correlates", "boosts", "level"]
        assert {claim["verdict"] for claim in whole["claims"]} <= {"holds", "does not hold", "undecided"}

    def test_the_page_needs_no_other_file_and_says_what_numbers_mean(
        self, written: tuple[Path, dict[str, Any]]
    ) -> None:
        page = Page((written[0] / "report.html").read_text(encoding="utf-8"))
        images = [source for source in page.sources if source.startswith("data:image/png;base64,")]
        assert len(images) == 7
        assert all(source.startswith("#") for source in page.sources if source not in images)
        text = " ".join(page.text.split())
        for words in (
            "surrogate: samples that the surrogate gets right when clean, as in the paper",
            "How well attacks are matched, and what is left",
            "Controls: noise that knows no model",
            "What was settled for each surrogate on held-out samples",
            "It holds if: Over the seven optimisers",
            "pointnet: pointnet-sha",
            "Seed 3, on cpu",
        ):
            assert words in text, words
        assert "Not finished" not in text

    def test_the_cells_are_what_the_measures_say(self, written: tuple[Path, dict[str, Any]]) -> None:
        rows = table(written[0], "equal-loss-cells")
        assert len(rows) == 2 * len(ATTACKS) * 2
        measures = Measures(small())
        for row in rows:
            place = measures.victims(row["Surrogate"]).index(row["Victim"])
            for name in ("both", "surrogate", "victim", "all"):
                draws = measures.rates(row["Surrogate"], row["Attack"], name)[:, place]  # type: ignore[arg-type]
                found = Estimate(*(float(row[f"{name} {part}"]) / 100 for part in ("%", "low", "high")))
                expected = estimate(draws)
                assert (found.value, found.low, found.high) == pytest.approx(
                    (expected.value, expected.low, expected.high)
                )
            assert sum(float(row[f"{fate} %"]) for fate in ("not fooled", "another mistake", "the same mistake")) == (
                pytest.approx(100)
            )

    def test_the_paper_stands_beside_the_order(self) -> None:
        found = orders(Measures(small(attacks=OPTIMISERS)))
        assert [row[0] for row in found.rows] == list(OPTIMISERS)
        assert [row[2] for row in found.rows] == ["5", "6.5", "6.5", "2", "2", "2", "4"]
        assert [row[4] for row in found.rows] == ["4", "6.5", "6.5", "2", "2", "2", "5"]

    def test_what_is_left_of_a_match_is_told(self) -> None:
        found = small()
        key = ("pointnet", "adam")
        half = replace(
            found.made[key], matched=np.arange(24) % 2 == 0, loss=np.linspace(3, 4, 24), rmse=np.full(24, 0.02)
        )
        clean = {**found.clean, "pointnet": found.label}
        row = matching(Measures(replace(found, made={**found.made, key: half}, clean=clean))).rows[0]
        assert row[:3] == ("pointnet", "adam", 12)
        assert str(row[3]).startswith("50.00 [")
        low, high = np.quantile(np.linspace(3, 4, 24)[::2], (0.05, 0.95))
        assert row[5] == f"{low:.4g} to {high:.4g}"
        assert row[7] == "0.02 to 0.02"

    def test_a_report_of_nothing_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="needs the findings of at least one protocol"):
            write_report({}, tmp_path, made_with())


def without_victims(found: TransferFindings) -> TransferFindings:
    return replace(found, victims=(), predicted={}, alignment={})


PARTS: dict[str, Callable[[TransferFindings], TransferFindings]] = {
    "nothing": lambda found: replace(
        found, made={}, predicted={}, clean={}, calibration={}, smoothness={}, alignment={}
    ),
    "no victim": without_victims,
    "made but not judged": lambda found: replace(found, predicted={}),
    "one victim of one attack": lambda found: replace(
        found,
        made={key: value for key, value in found.made.items() if key == ("pointnet", "adam")},
        predicted={key: value for key, value in found.predicted.items() if key == ("pointnet", "adam", VICTIMS[0])},
    ),
    "victims that are always wrong": lambda found: replace(
        found, clean={**found.clean, **dict.fromkeys(found.victims, (found.label + 1) % 4)}
    ),
    "nothing matched": lambda found: replace(
        found, made={key: replace(value, matched=np.zeros(24, dtype=np.bool_)) for key, value in found.made.items()}
    ),
    "a surrogate that is always wrong": lambda found: replace(
        found, clean={**found.clean, "pointnet": (found.label + 1) % 4}
    ),
    "images": lambda found: replace(
        found,
        modality="images",
        made={
            key: replace(value, **dict.fromkeys(("chamfer", "hausdorff", "curvature"), np.full(24, np.nan)))
            for key, value in found.made.items()
        },
    ),
    "an attack of no kind": lambda found: replace(
        found, attacks=("own",), made={("pointnet", "own"): found.made["pointnet", "adam"]}, predicted={}
    ),
}


class TestIncomplete:
    @pytest.mark.long
    @pytest.mark.parametrize(
        ("protocol", "part"),
        [("rmse-term", part) for part in PARTS] + [("steps", "nothing"), ("steps", "made but not judged")],
    )
    def test_whatever_is_missing_tables_and_figures_can_be_made(self, protocol: str, part: str) -> None:
        found = PARTS[part](small(protocol))
        measures = Measures(found)
        for _, made in (*result_tables(measures), *setup_tables(measures)):
            assert "nan" not in made.markdown().lower().replace("na-gd", "")
        for plate in plates({found.options.protocol: measures}):
            plate.figure.draw_without_rendering()

    @pytest.mark.usefixtures("no_figure")
    def test_the_page_says_that_it_is_not_finished(self, tmp_path: Path) -> None:
        found = small()
        part = replace(found, predicted=dict(islice(found.predicted.items(), 5)))
        write_report({"rmse-term": small("rmse-term"), "equal-loss": part}, tmp_path, made_with())
        text = " ".join(Page((tmp_path / "report.html").read_text(encoding="utf-8")).text.split())
        assert "Not finished. Under equal-loss, 5 of 12 cells of surrogate, attack and victim are done." in text
        assert "Under rmse-term, " not in text.partition("Claims")[0]
        assert [row["Here it"] for row in table(tmp_path, "claims")] == ["undecided"] * 9


LONG = tuple(f"{name}-trained-by-somebody-on-something-else" for name in (*SURROGATES, *VICTIMS))


def drawn(long: bool) -> Iterator[Plate]:
    models = LONG if long else (*SURROGATES, *VICTIMS)
    attacks = ("adam", "m-svag", "square", "random-sign") if long else (*OPTIMISERS, *OTHERS, *CONTROLS)
    names = {"surrogates": models[:4], "victims": models[4:], "attacks": attacks, "samples": 60}
    measured = {protocol: Measures(realistic(protocol, **names)) for protocol in ("equal-loss", "rmse-term")}
    yield from islice(plates(measured, CLOUDS), 4)  # type: ignore[arg-type]
    names["attacks"] = OPTIMISERS
    yield next(plates({"steps": Measures(realistic("steps", **names))}))


@pytest.mark.long
@pytest.mark.parametrize("long", [False, True], ids=["usual names", "long names"])
def test_every_figure_is_legible_and_nothing_runs_off_the_page_or_into_another(long: bool) -> None:
    for plate in drawn(long):
        figure = plate.figure
        figure.draw_without_rendering()
        assert min(text.get_fontsize() for text in figure.findobj(Text)) >= 7
        extent, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
        assert min(extent.x0, extent.y0) >= -0.01, plate.name
        assert extent.x1 <= width + 0.01, plate.name
        assert extent.y1 <= height + 0.01, plate.name
        for legend in figure.findobj(Legend):
            assert not any(legend.get_window_extent().overlaps(axes.bbox) for axes in figure.axes), plate.name
        for axes in figure.axes:
            words = [text for text in axes.texts if text.get_text()]
            pairs = combinations([text.get_window_extent() for text in words], 2)
            assert not any(one.overlaps(other) for one, other in pairs), plate.name


class TestFigures:
    def test_bars_stand_on_the_rmse_and_dark_ones_reach_to_the_second(self) -> None:
        rates = np.array([[0.2, 0.1, 0.3], [0.4, 0.3, 0.5], [np.nan] * 3])
        first = {"s": (rates, [0.02, 0.03, np.nan])}
        second = {"s": (rates + 0.1, [0.025, 0.03, np.nan])}
        figure = transfer_bars([["gd", "adam"], ["pgd"]], first, second, "with the term")
        above, below = figure.axes
        light, dark = (container.patches for container in below.containers)
        assert [bar.get_height() for bar in light][:2] == [0.02, 0.03]
        assert (dark[0].get_y(), dark[0].get_height()) == (0.02, pytest.approx(0.005))
        assert dark[1].get_height() == 0
        lines = [line for line in above.lines if len(line.get_xdata()) == 4]  # with a gap between the groups
        np.testing.assert_allclose(lines[0].get_ydata(), [20, 40, np.nan, np.nan])
        assert {line.get_linestyle() for line in lines} >= {"-", ":"}
        assert [label.get_text() for label in below.get_xticklabels()] == ["gd", "adam", "pgd"]

    def test_a_map_has_the_number_and_its_interval_in_every_cell_that_is_done(self) -> None:
        values = [[[12.4, 8, 17], [np.nan] * 3], [[93, 90, 96], [0, 0, 0]]]
        figure = pair_map(values, ["s", "t"], ["v", "w"], "Success rate (%)")
        texts = {text.get_position(): text.get_text() for text in figure.axes[0].texts}
        assert texts == {(0, 0): "12\n[8, 17]", (1, 0): "–", (0, 1): "93\n[90, 96]", (1, 1): "0\n[0, 0]"}

    def test_a_point_has_the_mark_of_its_kind_and_unknown_ones_are_left_out(self) -> None:
        points = {"gd": [[0.02, 0.01, 0.03], [0.2, 0.1, 0.3]], "pgd": [[np.nan] * 3, [0.2, 0.1, 0.3]]}
        figure = rates_against({"s": points}, {"optimisers": ["gd"], "others": ["pgd"]}, "RMSE")
        assert [text.get_text() for text in figure.axes[0].texts] == ["gd"]
        assert not figure.axes[1].axison

    def test_clouds_of_a_row_have_one_scale(self) -> None:
        figure = cloud_rows([ball(), 0.5 * ball()], ["clean", "half\nRMSE 0.3"])
        first, second = (axes.collections[0].get_offsets() for axes in figure.axes)
        np.testing.assert_allclose(np.ptp(second, axis=0), np.ptp(first, axis=0) / 2)
        assert figure.axes[0].get_xlim() == figure.axes[1].get_xlim()
        sizes = [re.findall(r"RMSE [\d.]+", text.get_text()) for text in figure.texts]
        assert sizes == [[], ["RMSE 0.3"]]
        assert isinstance(figure, Figure)

    def test_images_stand_in_rows_with_their_values_between_black_and_white(self) -> None:
        images = [np.full((1, 4, 6), value) for value in (-2.0, 0.0, 2.0, 4.0, 6.0, 8.0)]
        figure = image_rows(images, [f"{n}\nRMSE {n}" for n in range(6)], (-2.0, 8.0))
        shades = [float(np.asarray(axes.images[0].get_array())[0, 0]) for axes in figure.axes]
        np.testing.assert_allclose(shades, [0, 0.2, 0.4, 0.6, 0.8, 1])
        assert {axes.images[0].get_clim() for axes in figure.axes} == {(0, 1)}
        places = [axes.get_position() for axes in figure.axes]
        assert len({round(place.y0, 6) for place in places}) == 2
        assert len({round(place.x0, 6) for place in places}) == 3
        for axes in figure.axes:
            box = axes.get_position()
            width, height = figure.get_size_inches()
            assert box.height * height / (box.width * width) == pytest.approx(4 / 6)
        colours = image_rows([np.random.default_rng(0).random((3, 4, 4))], ["one"])
        assert np.asarray(colours.axes[0].images[0].get_array()).shape == (4, 4, 3)
