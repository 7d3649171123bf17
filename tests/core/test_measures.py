"""Top-k, confusion, confidence, sweeps, fgsm_variants, bootstrap and the fresh discriminator, against closed forms."""

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.metrics import confusion_matrix, top_k_accuracy_score

from core.attacks import DIRECTIONS, preset
from core.evaluation.accuracy import (
    AccuracyReport,
    AdversarialPredictions,
    CleanCache,
    EvaluationOptions,
    LabelledPredictions,
    Rate,
)
from core.evaluation.bootstrap import bootstrap
from core.evaluation.confidence import DEFINITIONS, reliability
from core.evaluation.judge import evaluate_accuracy
from core.evaluation.onestep import FGSM, NOISES, fgsm_variants, one_step
from core.evaluation.probe import MODES, fresh_discriminator, latents_in_modes, probe
from core.evaluation.sweep import Sweep, sweep
from core.events import Cancel, Done, Progress, result
from core.models import Output
from tests.core.toys import settled_pointnet, toy_dataset, toy_split

OPTIONS = EvaluationOptions(points=32, batch_size=8)


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    return settled_pointnet(32).float()


@pytest.fixture(scope="module")
def verdicts() -> LabelledPredictions:
    rng = np.random.default_rng(0)
    label = rng.integers(6, size=200)
    logits = rng.normal(size=(200, 6)) + 1.5 * np.eye(6)[label]
    return LabelledPredictions(logits.astype(np.float32), np.zeros((200, 0), np.float32), label)


class TestVerdicts:
    def test_top_k_is_scikit_learns(self, verdicts: LabelledPredictions) -> None:
        expected = [top_k_accuracy_score(verdicts.label, verdicts.logits, k=k) for k in range(1, 6)]
        assert [rate.value for rate in verdicts.top_k(5)] == pytest.approx(expected)
        assert verdicts.top_k(6)[-1].value == 1.0

    def test_top_1_is_the_accuracy_even_where_logits_tie(self) -> None:
        tied = LabelledPredictions(np.zeros((3, 3), np.float32), np.zeros((3, 0), np.float32), np.arange(3))
        assert tied.top_k(3) == [Rate(1, 3), Rate(2, 3), Rate(3, 3)]
        assert tied.top_k(1) == [tied.accuracy]

    def test_confusion_is_scikit_learns(self, verdicts: LabelledPredictions) -> None:
        expected = confusion_matrix(verdicts.label, verdicts.prediction, labels=range(6))
        np.testing.assert_array_equal(verdicts.confusion(), expected)


class TestConfidence:
    def test_each_definition_is_what_its_name_says(self, verdicts: LabelledPredictions) -> None:
        chances = softmax(verdicts.logits.astype(float), axis=1)
        own = chances[np.arange(200), verdicts.label]
        values = {name: definition.values(verdicts) for name, definition in DEFINITIONS.items()}
        np.testing.assert_allclose(values["predicted"], chances.max(1), rtol=1e-5)
        np.testing.assert_allclose(values["true"], own, rtol=1e-5)
        np.testing.assert_allclose(values["correct"], own[verdicts.correct], rtol=1e-5)
        assert ((values["margin"] > 0) == verdicts.correct).all()

    def test_a_model_as_often_right_as_it_says_is_calibrated(self) -> None:
        rng = np.random.default_rng(1)
        right = rng.uniform(0.5, 1, 40_000)
        logits = np.stack([np.log(right), np.log(1 - right)], axis=1).astype(np.float32)
        label = (rng.random(40_000) > right).astype(int)
        honest = reliability(LabelledPredictions(logits, np.zeros((40_000, 0), np.float32), label))
        boastful = reliability(LabelledPredictions(3 * logits, np.zeros((40_000, 0), np.float32), label))
        assert honest.error < 0.01
        assert boastful.error > 0.1
        assert honest.count.sum() == 40_000

    def test_one_bin_is_the_gap_of_confidence_and_accuracy(self) -> None:
        logits = np.tile(np.log([0.9, 0.1]).astype(np.float32), (10, 1))
        found = reliability(LabelledPredictions(logits, np.zeros((10, 0), np.float32), np.arange(10) % 2))
        assert found.error == pytest.approx(0.4, abs=1e-6)
        assert found.count.tolist() == [10]


class TestOneStep:
    def test_every_reading_equals_the_attack_of_that_direction(self, model: torch.nn.Module) -> None:
        split = toy_split(20, 32)
        table = result(one_step(model, split, FGSM, fgsm_variants([0.05, 0.1]), OPTIONS))
        assert [(cell.direction, cell.epsilon) for cell in table] == [
            (name, epsilon) for name in (*DIRECTIONS, *NOISES) for epsilon in (0.05, 0.1)
        ]
        for cell in table[:10]:
            attack = preset("fgsm", direction=cell.direction, epsilon=cell.epsilon)
            report = result(evaluate_accuracy(model, split, attack, OPTIONS))
            np.testing.assert_array_equal(cell.correct, report.adversarial.correct)
            np.testing.assert_allclose(cell.rmse, report.adversarial.rmse, rtol=1e-5)
            np.testing.assert_allclose(cell.linf, report.adversarial.linf, rtol=1e-5)

    def test_noise_has_the_size_it_is_compared_at(self, model: torch.nn.Module) -> None:
        cells = result(one_step(model, toy_split(20, 32), FGSM, fgsm_variants([0.1]), OPTIONS))
        sign, gaussian = cells[-2:]
        np.testing.assert_allclose(sign.linf, 0.1, rtol=1e-5)
        np.testing.assert_allclose(sign.rmse, 0.1, rtol=1e-5)
        assert gaussian.rmse.mean() == pytest.approx(0.1, rel=0.05)

    def test_stopped_early_it_keeps_what_it_has(self, model: torch.nn.Module) -> None:
        cancel = Cancel()
        cancel.request()
        *progress, done = one_step(model, toy_split(20, 32), FGSM, fgsm_variants([0.1]), OPTIONS, cancel)
        assert isinstance(done, Done)
        assert not done.complete
        assert {len(cell.correct) for cell in done.value} == {8}
        assert [event.done for event in progress if isinstance(event, Progress)] == [8]


class TestSweep:
    def test_one_step_and_many_evaluations_agree(self, model: torch.nn.Module) -> None:
        split, attack, epsilons = toy_split(20, 32), preset("fgsm"), [0.0, 0.05, 0.2]
        found: Sweep = result(sweep(model, split, attack, epsilons, OPTIONS))
        for epsilon, right in zip(epsilons, found.correct, strict=True):
            report = result(evaluate_accuracy(model, split, attack.at(epsilon), OPTIONS))
            np.testing.assert_array_equal(right, report.adversarial.correct)

    @pytest.mark.parametrize("changes", [{"objective": "margin"}, {"regulariser": "knn", "regulariser_weight": 1e3}])
    def test_one_step_of_another_objective_is_not_taken_for_that_of_the_loss(
        self, model: torch.nn.Module, changes: dict[str, Any]
    ) -> None:
        split, attack = toy_split(20, 32), preset("fgsm", direction="l2", **changes)
        found: Sweep = result(sweep(model, split, attack, [0.1, 0.3], OPTIONS))
        for epsilon, right in zip((0.1, 0.3), found.correct, strict=True):
            report = result(evaluate_accuracy(model, split, attack.at(epsilon), OPTIONS))
            np.testing.assert_array_equal(right, report.adversarial.correct)

    def test_one_step_with_momentum_moves_as_that_attack_does(self, model: torch.nn.Module) -> None:
        split, attack = toy_split(20, 32), preset("mi", steps=1, direction="raw", epsilon=0.2)
        [moved] = result(one_step(model, split, {"mi": attack}, [("mi", 0.2)], OPTIONS))
        report = result(evaluate_accuracy(model, split, attack, OPTIONS))
        np.testing.assert_allclose(moved.rmse, report.adversarial.rmse, rtol=1e-5)

    def test_an_attack_of_many_steps_is_run_at_each_budget(self, model: torch.nn.Module) -> None:
        split, attack = toy_split(10, 32), preset("bim", steps=3)
        found: Sweep = result(sweep(model, split, attack, [0.0, 0.1], OPTIONS))
        report = result(evaluate_accuracy(model, split, attack.at(0.1), OPTIONS))
        np.testing.assert_array_equal(found.correct[1], report.adversarial.correct)
        np.testing.assert_array_equal(found.correct[0], report.clean.correct)

    def test_the_area_of_a_straight_line_is_its_mean(self) -> None:
        epsilons = np.linspace(0, 0.3, 7)
        falling = Sweep(epsilons, np.arange(6) < np.arange(6, -1, -1)[:, None])
        np.testing.assert_allclose(falling.accuracies, np.arange(6, -1, -1) / 6)
        assert falling.area == pytest.approx(0.5)

    @pytest.mark.parametrize("epsilons", [[0.1], [0.1, 0.1], [0.2, 0.1]])
    def test_budgets_that_make_no_curve_are_refused(self, model: torch.nn.Module, epsilons: list[float]) -> None:
        with pytest.raises(ValueError, match="at least two rising budgets"):
            result(sweep(model, toy_split(3, 32), preset("fgsm"), epsilons, OPTIONS))


class TestBootstrap:
    @given(st.integers(1, 199))
    def test_of_one_seed_it_is_the_binomials_interval(self, hits: int) -> None:
        estimate = bootstrap((np.arange(200) < hits)[None])
        spread = np.sqrt(hits / 200 * (1 - hits / 200) / 200)
        assert estimate.value == hits / 200
        assert estimate.low <= estimate.value <= estimate.high
        assert estimate.high - estimate.low == pytest.approx(2 * 1.96 * spread, abs=0.012)

    def test_seeds_that_differ_widen_it(self) -> None:
        clouds = np.arange(400) % 10 < 8
        same = bootstrap(np.stack([clouds] * 3))
        unlike = bootstrap(np.stack([clouds, np.ones(400), np.arange(400) % 10 < 6]))
        assert same.value == pytest.approx(unlike.value)
        assert unlike.high - unlike.low > 2 * (same.high - same.low)

    def test_a_paired_difference_is_narrower_than_two_intervals(self) -> None:
        rng = np.random.default_rng(0)
        first = rng.random((1, 1000)) < 0.8
        second = first ^ (rng.random((1, 1000)) < 0.02)
        paired = bootstrap(first.astype(float) - second)
        assert paired.high - paired.low < 0.5 * (bootstrap(first).high - bootstrap(first).low)

    def test_nothing_has_no_mean(self) -> None:
        with pytest.raises(ValueError, match="outcomes of the shape"):
            bootstrap(np.zeros((1, 0)))


class TestFreshDiscriminator:
    @staticmethod
    def pair(shift: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Latents of 300 clean and of 300 adversarial clouds, which are ``shift`` away from them."""
        clean, moved = np.random.default_rng(seed).normal(size=(2, 300, 16)).astype(np.float32)
        return torch.from_numpy(clean), torch.from_numpy(moved + np.float32(shift))

    def test_it_tells_apart_what_differs_and_not_what_is_alike(self) -> None:
        assert fresh_discriminator(self.pair(2.0, 0), self.pair(2.0, 1), 64).value > 0.99
        assert fresh_discriminator(self.pair(0.0, 0), self.pair(0.0, 1), 64).value == pytest.approx(0.5, abs=0.08)

    def test_it_is_the_same_at_every_call_and_disturbs_no_other_randomness(self) -> None:
        before = torch.random.get_rng_state()
        first, second = (fresh_discriminator(self.pair(0.3, 0), self.pair(0.3, 1), 64) for _ in range(2))
        assert first == second
        assert torch.equal(before, torch.random.get_rng_state())

    def test_the_size_of_the_latents_does_not_matter(self) -> None:
        fit, test = ([1e-4 * latent for latent in self.pair(2.0, seed)] for seed in (0, 1))
        assert fresh_discriminator((fit[0], fit[1]), (test[0], test[1]), 64).value > 0.99


class Normalised(torch.nn.Module):
    """A model whose latent of a cloud is its centre after batch norm, and so can be computed by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(3, eps=1e-12)
        self.last = torch.nn.Linear(3, 3)

    def forward(self, clouds: torch.Tensor) -> Output:
        latent = self.norm(clouds.mean(1))
        return Output(self.last(latent), latent)


class TestLatentModes:
    CLEAN = torch.tensor([[0.0, 0, 0], [2, 4, 6]])[:, None].expand(2, 5, 3)
    MOVED = CLEAN + 10

    def test_batch_norm_uses_running_statistics_or_those_of_each_batch_or_of_both_together(self) -> None:
        model = Normalised().eval()
        model.norm.running_mean.fill_(1.0)
        model.norm.running_var.fill_(4.0)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        found = latents_in_modes(model, self.CLEAN, self.MOVED)
        assert found.keys() == MODES.keys()

        clean, moved = self.CLEAN[:, 0], self.MOVED[:, 0]
        for latent, centre in zip(found["eval"], (clean, moved), strict=True):
            torch.testing.assert_close(latent, (centre - 1) / 2)
        signs = torch.tensor([[-1.0], [1.0]]).expand(2, 3)
        for latent in found["separate"]:  # each of two clouds is one deviation from their mean
            torch.testing.assert_close(latent, signs)
        both = torch.cat([clean, moved])
        expected = (both - both.mean(0)) / both.std(0, correction=0)
        torch.testing.assert_close(torch.cat(found["concatenated"]), expected)

        assert not model.training
        assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())

    def test_in_batches_of_their_own_a_shift_of_all_clouds_is_not_seen(self) -> None:
        """What batch statistics take away: adversarial latents that only have another mean and scale."""
        found = latents_in_modes(Normalised(), self.CLEAN, self.MOVED)
        torch.testing.assert_close(*found["separate"])
        assert not torch.allclose(*found["concatenated"])

    def test_a_model_in_training_stays_there_and_no_random_number_is_used(self, model: torch.nn.Module) -> None:
        clouds = torch.from_numpy(toy_split(6).points)
        model = deepcopy(model).train()
        weights, numbers = {name: value.clone() for name, value in model.state_dict().items()}, torch.get_rng_state()
        latents_in_modes(model, clouds, clouds + 0.1)
        assert all(module.training for module in model.modules())
        assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())
        assert torch.equal(numbers, torch.get_rng_state())

    def test_the_probe_measures_every_mode_on_the_test_clouds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("core.evaluation.probe.STEPS", 20)
        dataset, options = toy_dataset(48, 24), EvaluationOptions(points=64, batch_size=16)
        model = settled_pointnet(64).float()
        events = list(probe(model, dataset, preset("fgsm", epsilon=0.3), options, 16))
        rates = events[-1].value
        assert rates.keys() == MODES.keys()
        assert {rate.n for rate in rates.values()} == {2 * 24}
        counts = [event for event in events if isinstance(event, Progress)]
        assert [(event.done, event.total) for event in counts] == [(done, 72) for done in (16, 32, 48, 60, 72)]
        assert rates == list(probe(model, dataset, preset("fgsm", epsilon=0.3), options, 16))[-1].value

    def test_stopped_it_has_no_result(self) -> None:
        cancel = Cancel()
        cancel.request()
        model, options = settled_pointnet(64).float(), EvaluationOptions(points=64)
        last = list(probe(model, toy_dataset(48, 24), preset("fgsm"), options, 16, cancel))[-1]
        assert (last.value, last.complete) == (None, False)


def test_a_report_of_some_clouds_is_what_these_have_alone(verdicts: LabelledPredictions) -> None:
    far = np.arange(200.0)
    attacked = AdversarialPredictions(verdicts.logits[::-1], verdicts.latent, verdicts.label, far, 2 * far)
    report = AccuracyReport(np.arange(200) + 7, verdicts, attacked).subset(np.array([3, 50]))
    clean, moved = report.sides
    assert report.row.tolist() == [10, 57]
    assert clean.label.tolist() == moved.label.tolist() == verdicts.label[[3, 50]].tolist()
    np.testing.assert_array_equal(clean.logits, verdicts.logits[[3, 50]])
    np.testing.assert_array_equal(moved.logits, verdicts.logits[[196, 149]])
    assert moved.rmse.tolist() == [6, 100]


class Counting:
    """A model that counts the batches of which it is asked for a gradient."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.model, self.gradients = model, 0

    def __call__(self, clouds: torch.Tensor) -> Output:
        self.gradients += clouds.requires_grad
        output: Output = self.model(clouds)
        return output


def test_what_is_known_of_the_clean_clouds_is_not_asked_again_and_changes_nothing(model: torch.nn.Module) -> None:
    split, options = toy_split(20), EvaluationOptions(points=32, batch_size=7, stop_on_success=True)  # 3 batches
    fgsm, pgd = preset("fgsm"), preset("pgd", steps=3, restarts=1)
    apart, together, clean_cache = Counting(model), Counting(model), CleanCache()
    for attack in (fgsm, pgd):
        alone = result(evaluate_accuracy(apart, split, attack, options))
        shared = result(evaluate_accuracy(together, split, attack, options, clean_cache=clean_cache))
        for mine, theirs in zip(shared.records.values(), alone.records.values(), strict=True):
            np.testing.assert_array_equal(mine, theirs)
    cells = fgsm_variants((0.1,))
    alone, shared = (
        result(one_step(asked, split, FGSM, cells, options, clean_cache=seen))
        for asked, seen in ((apart, None), (together, clean_cache))
    )
    for mine, theirs in zip(shared, alone, strict=True):
        np.testing.assert_array_equal(mine.correct, theirs.correct)
        np.testing.assert_array_equal(mine.rmse, theirs.rmse)
    assert apart.gradients - together.gradients == 2 * 3
