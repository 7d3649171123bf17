"""Several models on the same clouds: numbers that agree with each measure alone, progress, stopping, records."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.attacks import preset
from core.evaluation.auto import AutoAttack
from core.evaluation.comparison import Comparison, ComparisonOptions, compare
from core.evaluation.confidence import DEFINITIONS, reliability
from core.evaluation.judge import evaluate_accuracy
from core.evaluation.sweep import sweep
from core.events import Cancel, Done, Progress, Step, result
from core.models.checkpoints import LoadedModel, ModelCard
from core.results.records import write_csv
from tests.core.toys import CLASSES, settled_pointnet, toy_dataset

DATASET = toy_dataset(test=20)
OPTIONS = ComparisonOptions(clouds=12, points=32, batch_size=4, budgets=4, sweep_to=0.3)
FGSM = preset("fgsm", epsilon=0.1)


def loaded(name: str, noise: float, **changes: Any) -> LoadedModel:
    """A PointNet that differs from others of another noise."""
    module = settled_pointnet(32).float()
    with torch.no_grad():
        last = list(module.parameters())[-1]
        last.add_(noise * torch.arange(len(last)))
    values: dict[str, Any] = {
        "name": name,
        "title": name.title(),
        "architecture": "pointnet",
        "classes": CLASSES,
        "regime": "simple",
    }
    values |= {"points": 32, "dataset": "toys", "fingerprint": "0", "up_axis": "z", "seed": 0, "epochs": 1}
    return LoadedModel(module, ModelCard.model_validate(values | changes), "0")


@pytest.fixture(scope="module")
def models() -> tuple[LoadedModel, LoadedModel]:
    return loaded("first", 0.0), loaded("second", 0.5)


@pytest.fixture(scope="module")
def events(models: tuple[LoadedModel, ...]) -> list[Any]:
    return list(compare(models, DATASET, FGSM, OPTIONS))


@pytest.fixture(scope="module")
def comparison(events: list[Any]) -> Comparison:
    found: Comparison = events[-1].value
    return found


def test_each_model_is_measured_as_if_it_were_alone(comparison: Comparison, models: tuple[LoadedModel, ...]) -> None:
    split = DATASET.split("test")
    for measured, model in zip(comparison.measurements, models, strict=True):
        alone = result(evaluate_accuracy(model.module, split, FGSM, OPTIONS))
        clean, moved = measured.report.sides
        np.testing.assert_array_equal(measured.report.row, alone.row)
        np.testing.assert_allclose(clean.logits, alone.clean.logits, rtol=1e-5)
        np.testing.assert_allclose(moved.logits, alone.adversarial.logits, rtol=1e-5)
        curve = result(sweep(model.module, split, FGSM, [0.0, 0.1, 0.2, 0.3], OPTIONS))
        assert measured.sweep is not None
        np.testing.assert_allclose(measured.sweep.epsilons, curve.epsilons)
        np.testing.assert_array_equal(measured.sweep.correct, curve.correct)
    assert len({measured.report.sides[0].logits.tobytes() for measured in comparison.measurements}) == 2


@pytest.mark.parametrize("attack", [FGSM, preset("bim", epsilon=0.1, steps=2)])
def test_one_progress_runs_over_everything_and_ends_full(models: tuple[LoadedModel, ...], attack: Any) -> None:
    events = list(compare(models, DATASET, attack, OPTIONS))
    told = [event for event in events if isinstance(event, Progress)]
    (total,) = {event.total for event in told}
    assert total == 2 * 12 * (2 if attack is FGSM else 4)
    done = [event.done for event in told]
    assert done == sorted(done)
    assert done[-1] == total
    texts = list(dict.fromkeys(event.text.split(":")[0] for event in told))
    assert texts == ["First", "sweep of First", "Second", "sweep of Second"]


def test_what_is_there_so_far_is_told_after_each_model(events: list[Any]) -> None:
    steps = [event for event in events if isinstance(event, Step)]
    assert [len(step.value.measurements) for step in steps] == [1, 2]
    assert [step.index / step.total for step in steps] == [0.5, 1.0]
    assert isinstance(events[-1], Done)
    assert events[-1].complete


def test_the_table_has_the_numbers_of_the_measures(comparison: Comparison) -> None:
    table = comparison.table()
    for row, measured in zip(table.rows, comparison.measurements, strict=True):
        line = dict(zip(table.columns, row, strict=True))
        clean, moved = measured.report.sides
        assert line["Model"] == measured.model.card.title
        assert line["Clean accuracy (%)"] == pytest.approx(100 * np.mean(clean.prediction == clean.label))
        low, high = clean.accuracy.interval
        assert line["Clean 95 % interval"] == f"{100 * low:.1f}–{100 * high:.1f}"
        assert line["Mean L-infinity (r)"] == pytest.approx(0.1, abs=1e-6)
        assert line["Mean RMSE (r)"] == pytest.approx(moved.rmse.mean())
        assert line["Adversarial confidence"] == pytest.approx(moved.confidence.mean())
        assert line["Adversarial ECE"] == pytest.approx(reliability(moved).error)
        assert measured.sweep is not None
        assert line["Area under sweep"] == pytest.approx(measured.sweep.area)
    assert table.title == "Toys, test split, 12 clouds of 32 points; sign attack at epsilon 0.100 r, 1 step, seed 0"


def test_it_says_how_it_was_made_and_whether_it_is_whole(
    events: list[Any], comparison: Comparison, models: tuple[LoadedModel, ...]
) -> None:
    made_with = comparison.provenance()
    assert made_with["weights"] == {model.name: model.sha256 for model in models}
    assert made_with["options"] == {"attack": FGSM.model_dump(), "evaluation": OPTIONS.model_dump()}
    assert (made_with["dataset"], made_with["dataset_name"], made_with["seed"]) == ("0123456789abcdef", "toys", 0)
    whole = [event.value.provenance()["complete"] for event in events if isinstance(event, Step | Done)]
    assert whole == [False, True, True]


def test_copies_left_out_are_told() -> None:
    splits = {**DATASET.splits, "test": replace(DATASET.split("test"), copies=np.array([0, 3]))}
    options = OPTIONS.changed(clouds=None, without_copies=True)
    found = result(compare([loaded("first", 0.0)], replace(DATASET, splits=splits), FGSM, options))
    assert found.rows.tolist() == [1, 2, *range(4, 20)]
    assert "18 clouds of 32 points (2 copies of training clouds left out);" in found.table().title


def test_the_records_give_the_table_back(comparison: Comparison, tmp_path: Path) -> None:
    write_csv(tmp_path / "records.csv", comparison.records())
    with (tmp_path / "records.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 2 * 12
    for measured in comparison.measurements:
        mine = [line for line in lines if line["model"] == measured.model.card.title]
        for kind, side in zip(("clean", "adversarial"), measured.report.sides, strict=True):
            right = [line[f"{kind}_prediction"] == line["label"] for line in mine]
            assert np.mean(right) == pytest.approx(side.accuracy.value)
            assert right == [line[f"{kind}_rank"] == "1" for line in mine]
        assert measured.sweep is not None
        assert np.mean([line["correct_at_0.2"] == "True" for line in mine]) == measured.sweep.accuracies[2]
        assert [line["cloud"] for line in mine] == [DATASET.split("test").names[row] for row in comparison.rows]


def test_the_clouds_of_a_confidence_are_those_it_is_about(comparison: Comparison) -> None:
    first = comparison.measurements[0]
    for key in DEFINITIONS:
        for values, places, side in zip(*first.confidences(key), first.report.sides, strict=True):
            assert len(values) == len(places)
            if key == "correct":
                np.testing.assert_array_equal(places, np.flatnonzero(side.prediction == side.label))
                np.testing.assert_allclose(values, side.confidence[places])
            else:
                np.testing.assert_array_equal(places, np.arange(12))


def test_a_cloud_is_the_one_that_was_measured(comparison: Comparison) -> None:
    cloud, split = comparison.cloud(5), DATASET.split("test")
    row = comparison.rows[5]
    assert cloud.name == split.names[row]
    np.testing.assert_array_equal(cloud.points, split.points[row, :32])


def test_the_train_split_and_all_of_its_clouds(models: tuple[LoadedModel, ...]) -> None:
    options = ComparisonOptions(split="train", clouds=None, budgets=None, points=16)
    found: Comparison = result(compare(models[:1], DATASET, FGSM, options))
    assert len(found.rows) == 60
    assert found.measurements[0].sweep is None
    assert found.table().rows[0][-1] is None
    assert not any(name.startswith("correct_at") for name in found.records())
    assert found.cloud(0).name == DATASET.split("train").names[0]


@pytest.mark.parametrize(
    ("after", "kept", "swept"),
    [
        ("First: clouds attacked", 0, 0),
        ("sweep of First: clouds moved", 1, 0),
        ("Second: clouds attacked", 1, 1),
        ("sweep of Second: clouds moved", 2, 1),
    ],
)
def test_stopping_keeps_what_is_whole(models: tuple[LoadedModel, ...], after: str, kept: int, swept: int) -> None:
    cancel, last = Cancel(), None
    for event in compare(models, DATASET, FGSM, OPTIONS, cancel):
        if isinstance(event, Progress) and event.text == after:
            cancel.request()
        last = event
    assert isinstance(last, Done)
    assert not last.complete
    if kept:
        assert len(last.value.measurements) == kept
        assert sum(measured.sweep is not None for measured in last.value.measurements) == swept
        assert {len(measured.report.row) for measured in last.value.measurements} == {12}
        assert len(last.value.records()["row"]) == 12 * kept
    else:
        assert last.value is None


def test_under_auto_nothing_is_swept(models: tuple[LoadedModel, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.evaluation.auto.STAGES", {"apgd-ce": {"steps": 2}})
    *_, step, done = compare(models[:1], DATASET, AutoAttack(epsilon=0.1), OPTIONS)
    assert step.index == step.total
    assert done.complete
    assert done.value.measurements[0].sweep is None
    assert done.value.measurements[0].report.sides[1].linf.max() <= 0.1 + 1e-6
    assert "auto (Auto-PGD, FAB, Square, transfer) at epsilon 0.100 r" in done.value.caption
    assert done.value.provenance()["options"]["preset"] == "auto"


def test_what_cannot_be_compared_is_refused_in_a_sentence(models: tuple[LoadedModel, ...]) -> None:
    stranger = loaded("stranger", 0.0, classes=("a", "b", "c"))
    for given, attack, words in (
        ((), FGSM, "There is no model to measure"),
        ((models[0], stranger), FGSM, "Stranger knows other classes than "),
        (models, preset("fgsm", goal="targeted"), "untargeted"),
    ):
        with pytest.raises(ValueError, match=words):
            next(iter(compare(given, DATASET, attack, OPTIONS)))
    with pytest.raises(ValueError, match="65 points were asked for"):
        next(iter(compare(models, DATASET, FGSM, ComparisonOptions(points=65))))
