"""Clouds that are made once and judged often, and the strongest attack on each."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.attacks import Stop, preset
from core.clouds import chamfer_and_hausdorff, distances
from core.evaluation.accuracy import CleanCache, EvaluationOptions
from core.evaluation.auto import AutoAttack, auto_set
from core.evaluation.combined import CLEAN, NOT_FOOLED
from core.evaluation.judge import evaluate_accuracy, judge
from core.evaluation.make import COLUMNS, AdversarialSet, joined, make_set, with_shape_distances
from core.evaluation.set_folder import SHAPE_DISTANCES, SetFolder
from core.events import Cancel, Done, Progress, result
from core.models import Output
from core.models.checkpoints import load_model, resolve_model
from tests.core.toys import toy_run, toy_split

OPTIONS = EvaluationOptions(points=48, batch_size=8)
SPLIT = toy_split(20)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> nn.Module:
    folder = tmp_path_factory.mktemp("make") / "run"
    toy_run(folder, epochs=2)
    return load_model(resolve_model(folder)).module


@pytest.fixture(scope="module")
def made(model: nn.Module) -> AdversarialSet:
    found: AdversarialSet = result(make_set(model, SPLIT, preset("pgd", epsilon=0.1, steps=5), OPTIONS))
    return found


def test_what_is_said_of_each_cloud_is_true(model: nn.Module, made: AdversarialSet) -> None:
    clean = SPLIT.points[made.row, :48]
    found = distances(clean, made.clouds)
    for name in ("linf", "per_point_l2", "l2", "rmse", "chamfer", "hausdorff"):
        np.testing.assert_array_equal(getattr(made, name), getattr(found, name))
    assert (made.linf <= 0.1 + 1e-6).all()
    with torch.no_grad():
        logits = model.eval()(torch.from_numpy(made.clouds)).logits.numpy()
    np.testing.assert_allclose(made.logits, logits, atol=1e-5)
    assert (made.success == (logits.argmax(1) != made.label)).all()
    assert (made.iterations == 10).all()
    assert (made.forwards == 12).all()
    assert (made.stop == Stop.STEPS).all()
    assert made.loss_trace.shape == made.rmse_trace.shape == (20, 11)
    assert ((made.zero_gradient >= 0) & (made.zero_gradient < 1)).all()


@pytest.mark.parametrize("name", ["add", "drop"])
def test_shape_distances_of_clouds_with_points_added_or_dropped(model: nn.Module, name: str) -> None:
    found = result(make_set(model, SPLIT, preset(name, epsilon=25, steps=3), OPTIONS))
    clean = SPLIT.points[found.row, :48]
    assert found.clouds.shape[1] == {"add": 60, "drop": 48}[name]
    assert (found.chamfer > 0).any()
    for row, (one, other) in enumerate(zip(clean, found.clouds, strict=True)):
        chamfer, hausdorff = chamfer_and_hausdorff(one, other)
        assert found.chamfer[row] == pytest.approx(chamfer)
        assert found.hausdorff[row] == pytest.approx(hausdorff)


def test_a_folder_of_an_earlier_version_gets_its_shape_distances(
    model: nn.Module, made: AdversarialSet, tmp_path: Path
) -> None:
    attack, parts = preset("pgd", epsilon=0.1, steps=5), SetFolder(tmp_path, COLUMNS)
    result(make_set(model, SPLIT, attack, OPTIONS, parts=parts))
    for start in (0, 8, 16):
        whole = parts.read(start)
        assert whole is not None
        parts.write(start, {name: value for name, value in whole.items() if name not in SHAPE_DISTANCES})
    old = joined(parts.batches())
    assert np.isnan(old.chamfer).all()
    assert np.isnan(old.hausdorff).all()
    read, resumed = with_shape_distances(old, SPLIT, 48), result(make_set(model, SPLIT, attack, OPTIONS, parts=parts))
    for name, value in vars(made).items():
        np.testing.assert_array_equal(getattr(read, name), value, err_msg=name)
        np.testing.assert_array_equal(getattr(resumed, name), value, err_msg=name)


def test_the_surrogate_judges_as_it_did_while_it_was_attacked(model: nn.Module, made: AdversarialSet) -> None:
    report = result(judge(model, SPLIT, made, OPTIONS))
    own = made.report()
    np.testing.assert_allclose(report.adversarial.logits, own.adversarial.logits, atol=1e-5)
    np.testing.assert_array_equal(report.adversarial.prediction, own.adversarial.prediction)
    np.testing.assert_array_equal(report.clean.prediction, own.clean.prediction)
    whole = result(evaluate_accuracy(model, SPLIT, preset("pgd", epsilon=0.1, steps=5), OPTIONS))
    np.testing.assert_array_equal(whole.adversarial.logits, own.adversarial.logits)


def test_a_set_that_was_stopped_grows_on_to_the_one_of_an_unbroken_run(
    model: nn.Module, made: AdversarialSet, tmp_path: Path
) -> None:
    attack, parts, cancel = preset("pgd", epsilon=0.1, steps=5), SetFolder(tmp_path, COLUMNS), Cancel()
    for event in make_set(model, SPLIT, attack, OPTIONS, cancel, parts=parts):
        if isinstance(event, Progress):
            cancel.request()
    assert isinstance(event, Done)
    assert not event.complete
    assert len(event.value.row) == 8
    first = next(tmp_path.iterdir())
    before = first.stat().st_mtime_ns
    again = result(make_set(model, SPLIT, attack, OPTIONS, parts=parts))
    assert first.stat().st_mtime_ns == before
    for name, value in vars(made).items():
        np.testing.assert_array_equal(getattr(again, name), value, err_msg=name)


def test_a_cloud_is_attacked_the_same_whichever_others_are(model: nn.Module) -> None:
    attack, rows = preset("square", epsilon=0.1, steps=5), np.array([3, 7, 12])
    whole = result(make_set(model, SPLIT, attack, OPTIONS))
    some = result(make_set(model, SPLIT, attack, OPTIONS, rows=rows))
    np.testing.assert_array_equal(some.row, rows)
    np.testing.assert_array_equal(some.clouds, whole.clouds[rows])


def test_a_damaged_part_is_made_again(model: nn.Module, made: AdversarialSet, tmp_path: Path) -> None:
    attack, parts = preset("pgd", epsilon=0.1, steps=5), SetFolder(tmp_path, COLUMNS)
    result(make_set(model, SPLIT, attack, OPTIONS, parts=parts))
    sorted(tmp_path.iterdir())[1].write_bytes(b"no archive")
    again = result(make_set(model, SPLIT, attack, OPTIONS, parts=parts))
    np.testing.assert_array_equal(again.clouds, made.clouds)


@pytest.mark.parametrize("changes", [{"objective": "margin"}, {"gradient": "expectation", "draws": 1}])
def test_only_gradients_of_the_loss_are_shared_with_other_measurements(
    model: nn.Module, changes: dict[str, Any]
) -> None:
    cache: CleanCache = {}
    result(make_set(model, SPLIT, preset("fgsm", **changes), OPTIONS, clean_cache=cache))
    assert not cache
    result(make_set(model, SPLIT, preset("fgsm"), OPTIONS, clean_cache=cache))
    assert len(cache) == 3


class Negated(nn.Module):
    """Another model: of the toys by their extents."""

    def forward(self, clouds: Tensor) -> Output:
        spread = clouds.std(1)
        logits = 20 * torch.stack([spread.amin(1), spread[:, 0] - spread[:, 2], spread[:, 2] - spread[:, 0]], 1)
        return Output(logits, logits)


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The attacks of ``auto`` with a few steps each, which are enough for the toys."""
    few = {"apgd-ce": 10, "apgd-t": 4, "fab": 4, "square": 20}
    monkeypatch.setattr("core.evaluation.auto.STAGES", {name: {"steps": steps} for name, steps in few.items()})


@pytest.mark.usefixtures("few_steps")
class TestAuto:
    def test_it_is_at_least_as_strong_as_each_attack_on_each_cloud(self, model: nn.Module) -> None:
        auto = AutoAttack(epsilon=0.05)
        found = result(auto_set(model, SPLIT, auto, OPTIONS, surrogates=[Negated()]))
        for stage in auto.stages(random=False):
            alone = result(make_set(model, SPLIT, stage.attack, OPTIONS))
            right = alone.clean_logits.argmax(1) == alone.label
            assert (found.success | ~(alone.success & right)).all(), stage.name
        transferred = result(make_set(Negated(), SPLIT, auto.transfer_attack, OPTIONS))
        report = result(judge(model, SPLIT, transferred, OPTIONS))
        assert (found.success | report.adversarial.correct).all()

    def test_what_it_says_agrees_with_its_clouds(self, model: nn.Module) -> None:
        found = result(auto_set(model, SPLIT, AutoAttack(epsilon=0.05), OPTIONS, surrogates=[Negated()]))
        assert (found.linf <= 0.05 + 1e-6).all()
        report = result(judge(model, SPLIT, found, OPTIONS))
        np.testing.assert_array_equal(report.adversarial.correct, ~found.success)
        np.testing.assert_array_equal(found.by == NOT_FOOLED, ~found.success)
        wrong = found.by == CLEAN
        np.testing.assert_array_equal(wrong, ~report.clean.correct)
        np.testing.assert_array_equal(found.clouds[wrong], SPLIT.points[found.row[wrong], :48])
        assert (found.chamfer[wrong] == 0).all()
        assert (found.hausdorff[wrong] == 0).all()
        np.testing.assert_array_equal(found.row, np.arange(20))

    def test_clouds_with_negative_coordinates_are_not_put_into_a_box(self, model: nn.Module) -> None:
        found = result(auto_set(model, SPLIT, AutoAttack(epsilon=0.05), OPTIONS))
        moved = found.clouds - SPLIT.points[found.row, :48]
        assert (found.clouds < 0).any()
        assert np.abs(moved).max() <= 0.05 + 1e-6

    def test_stopped_it_goes_on(self, model: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("core.evaluation.auto.BLOCK", 8)
        whole = result(auto_set(model, SPLIT, AutoAttack(epsilon=0.05), OPTIONS))
        cancel, done = Cancel(), 0
        for event in auto_set(
            model, SPLIT, AutoAttack(epsilon=0.05), OPTIONS, cancel, parts=SetFolder(tmp_path, COLUMNS)
        ):
            if isinstance(event, Progress):
                assert done <= event.done <= event.total
                done = event.done
                if event.text == "clouds attacked" and len(list(tmp_path.iterdir())) == 1:
                    cancel.request()
        assert isinstance(event, Done)
        assert not event.complete
        again = result(auto_set(model, SPLIT, AutoAttack(epsilon=0.05), OPTIONS, parts=SetFolder(tmp_path, COLUMNS)))
        np.testing.assert_array_equal(again.clouds, whole.clouds)
        np.testing.assert_array_equal(again.by, whole.by)
