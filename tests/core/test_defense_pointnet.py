"""The reproduction of the first paper: what it writes, that a kill changes nothing, and what it says of red flags."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.metrics import silhouette_score

from core.datasets import Dataset, Split, choose_rows
from core.evaluation import probe
from core.evaluation.accuracy import LabelledPredictions
from core.evaluation.bootstrap import Estimate
from core.evaluation.judge import evaluate_accuracy
from core.evaluation.onestep import FGSM, one_step
from core.evaluation.probe import MODES
from core.events import Cancel, Done, Event, Note, Progress, result
from core.results.checkpointed import _read_stored
from core.results.records import read_json
from core.studies.defense_pointnet import report
from core.studies.defense_pointnet.figures import plates
from core.studies.defense_pointnet.findings import Findings
from core.studies.defense_pointnet.measure import REPORT
from core.studies.defense_pointnet.options import PAPER, ReproduceOptions, recipe
from core.studies.defense_pointnet.report import red_flags, write_report
from core.studies.defense_pointnet.reproduction import reproduce
from core.studies.defense_pointnet.tables import accuracy, claim, differences, discriminators
from core.training import TrainOptions
from tests.core.toys import toy_dataset, toy_run
from tests.figure_metadata import figure_metadata

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.starts_first]

TRAINING = {"epochs": 1, "batch_size": 16, "points": 32, "epsilon": 0.1, "device": "cpu"}
SMALL = {"pgd_steps": 3, "map_clouds": 40}
FIGURES = {"figure-1", "figure-3", "figure-4", "figure-6", "figure-7", "figure-8", "figure-9", "sweep", "pareto"}
FIGURES |= {f"figure-5-{name}" for name in ("predicted", "true", "correct", "margin", "calibration")}
FIGURES |= {f"{kind}-{regime}" for kind in ("confusion", "training") for regime in PAPER}
STEPS = 20
DRAWN = {"figure-8", "pareto"}
TABLES = {"table-1", "claim", "readings", "top-k", "confidence", "sweep", "separation", "discriminator", "work"}


def reproduced(folder: Path, **changes: Any) -> list[Event]:
    options = ReproduceOptions.model_validate(SMALL | changes.pop("options", {}))
    return list(reproduce(toy_dataset(96, 60), options, TRAINING, folder, **changes))


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """New discriminators are fitted in few steps, and reports draw their first figure alone: all take half a minute."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probe, "STEPS", STEPS)
        patch.setattr(report, "plates", lambda found: islice(plates(found), 1))
        yield


@pytest.fixture(scope="module")
def unbroken(one_thread: None, quick: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event]]:
    folder = tmp_path_factory.mktemp("reproduction")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "plates", lambda found: [each for each in plates(found) if each.name in DRAWN])
        return folder, reproduced(folder)


@pytest.fixture
def findings(unbroken: tuple[Path, list[Event]]) -> Findings:
    done = unbroken[1][-1]
    assert isinstance(done, Done)
    found: Findings = done.value
    return found


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / "tables" / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def tables_of(folder: Path) -> dict[str, Any]:
    """All tables but for the times in them."""
    found = {name: table(folder, name) for name in sorted(TABLES)}
    for row in found["work"]:
        del row["Minutes"]
    return found


class Page(HTMLParser):
    """The parts of a page that a browser would have to fetch, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


class TestReport:
    def test_everything_the_paper_shows_is_there(self, unbroken: tuple[Path, list[Event]], findings: Findings) -> None:
        folder, _ = unbroken
        assert {plate.name for plate in plates(findings)} == FIGURES
        assert {path.stem for path in (folder / "figures").iterdir()} == DRAWN
        assert {path.suffix for path in (folder / "figures").iterdir()} == {".pdf", ".svg"}
        tables = {f"{name}{suffix}" for name in TABLES for suffix in (".csv", ".md", ".tex")}
        records = {f"{regime}-seed0.csv" for regime in PAPER}
        for part, files in (("tables", tables), ("records", records)):
            assert {path.name for path in (folder / part).iterdir()} == files | {f"{name}.json" for name in files}

    def test_every_file_says_how_it_was_made(self, unbroken: tuple[Path, list[Event]], findings: Findings) -> None:
        folder, _ = unbroken
        whole = read_json(folder / "report.json")
        weights = {each.entry.name: each.model.sha256 for each in findings.measured}
        assert whole["weights"] == weights
        assert whole["options"]["attack"]["epsilon"] == 0.1
        assert whole["options"]["pgd"]["steps"] == 3
        made_with = {name: value for name, value in whole.items() if name not in ("runs", "red_flags")}
        for suffix in (".svg", ".pdf"):
            caption, inside = figure_metadata(folder / "figures" / f"figure-8{suffix}")
            assert inside == made_with
            assert caption.startswith("Fig. 8. One t-SNE map of the latents of 40 clean and as many adversarial")
            assert "FGSM sign, epsilon 0.1; t-SNE with perplexity 26, seed 0, KL " in caption
            assert "in the latent space: " in caption
            assert "; in this map: " in caption
        for name in ("tables/table-1.csv", "tables/table-1.tex", "records/defense-seed0.csv"):
            assert made_with.items() <= read_json(folder / f"{name}.json").items()

    def test_the_discriminators_stand_beside_the_mode_of_their_latents(
        self, unbroken: tuple[Path, list[Event]], findings: Findings
    ) -> None:
        rows = table(unbroken[0], "discriminator")
        assert [(row["Training"], row["Latents taken in"]) for row in rows] == [
            (regime, title) for regime in PAPER for title in MODES.values()
        ]
        with_own = {(row["Training"], row["Latents taken in"]) for row in rows if row["Its own, last epoch"]}
        assert with_own == {("defense", MODES["separate"])}
        for row in rows:
            each = findings.first[row["Training"]]
            mode = next(mode for mode, title in MODES.items() if title == row["Latents taken in"])
            assert float(row["A fresh one"]) == pytest.approx(100 * each.probe[mode].value, abs=0.005)
            assert each.probe[mode].n == 2 * 60
        each = findings.first["defense"]
        options = each.entry.options.model_copy(update={"updates": "concatenated"})
        other = replace(each, entry=replace(each.entry, options=options))
        changed = replace(findings, measured=[other if one is each else one for one in findings.measured])
        filled = {str(row[1]) for row in discriminators(changed).rows if row[2] is not None}
        assert filled == {MODES["concatenated"]}

    def test_silhouettes_are_those_of_the_models_own_latents_clean_under_fgsm_and_under_all_steps_of_pgd(
        self, unbroken: tuple[Path, list[Event]], findings: Findings
    ) -> None:
        rows = {(row["Training"], row["Space"], row["Clouds"]): row for row in table(unbroken[0], "separation")}
        sides = ("clean", "FGSM sign 0.1", "PGD-3 0.05")
        assert rows.keys() == {(regime, "latent", side) for regime in PAPER for side in sides} | {
            (regime, "t-SNE map", side) for regime in ("simple", "defense") for side in sides[:2]
        }
        each, test = findings.first["defense"], findings.dataset.split("test")
        chosen = choose_rows(test.labels, 40)
        part = Split(test.points[chosen], test.labels[chosen], [test.names[row] for row in chosen])
        for attack, names in ((findings.attack, sides[:2]), (findings.pgd, sides[::2])):
            report = result(evaluate_accuracy(each.model.module, part, attack, findings.evaluation))
            for side, name in zip(report.sides, names, strict=True):
                expected = silhouette_score(side.latent, part.labels)
                assert float(rows["defense", "latent", name]["Silhouette"]) == pytest.approx(expected, abs=6e-4)

    def test_copies_of_training_clouds_are_told_of(self, findings: Findings) -> None:
        assert "copies" not in accuracy(findings).note
        test, first = findings.dataset.split("test"), findings.measured[0]
        copied = replace(test, copies=np.array([1, 2, 59]))
        dataset = replace(findings.dataset, splits={**findings.dataset.splits, "test": copied})
        told = accuracy(replace(findings, dataset=dataset)).note
        assert told.startswith("60 test clouds of toys, 32 points each (3 of them are copies of training clouds); in")
        without = replace(first, fgsm=replace(first.fgsm, copies_left_out=3))
        told = accuracy(replace(findings, dataset=dataset, measured=[without, *findings.measured[1:]])).note
        assert "(3 that are copies of training clouds are left out); in" in told

    @pytest.mark.long
    def test_copies_are_left_out_of_all_that_is_measured(self, tmp_path: Path) -> None:
        whole = toy_dataset(96, 30)
        splits = {**whole.splits, "test": replace(whole.split("test"), copies=np.arange(5))}
        options = ReproduceOptions.model_validate(SMALL | {"regimes": ["simple"], "without_copies": True})
        found = result(reproduce(replace(whole, splits=splits), options, TRAINING, tmp_path))
        each = found.measured[0]
        assert each.fgsm.row.tolist() == each.pgd.row.tolist() == list(range(5, 30))
        assert {rate.n for rate in each.probe.values()} == {2 * 25}
        assert all(cell.correct.shape == (25,) for cell in each.readings)
        assert len(found.maps["simple"].labels) == 2 * 25

    def test_the_page_needs_no_other_file(self, unbroken: tuple[Path, list[Event]]) -> None:
        page = Page((unbroken[0] / "report.html").read_text(encoding="utf-8"))
        images = [source for source in page.sources if source.startswith("data:image/png;base64,")]
        assert len(images) == len(DRAWN)
        assert all(source.startswith("#") for source in page.sources if source not in images)
        for title in ("Table I", "Every reading of epsilon", "Top-k", "Confidence by five definitions", "Work"):
            assert title in page.text

    @pytest.mark.long
    def test_every_figure_can_be_drawn(
        self, findings: Findings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(report, "plates", plates)
        write_report(findings, tmp_path)
        names = {f"{name}{suffix}" for name in FIGURES for suffix in (".pdf", ".svg")}
        assert {path.name for path in (tmp_path / "figures").iterdir()} == names
        page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
        assert sum(source.startswith("data:image/png;base64,") for source in page.sources) == len(FIGURES)

    def test_table_one_is_what_the_records_say(self, unbroken: tuple[Path, list[Event]]) -> None:
        folder, _ = unbroken
        for row in table(folder, "table-1"):
            with (folder / "records" / f"{row['Training']}-seed0.csv").open(encoding="utf-8") as file:
                lines = list(csv.DictReader(file))
            assert len(lines) == 60
            for column, prediction in (
                ("Clean", "clean_prediction"),
                ("FGSM sign 0.1", "adversarial_prediction"),
                ("PGD-3 0.05", "pgd_prediction"),
            ):
                right = np.mean([line[prediction] == line["label"] for line in lines])
                value, low, high = map(float, re.findall(r"[\d.]+", row[column]))
                assert value == pytest.approx(100 * right, abs=0.005)
                assert low <= value <= high
        printed = {row["Training"]: (row["Paper: real"], row["Paper: adversarial"]) for row in table(folder, "table-1")}
        assert printed["defense"] == ("94.08", "96.35")

    def test_every_reading_has_its_realised_size(self, unbroken: tuple[Path, list[Event]]) -> None:
        rows = {(row["Direction"], row["Epsilon"]): row for row in table(unbroken[0], "readings")}
        assert len(rows) == 2 * (5 + 2 + 1)
        assert float(rows["sign", "0.1"]["L-infinity"]) == pytest.approx(0.1, abs=1e-3)
        assert float(rows["l2", "0.2"]["RMSE"]) == pytest.approx(0.2, abs=1e-3)
        assert float(rows["Gaussian", "0.2"]["RMSE"]) == pytest.approx(0.2, abs=0.02)
        assert [rows["the paper", epsilon]["simple"] for epsilon in ("0.1", "0.2")] == ["86.57", "64.78"]

    def test_latents_of_all_models_are_not_held_to_the_end(self, findings: Findings) -> None:
        latents = [side.latent for each in findings.measured for side in each.fgsm.sides]
        assert all(latent.size == 0 and latent.base is None for latent in latents)

    def test_the_reading_of_the_training_is_what_one_step_says(self, findings: Findings) -> None:
        each, cell = findings.first["simple"], ("sign", 0.1)
        test = findings.dataset.split("test")
        (said,) = result(one_step(each.model.module, test, FGSM, [cell], findings.evaluation))
        (found,) = [moved for moved in each.readings if (moved.direction, moved.epsilon) == cell]
        np.testing.assert_array_equal(found.correct, said.correct)
        np.testing.assert_allclose(found.rmse, said.rmse)

    def test_the_work_is_counted(self, unbroken: tuple[Path, list[Event]]) -> None:
        rows = {row["Run"]: row for row in table(unbroken[0], "work")}
        batches = int(np.ceil(int(rows["simple-seed0"]["Clouds an epoch"]) / 16))
        assert rows["simple-seed0"]["Gradient steps"] == str(batches)
        assert (
            rows["defense-seed0"]["Gradient steps"] == rows["adversarial-seed0"]["Gradient steps"] == str(2 * batches)
        )
        assert {row["Origin"] for row in rows.values()} == {"trained here"}

    def test_progress_rises_to_the_whole(self, unbroken: tuple[Path, list[Event]]) -> None:
        counts = [event for event in unbroken[1] if isinstance(event, Progress)]
        assert [event.done for event in counts] == sorted(event.done for event in counts)
        assert len({event.total for event in counts}) == 1
        assert counts[-1].done == counts[-1].total

    def test_the_claim_is_decided_by_its_interval(self, findings: Findings, monkeypatch: pytest.MonkeyPatch) -> None:
        for estimate, verdict in (
            (Estimate(0.1, 0.05, 0.15), "holds"),
            (Estimate(0.1, -0.05, 0.15), "undecided"),
            (Estimate(-0.1, -0.15, -0.05), "does not hold"),
        ):
            monkeypatch.setattr(Findings, "gain", lambda *_, estimate=estimate: estimate)
            assert claim(findings).rows[0][2] == f"{verdict} (1 seed)"

    def test_options_that_differ_are_named_and_those_that_follow_from_the_regime_are_not(
        self, findings: Findings
    ) -> None:
        assert differences(findings) == "All had the same options but regime and seed."
        each = next(one for one in findings.measured if one.entry.label == "defense")

        def with_options(**changes: Any) -> Findings:
            options = each.entry.options.model_copy(update=changes)
            other = replace(each, entry=replace(each.entry, options=options))
            return replace(findings, measured=[other if one is each else one for one in findings.measured])

        assert differences(with_options(attack_steps=1)) == "All had the same options but regime and seed."
        assert differences(with_options(regime="defense-pgd", attack_steps=5, averaging=0.9)) == (
            "defense-seed0 was trained with attack_steps 5 in place of 7, averaging 0.9 in place of 0.0."
        )


@pytest.mark.long
class TestRedFlag:
    def test_a_model_better_under_attack_is_flagged_with_what_decides(self, findings: Findings, tmp_path: Path) -> None:
        assert isinstance(red_flags(findings), list)
        each = next(one for one in findings.measured if one.entry.label == "adversarial")
        clean, label = each.fgsm.clean, each.fgsm.clean.label
        wrong = LabelledPredictions(np.roll(np.eye(3, dtype=np.float32)[label], 1, axis=1), clean.latent, label)
        flagged = replace(each, fgsm=replace(each.fgsm, clean=wrong))
        changed = replace(findings, measured=[flagged if one is each else one for one in findings.measured])
        assert "adversarial" in changed.red_flags
        sentence = next(text for text in red_flags(changed) if text.startswith("adversarial is right"))
        assert "PGD-3 at 0.05 leaves" in sentence
        assert "made on simple training leave" in sentence
        write_report(changed, tmp_path)
        assert sentence in Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
        assert sentence in read_json(tmp_path / "report.json")["red_flags"]

    def test_without_one_the_page_says_so(self, findings: Findings, tmp_path: Path) -> None:
        calm = replace(
            findings, measured=[one for one in findings.measured if one.entry.label not in findings.red_flags]
        )
        write_report(calm, tmp_path)
        assert "No model is better on adversarial clouds" in (tmp_path / "report.html").read_text(encoding="utf-8")


class TestResume:
    @pytest.mark.long
    def test_called_again_it_measures_nothing_anew(self, tmp_path: Path, unbroken: tuple[Path, list[Event]]) -> None:
        folder = tmp_path / "again"
        shutil.copytree(unbroken[0], folder)
        before = {path: path.stat().st_mtime_ns for path in (folder / "measured").rglob("*.npz")}
        reproduced(folder)
        assert {path: path.stat().st_mtime_ns for path in (folder / "measured").rglob("*.npz")} == before

    @pytest.mark.long
    def test_a_damaged_measurement_is_made_again(self, tmp_path: Path, unbroken: tuple[Path, list[Event]]) -> None:
        folder = tmp_path / "again"
        shutil.copytree(unbroken[0], folder)
        first, *_ = sorted((folder / "measured").rglob("*.npz"))
        whole = first.read_bytes()
        first.write_bytes(b"")
        assert _read_stored(first, "", REPORT) is None
        first.write_bytes(whole[: len(whole) // 2])
        reproduced(folder)
        assert first.read_bytes() == whole

    @pytest.mark.long
    @pytest.mark.parametrize("moment", [3, 30, 60, 95])
    def test_killed_anywhere_it_ends_with_the_same_tables(
        self, tmp_path: Path, unbroken: tuple[Path, list[Event]], moment: int
    ) -> None:
        """``moment``: the event after which it is killed, in % of all."""
        after = len(unbroken[1]) * moment // 100
        script = f"""
import os, signal
from pathlib import Path
import torch
from core.evaluation import probe
from core.studies.defense_pointnet.reproduction import reproduce
from core.studies.defense_pointnet.options import ReproduceOptions
from tests.core.toys import toy_dataset
torch.set_num_threads(1)
probe.STEPS = {STEPS}
options = ReproduceOptions.model_validate({SMALL!r})
for count, _ in enumerate(reproduce(toy_dataset(96, 60), options, {TRAINING!r}, Path({str(tmp_path)!r}))):
    if count == {after}:
        os.kill(os.getpid(), signal.SIGKILL)
"""
        root = Path(__file__).parents[2]
        killed = subprocess.run([sys.executable, "-c", script], cwd=root, env=os.environ | {"PYTHONPATH": str(root)})
        assert killed.returncode == -signal.SIGKILL
        assert not (tmp_path / "report.html").exists()
        reproduced(tmp_path)
        assert tables_of(tmp_path) == tables_of(unbroken[0])

    @pytest.mark.long
    def test_stopped_it_says_so_and_goes_on(self, tmp_path: Path, unbroken: tuple[Path, list[Event]]) -> None:
        cancel = Cancel()
        events = []
        options = ReproduceOptions.model_validate(SMALL)
        for event in reproduce(toy_dataset(96, 60), options, TRAINING, tmp_path, cancel):
            events.append(event)
            if len(events) == len(unbroken[1]) // 2:
                cancel.request()
        assert events[-1] == Done(None, complete=False)
        assert len(events) < len(unbroken[1])
        reproduced(tmp_path)
        assert tables_of(tmp_path) == tables_of(unbroken[0])

    @pytest.mark.long
    def test_more_seeds_are_added_to_what_is_there(self, tmp_path: Path, unbroken: tuple[Path, list[Event]]) -> None:
        trained = unbroken[0] / "runs"  # holds defense too, which is not asked for
        reproduced(tmp_path, runs=[trained], options={"seeds": 2, "regimes": ("simple", "adversarial")})
        rows = {row["Run"]: row["Origin"] for row in table(tmp_path, "work")}
        assert rows == {
            "simple-seed0": "found",
            "adversarial-seed0": "found",
            "simple-seed1": "trained here",
            "adversarial-seed1": "trained here",
            "defense-seed0": "found",
        }


class TestOddInput:
    def test_other_options_than_those_of_the_runs_are_refused(
        self, tmp_path: Path, unbroken: tuple[Path, list[Event]]
    ) -> None:
        shutil.copytree(unbroken[0] / "runs", tmp_path / "runs")
        without = {name: value for name, value in TRAINING.items() if name != "points"}
        with pytest.raises(ValueError, match="has points = 32, so it can't go on with 1024"):
            list(reproduce(toy_dataset(96, 60), ReproduceOptions.model_validate(SMALL), without, tmp_path))

    @pytest.mark.long
    def test_two_classes_and_one_regime_make_a_report(self, tmp_path: Path) -> None:
        whole = toy_dataset(96, 60)
        splits = {name: pairs_of(whole.split(name)) for name in ("train", "test")}
        card = whole.card.model_copy(update={"classes": whole.card.classes[:2]})
        options = ReproduceOptions.model_validate(SMALL | {"regimes": ["adversarial"]})
        done = list(reproduce(Dataset(card, splits), options, TRAINING, tmp_path))[-1]
        assert isinstance(done, Done)
        assert done.complete
        [row] = table(tmp_path, "table-1")
        assert row["FGSM made on simple"] == ""

    def test_no_regime_and_too_few_test_clouds_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ValidationError, match="regimes"):
            ReproduceOptions(regimes=())
        with pytest.raises(ValueError, match="toys has 9 test clouds, and the t-SNE maps need 16"):
            list(reproduce(toy_dataset(96, 9), ReproduceOptions(), TRAINING, tmp_path))

    def test_models_without_a_seed_in_common_are_not_compared(self, findings: Findings) -> None:
        moved = []
        for each in findings.measured:
            seed = 7 if each.entry.label == "defense" else 0
            options = each.entry.options.model_copy(update={"seed": seed})
            moved.append(replace(each, entry=replace(each.entry, options=options)))
        assert replace(findings, measured=moved).gain("defense", "adversarial") is None


def pairs_of(split: Split) -> Split:
    """The clouds of the first two classes."""
    rows = np.flatnonzero(split.labels < 2)
    return Split(split.points[rows], split.labels[rows], [split.names[row] for row in rows])


class TestFoundRuns:
    @pytest.mark.long
    def test_runs_take_the_place_of_trainings(self, tmp_path: Path, unbroken: tuple[Path, list[Event]]) -> None:
        reproduced(tmp_path, runs=[unbroken[0] / "runs"])
        assert not (tmp_path / "runs").exists()
        first, second = tables_of(unbroken[0]), tables_of(tmp_path)
        for row in (*first["work"], *second["work"]):
            del row["Origin"]
        assert first == second

    @pytest.mark.long
    def test_those_of_no_use_are_named(self, tmp_path: Path, unbroken: tuple[Path, list[Event]]) -> None:
        toy_run(tmp_path / "runs/odd", toy_dataset(48, 12), epochs=1)
        record = (tmp_path / "runs/odd/options.json").read_text()
        (tmp_path / "runs/odd/options.json").write_text(record.replace("0123456789abcdef", "another"))
        events = reproduced(tmp_path / "out", runs=[tmp_path / "runs", unbroken[0] / "runs"])
        notes = [event.text for event in events if isinstance(event, Note)]
        assert f"{tmp_path / 'runs/odd'} was trained on another dataset and is left out." in notes

    def test_a_folder_without_runs_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="no training run with a finished epoch in"):
            reproduced(tmp_path / "out", runs=[tmp_path])


def test_on_its_own_dataset_the_recipe_is_the_papers() -> None:
    chosen = TrainOptions.model_validate(recipe("shapenetpart"))
    assert (chosen.points, chosen.replacement, chosen.batch_size) == (2500, True, 32)
    assert [chosen.learning_rate_at(epoch) for epoch in (1, 20, 21, 41)] == [1e-3, 1e-3, 5e-4, 2.5e-4]
    assert recipe("shapes16") == {}


@pytest.mark.long
def test_the_command_on_the_built_in_shapes(tmp_path: Path) -> None:
    """As a person calls it: a process of its own, with the program's allocator and as many threads as it takes."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    environment["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    words = f"reproduce defense-pointnet --dataset shapes16 --out {tmp_path} --epochs 2 --subset 512 --json"
    smaller = "--points 256 --pgd-steps 5 --map-clouds 120"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, str(root / "main.py"), *words.split(), *smaller.split()],
        env=environment,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["complete"] is True
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == FIGURES
    rows = {row["Training"]: row for row in table(tmp_path, "table-1")}
    assert float(rows["adversarial"]["Clean"].split()[0]) > 50, "two epochs on 512 clouds teach it most of 16 classes"
