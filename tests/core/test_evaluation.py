import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from core.attacks import preset
from core.clouds import linf, rmse
from core.datasets import Split
from core.evaluation.accuracy import (
    AccuracyReport,
    AdversarialPredictions,
    EvaluationOptions,
    LabelledPredictions,
    Rate,
)
from core.evaluation.judge import evaluate_accuracy, judge
from core.evaluation.latents import LatentOptions, latent_map
from core.evaluation.make import make_set
from core.evaluation.tsne import TsneOptions
from core.events import Cancel, Done, Progress, result
from core.models import Output, build
from core.results.records import plain
from tests.core.toys import toy_split


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(0)
    return build("pointnet", 3).eval()


def evaluated(model: nn.Module, attack: str | None = "fgsm", **options: int) -> AccuracyReport:
    chosen = preset(attack, epsilon=0.1) if attack else None
    report: AccuracyReport = result(
        evaluate_accuracy(model, toy_split(20), chosen, EvaluationOptions.model_validate({"points": 48} | options))
    )
    return report


def extents(clouds: torch.Tensor) -> Output:
    """A sound classifier of the toys: a plate is flat along z, a cigar is thin along x."""
    size = clouds.amax(1) - clouds.amin(1)
    ratio = size[:, 2] / size[:, 0]
    logits = torch.stack([-((ratio.log() - centre) ** 2) for centre in (0.0, -2.3, 2.3)], 1)
    return Output(logits, size)


def test_accuracies_have_counts_intervals_and_realised_distances() -> None:
    report: AccuracyReport = result(
        evaluate_accuracy(extents, toy_split(20), preset("fgsm", epsilon=0.01), EvaluationOptions(points=64))
    )
    summary = report.summary()
    assert summary["n"] == 20
    assert summary["clean_accuracy"] == 1.0
    assert summary["clean_interval"] == pytest.approx((0.8389, 1.0), abs=1e-4)  # Wilson's, of 20 in 20
    assert summary["linf_max"] == pytest.approx(0.01, abs=1e-6)
    assert 0 < summary["rmse_mean"] < 0.01
    json.dumps(plain(summary))


def test_every_cloud_has_its_own_record(model: nn.Module) -> None:
    report = evaluated(model)
    columns = report.records
    assert {len(column) for column in columns.values()} == {20}
    split = toy_split(20)
    logits = model(torch.from_numpy(split.points[:, :48])).logits.detach()
    label = torch.from_numpy(split.labels)
    probabilities = logits.softmax(1)
    np.testing.assert_array_equal(columns["row"], np.arange(20))
    np.testing.assert_array_equal(columns["label"], split.labels)
    np.testing.assert_array_equal(columns["clean_prediction"], logits.argmax(1))
    np.testing.assert_allclose(columns["clean_confidence"], probabilities.amax(1), rtol=1e-4)
    np.testing.assert_allclose(columns["clean_true_confidence"], probabilities[range(20), label], rtol=1e-4)
    np.testing.assert_allclose(columns["clean_loss"], F.cross_entropy(logits, label, reduction="none"), rtol=1e-4)
    assert (columns["adversarial_loss"] >= columns["clean_loss"]).mean() > 0.9


def test_adversarial_answers_and_distances_are_those_of_the_attack(model: nn.Module) -> None:
    report = evaluated(model, batch_size=7)
    split = toy_split(20)
    x, y = torch.from_numpy(split.points[:, :48].copy()), torch.from_numpy(split.labels)
    state = result(preset("fgsm", epsilon=0.1).run(model, x, y))
    assert isinstance(report.adversarial, AdversarialPredictions)
    np.testing.assert_allclose(report.adversarial.logits, state.best.logits, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(report.adversarial.linf, linf(x, state.adversarial), rtol=1e-5)
    np.testing.assert_allclose(report.adversarial.rmse, rmse(x, state.adversarial), rtol=1e-2)


def test_ending_once_fooled_asks_less_and_finds_the_same_accuracy(model: nn.Module) -> None:
    attack, asked = preset("pgd", epsilon=0.05, steps=6, restarts=0), [0]

    def counted(clouds: torch.Tensor) -> Output:
        asked[0] += len(clouds)
        answer: Output = model(clouds)
        return answer

    reports, counts = [], []
    for stop_on_success in (False, True):
        asked[0] = 0
        options = EvaluationOptions(points=48, stop_on_success=stop_on_success)
        reports.append(result(evaluate_accuracy(counted, toy_split(20), attack, options)))
        counts.append(asked[0])
    whole, until_success = reports
    np.testing.assert_array_equal(until_success.adversarial.correct, whole.adversarial.correct)
    np.testing.assert_allclose(until_success.clean.logits, whole.clean.logits, rtol=1e-4, atol=1e-5)
    assert counts[1] < counts[0] == 20 * 7
    assert until_success.adversarial.linf.max() <= 0.05 + 1e-6


@pytest.mark.parametrize("changes", [{"stop_on_success": True}, {"batch_size": 7}, {"batch_size": 1}])
def test_random_starts_are_a_clouds_own_whatever_is_computed_beside_it(model: nn.Module, changes: dict) -> None:
    attack = preset("pgd", epsilon=0.03, steps=3, restarts=3)
    whole, other = (
        result(evaluate_accuracy(model, toy_split(20), attack, EvaluationOptions(points=48, **options)))
        for options in ({}, changes)
    )
    assert 0 < whole.adversarial.accuracy.value < 1
    np.testing.assert_array_equal(other.adversarial.correct, whole.adversarial.correct)
    if "batch_size" in changes:
        np.testing.assert_allclose(other.adversarial.linf, whole.adversarial.linf, atol=1e-6)


def test_a_long_attack_is_left_in_its_midst(model: nn.Module) -> None:
    cancel, asked = Cancel(), [0]

    def counted(clouds: torch.Tensor) -> Output:
        asked[0] += 1
        if asked[0] == 20:
            cancel.request()
        return model(clouds)

    options = EvaluationOptions(points=48, batch_size=8)
    attack = preset("pgd", epsilon=0.1, steps=15, restarts=0)
    *_, done = evaluate_accuracy(counted, toy_split(20), attack, options, cancel)
    assert not done.complete
    assert len(done.value.row) == len(done.value.adversarial.correct) == 8
    assert asked[0] == 20
    none = list(evaluate_accuracy(model, toy_split(20), attack, options, cancel))[-1]
    assert (none.value, none.complete) == (None, False)


def test_transferred_the_attack_is_made_on_one_model_and_judged_by_another(model: nn.Module) -> None:
    attack, split = preset("fgsm", epsilon=0.1), toy_split(20)
    options = EvaluationOptions(points=48, batch_size=8)
    own = result(evaluate_accuracy(model, split, attack, options))
    made = result(make_set(model, split, attack, options))
    report = result(judge(extents, split, made, options))
    assert report.clean.accuracy == Rate(20, 20)
    np.testing.assert_array_equal(report.adversarial.linf, own.adversarial.linf)
    x, y = torch.from_numpy(split.points[:, :48].copy()), torch.from_numpy(split.labels)
    moved = result(attack.run(model, x, y)).adversarial
    np.testing.assert_allclose(report.adversarial.logits, extents(moved).logits, rtol=1e-4, atol=1e-4)


def test_without_an_attack_only_the_clean_clouds_are_asked_about(model: nn.Module) -> None:
    report = evaluated(model, None)
    assert report.adversarial is None
    np.testing.assert_allclose(report.clean.logits, evaluated(model).clean.logits, rtol=1e-4, atol=1e-5)
    clean = {"clean_accuracy", "clean_interval", "clean_confidence", "clean_loss"}
    assert set(report.summary()) == {"n", "copies_left_out"} | clean


def test_a_budget_of_zero_changes_nothing(model: nn.Module) -> None:
    report: AccuracyReport = result(
        evaluate_accuracy(model, toy_split(8), preset("fgsm", epsilon=0.0), EvaluationOptions(points=64))
    )
    assert report.adversarial is not None
    np.testing.assert_allclose(report.adversarial.logits, report.clean.logits, rtol=1e-4, atol=1e-5)
    assert report.adversarial.linf.max() == 0


def test_a_subset_is_spread_over_the_classes_and_its_rows_are_told(model: nn.Module) -> None:
    report = evaluated(model, None, clouds=6)
    assert len(report.row) == 6
    np.testing.assert_array_equal(np.bincount(report.clean.label), [2, 2, 2])
    np.testing.assert_array_equal(report.clean.label, toy_split(20).labels[report.row])


def test_stopping_keeps_the_clouds_that_were_reached(model: nn.Module) -> None:
    cancel = Cancel()
    stream = evaluate_accuracy(model, toy_split(20), preset("fgsm"), EvaluationOptions(points=32, batch_size=8), cancel)
    assert next(stream) == Progress(8, 20, "clouds attacked")
    cancel.request()
    done = list(stream)[-1]
    assert isinstance(done, Done)
    assert not done.complete
    assert done.value.summary()["n"] == 8


def test_mode_and_weights_stay_as_they_were() -> None:
    model = build("pointnet", 3).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    evaluated(model, "pgd", clouds=4, batch_size=4)
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_too_many_points_or_no_cloud_are_refused(model: nn.Module) -> None:
    with pytest.raises(ValueError, match="65 points were asked for, and the split has 20 clouds of 64"):
        evaluated(model, points=65)
    empty = Split(np.zeros((0, 64, 3), np.float32), np.zeros(0, np.int64), [])
    with pytest.raises(ValueError, match="the split has 0 clouds"):
        list(evaluate_accuracy(model, empty))
    with pytest.raises(ValueError, match="the split has 0 clouds"):
        list(latent_map(model, empty, preset("fgsm"), LatentOptions(), TsneOptions()))


def test_a_rate_of_no_cloud_is_nothing_and_one_of_many_has_an_interval() -> None:
    logits = np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 1]]
    verdicts = LabelledPredictions(logits, logits, np.array([0, 0, 1, 0, 1]))
    assert verdicts.accuracy == Rate(4, 5)
    assert np.isnan(Rate(0, 0).value)
    assert Rate(0, 0).interval == (0.0, 1.0)
    assert str(Rate(96, 100)) == "96.00% (90.16% to 98.43%, n = 100)"
