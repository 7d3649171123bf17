"""Attacks on samples of any shape, and images above all: closed forms, budgets, and the range of their values."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from core.attacks import NORMS, PRESETS, State, evaluate, preset
from core.attacks.query.squares import with_square
from core.clouds import chamfer_and_hausdorff, distances, per_point_l2
from core.datasets import Split
from core.evaluation.accuracy import EvaluationOptions
from core.evaluation.auto import AutoAttack
from core.evaluation.judge import evaluate_accuracy
from core.evaluation.make import COLUMNS, make_set, read_set
from core.evaluation.set_folder import SetFolder, SetRecord
from core.evaluation.sweep import sweep
from core.events import Step, result
from core.models import Output
from core.models.port import batch_statistics, give_value_range, value_range_of
from core.training.regimes import perturbed
from tests.core.toys import attacked

SHAPES = ((1, 5, 4), (3, 6, 6), (12,))
BYTES = (0.0, 255.0)
ON_POINTS = {
    "knn", "geoa3", "si-adv", "si-adv-query", "aof", "advpc", "add", "drop", "di", "ti",
    "rotate", "rotate-z", "twist", "taper", "shear", "scale",
}  # fmt: skip
"""Presets for clouds alone."""


class Linear(nn.Module):
    """Logits that are linear in the values of samples of one shape, which are in a range."""

    def __init__(self, shape: tuple[int, ...], classes: int, value_range: tuple[float, float] | None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(int(np.prod(shape)), classes)
        self.width = 1.0 if value_range is None else value_range[1] - value_range[0]
        give_value_range(self, value_range)

    def forward(self, samples: Tensor) -> Output:
        logits = self.layer(samples.flatten(1) / self.width)
        return Output(logits, logits)


def case(
    shape: tuple[int, ...], value_range: tuple[float, float] | None, classes: int = 2, count: int = 5
) -> tuple[Linear, Tensor, Tensor]:
    """A model, samples many of whose values are at the ends of their range, and the model's classes for them."""
    model = Linear(shape, classes, value_range)
    low, high = value_range or (-1.0, 1.0)
    generator = torch.Generator().manual_seed(1)
    x = (low + (high - low) * (1.4 * torch.rand(count, *shape, generator=generator) - 0.2)).clamp(low, high)
    return model, x, model(x).logits.argmax(1)


def best_move(model: Linear, x: Tensor, y: Tensor, epsilon: float) -> Tensor:
    """The perturbation of x within epsilon and the range that raises the margin of two classes most."""
    weight = model.layer.weight.detach()
    slope = (weight[1 - y] - weight[y]).view(x.shape)
    low, high = value_range_of(model) or (-torch.inf, torch.inf)
    return torch.where(slope > 0, (high - x).clamp_max(epsilon), (low - x).clamp_min(-epsilon))


class TestTheOptimum:
    @pytest.mark.parametrize("shape", SHAPES)
    @pytest.mark.parametrize("value_range", [None, (0.0, 1.0), BYTES])
    @pytest.mark.parametrize("name", ["fgsm", "bim", "mi", "ni", "pgd", "vmi", "eot", "si", "apgd-ce", "adam"])
    def test_a_linear_model_is_attacked_as_well_as_can_be(
        self, name: str, shape: tuple[int, ...], value_range: tuple[float, float] | None
    ) -> None:
        """Also with raw gradients, if their steps are as long as the budget."""
        model, x, y = case(shape, value_range)
        epsilon = 0.1 * model.width
        changes: dict[str, Any] = {"first_step": 1.0, "direction": "sign"} if name == "adam" else {}
        state = attacked(preset(name, **changes).at(epsilon), model, x, y)
        torch.testing.assert_close(
            state.adversarial - x, best_move(model, x, y, epsilon), rtol=0, atol=1e-6 * model.width
        )

    @pytest.mark.parametrize("value_range", [(0.0, 1.0), BYTES])
    def test_auto_pgd_towards_classes_and_the_margin_find_it_too(self, value_range: tuple[float, float]) -> None:
        model, x, y = case((1, 5, 4), value_range)
        epsilon = 0.2 * model.width
        for attack in (preset("apgd-t", steps=20), preset("pgd", objective="margin")):
            made = attacked(attack.at(epsilon), model, x, y).adversarial - x
            torch.testing.assert_close(made, best_move(model, x, y, epsilon), rtol=0, atol=1e-6 * model.width)

    def test_a_global_budget_without_a_range_is_spent_along_the_gradient(self) -> None:
        model, x, y = case((3, 4, 4), None)
        weight = model.layer.weight.detach()
        slope = (weight[1 - y] - weight[y]).view(x.shape)
        along = slope / NORMS["rmse"](slope)[:, None, None, None]
        state = attacked(preset("pgd", direction="l2", epsilon=0.3), model, x, y)
        torch.testing.assert_close(state.adversarial - x, 0.3 * along)
        torch.testing.assert_close(NORMS["l2"](state.adversarial - x), torch.full((5,), 0.3 * 48**0.5))

    @pytest.mark.parametrize("norm", ["linf", "l2"])
    def test_deepfool_goes_to_the_boundary_of_a_linear_model(self, norm: str) -> None:
        model, x, y = case((3, 4, 4), None)
        weight, logits = model.layer.weight.detach(), model(x).logits.detach()
        slope, gap = weight[1 - y] - weight[y], logits.amax(1) - logits.amin(1)
        dual = slope.abs().sum(1) if norm == "linf" else slope.norm(dim=1)
        state = attacked(preset("deepfool", norm=norm, constraint="none"), model, x, y)
        torch.testing.assert_close(NORMS[norm](state.adversarial - x), 1.02 * gap / dual, rtol=1e-4, atol=1e-6)  # type: ignore[index]


ANY_SHAPE = sorted(PRESETS.keys() - ON_POINTS)


class TestBudgetAndRange:
    @settings(deadline=None, max_examples=60)
    @given(
        name=st.sampled_from(ANY_SHAPE),
        constraint=st.sampled_from(["linf", "rmse", "l2", "none"]),
        value_range=st.sampled_from([None, (0.0, 1.0), (-1.0, 1.0), BYTES]),
        share=st.floats(0.0, 1.0),
        random_start=st.booleans(),
        seed=st.integers(0, 1000),
    )
    def test_neither_is_left_by_any_iterate(
        self,
        name: str,
        constraint: str,
        value_range: tuple[float, float] | None,
        share: float,
        random_start: bool,
        seed: int,
    ) -> None:
        model, x, y = case((2, 4, 5), value_range, classes=3, count=3)
        changes: dict[str, Any] = {"steps": 4, "constraint": "linf" if name == "square" else constraint}
        if "restarts" in PRESETS[name].settings:
            changes["restarts"] = 1
        attack = preset(name, **changes, random_start=random_start)
        attack = attack.at(share * model.width)
        for event in attack.run(model, x, y, torch.Generator().manual_seed(seed)):
            if isinstance(event, Step):
                for sample in (event.value.current, event.value.adversarial):
                    if attack.constraint != "none":
                        size = NORMS[attack.constraint](sample.double() - x.double())
                        assert (size <= attack.epsilon * (1 + 1e-5) + 1e-6 * model.width).all()
                    if value_range is not None:
                        assert value_range[0] <= sample.min()
                        assert sample.max() <= value_range[1]

    def test_values_outside_of_the_range_are_refused(self) -> None:
        model, x, y = case((1, 4, 4), (0.0, 1.0))
        with pytest.raises(
            ValueError, match=r"The model takes values from 0 to 1, and the samples .* to 255: scale them."
        ):
            attacked(preset("pgd"), model, 255 * x, y)

    def test_another_budget_than_that_of_the_attack_stays_in_the_range(self) -> None:
        model, x, y = case((1, 4, 4), (0.0, 1.0))
        state = attacked(preset("fgsm", epsilon=0.1), model, x, y)
        far = preset("fgsm").refit(state, 0.8).adversarial
        assert far.min() >= 0
        assert far.max() <= 1

    @pytest.mark.parametrize("mode", ["eval", "train"])
    def test_training_attacks_within_it(self, mode: Any) -> None:
        model, x, y = case((1, 4, 4), (0.0, 1.0))
        for start in (False, True):
            made = perturbed(model, x, y, preset("pgd", epsilon=0.3, steps=5), mode, random_start=start)
            torch.testing.assert_close(made - x, best_move(model, x, y, 0.3), rtol=0, atol=1e-6)
        with batch_statistics(model) as asked:
            assert value_range_of(asked) == (0.0, 1.0)

    @pytest.mark.parametrize("name", ["pgd", "square", "random-search", "mi", "vmi"])
    def test_a_sample_is_attacked_as_it_would_be_alone(self, name: str) -> None:
        model, x, y = case((3, 6, 6), (0.0, 1.0), classes=4)
        attack = preset(name, steps=6, epsilon=0.1)
        state = attack.start(model, x, y, torch.Generator().manual_seed(3))
        alone = state.of(torch.tensor([2]))
        for _ in range(attack.total_steps):
            state, alone = attack.step(model, state), attack.step(model, alone)
        torch.testing.assert_close(state.adversarial[2:3], alone.adversarial)


class TestForCloudsAlone:
    @pytest.mark.parametrize("name", sorted(ON_POINTS))
    def test_attacks_on_points_refuse_images(self, name: str) -> None:
        assert name in PRESETS
        model, x, y = case((1, 4, 4), (0.0, 1.0))
        with pytest.raises(ValueError, match=r"is for clouds \(B, N, 3\), and these samples are \(B, 1, 4, 4\)"):
            attacked(preset(name), model, x, y)

    @pytest.mark.parametrize(
        ("changes", "part"),
        [
            ({"constraint": "per-point-l2"}, "The constraint per-point-l2"),
            ({"constraint": "tangent"}, "The constraint tangent"),
            ({"direction": "per-point", "constraint": "linf"}, "The direction per-point"),
            ({"unit_ball": True}, "The unit sphere"),
            ({"gradient": "diverse"}, "The gradient source diverse"),
            ({"regulariser": "chamfer"}, "The regulariser chamfer"),
        ],
    )
    def test_so_do_the_parts_of_a_gradient_attack(self, changes: dict[str, Any], part: str) -> None:
        model, x, y = case((1, 4, 4), (0.0, 1.0))
        for begin in (lambda a: attacked(a, model, x, y), lambda a: a.last_iterate(model, x, y)):
            with pytest.raises(ValueError, match=f"{part}.* is for clouds"):
                begin(preset("pgd", **changes))

    def test_square_attack_is_for_images_and_bounds_l_infinity(self) -> None:
        model, x, y = case((12,), None)
        with pytest.raises(ValueError, match=r"for clouds .* and images"):
            attacked(preset("square"), model, x, y)
        model, x, y = case((1, 4, 4), None)
        with pytest.raises(ValueError, match="on images bounds L-infinity, not rmse"):
            attacked(preset("square", constraint="rmse"), model, x, y)


class TestSquare:
    def states(self, model: nn.Module, x: Tensor, y: Tensor, **changes: Any) -> list[State]:
        run = preset("square", **changes).run(model, x, y, torch.Generator().manual_seed(0))
        return [event.value for event in run if isinstance(event, Step)][1:]

    def test_stripes_come_first_and_each_query_changes_one_square(self) -> None:
        model, x, y = case((3, 8, 6), None, classes=4)
        states = self.states(model, x, y, steps=40, epsilon=0.2)
        first = states[0].unit_delta
        assert (first.abs() == 1).all()
        assert (first == first[:, :, :1]).all(), "one sign for each column and channel"
        assert (first != first[:, :, :, :1]).any()
        for before, after in pairwise(states):
            assert (after.unit_delta.abs() == 1).all()
            changed = (before.unit_delta != after.unit_delta).any(1)
            for square in changed[changed.flatten(1).any(1)]:
                rows, columns = square.any(1).nonzero()[:, 0], square.any(0).nonzero()[:, 0]
                within = square[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
                assert max(within.shape) <= 6

    def test_squares_have_the_share_of_the_pixels_wherever_they_are(self) -> None:
        generators = [torch.Generator().manual_seed(seed) for seed in range(400)]
        for share, side in ((0.8, 7), (0.4, 5), (0.1, 3), (0.001, 1), (1.0, 8)):
            changed = with_square(generators, torch.zeros(400, 2, 8, 8), share)
            assert (changed.abs().amax(1).flatten(1).sum(1) == side**2).all()
            covered = changed.abs().amax(1).mean(0)
            assert covered.min() > 0, "every pixel is reached"

    def test_it_finds_what_a_linear_model_can_be_fooled_by(self) -> None:
        model, x, y = case((1, 6, 6), (0.0, 1.0), count=8)
        best = best_move(model, x, y, 0.25)
        can = model(x + best).logits.argmax(1) != y
        assert can.any()
        state = self.states(model, x, y, steps=600, epsilon=0.25)[-1]
        gained = (state.adversarial - x - best).abs().flatten(1).mean(1)
        assert (gained < 0.05).all(), "nearly the optimum"
        margins = [
            each.evaluation.objective for each in self.states(model, x, y, steps=50, epsilon=0.25) if each.evaluation
        ]
        assert (torch.stack(margins).diff(dim=0) >= 0).all()


class TestSets:
    """Make and judge, with clean images at the ends of their range."""

    def split(self, model: Linear, count: int = 24) -> Split:
        _, x, _ = case((1, 5, 4), value_range_of(model), classes=3, count=count)
        return Split(x.numpy(), model(x).logits.argmax(1).numpy(), [f"image {k}" for k in range(count)])

    def test_distances_are_those_of_the_values(self, tmp_path: Path) -> None:
        model = Linear((1, 5, 4), 3, BYTES)
        split = self.split(model)
        attack = preset("pgd", restarts=0).at(16.0)
        store = SetFolder(tmp_path, COLUMNS)
        store.begin(
            SetRecord(
                preset="pgd", attack={}, surrogate="linear", weights="", dataset="d", fingerprint="f", evaluation={}
            ),
            {},
        )
        options = EvaluationOptions(batch_size=10)
        made = result(make_set(model, split, attack, options, parts=store))
        assert made.clouds.shape == split.points.shape
        delta = made.clouds.astype(np.float64) - split.points
        np.testing.assert_allclose(made.linf, np.abs(delta).max((1, 2, 3)))
        np.testing.assert_allclose(made.l2, np.sqrt((delta**2).sum((1, 2, 3))))
        np.testing.assert_allclose(made.rmse, np.sqrt((delta**2).mean((1, 2, 3))))
        assert made.linf.max() == pytest.approx(16, abs=1e-5)
        for absent in (made.chamfer, made.hausdorff, made.per_point_l2):
            assert np.isnan(absent).all()
        stored, _ = read_set(tmp_path)
        np.testing.assert_array_equal(stored.clouds, made.clouds)
        again = result(make_set(model, split, attack, options, parts=store))
        np.testing.assert_array_equal(again.clouds, made.clouds)

    def test_auto_attacks_images(self) -> None:
        model = Linear((1, 5, 4), 3, (0.0, 1.0))
        split = self.split(model, 6)
        report = result(evaluate_accuracy(model, split, AutoAttack(epsilon=0.1), EvaluationOptions()))
        clean, adversarial = report.sides
        assert clean.accuracy.value == 1
        optimum = attacked(
            preset("apgd-t", restarts=1, epsilon=0.1),
            model,
            torch.from_numpy(split.points),
            torch.from_numpy(split.labels),
        )
        np.testing.assert_array_equal(adversarial.correct, ~fooled(optimum))
        assert 0 < adversarial.accuracy.value < 1

    def test_a_sweep_attacks_at_every_budget_within_the_range(self) -> None:
        model = Linear((1, 5, 4), 3, (0.0, 1.0))
        split = self.split(model)
        swept = result(sweep(model, split, preset("fgsm"), [0.1, 0.3], EvaluationOptions()))
        x, y = torch.from_numpy(split.points), torch.from_numpy(split.labels)
        for epsilon, correct in zip(swept.epsilons, swept.correct, strict=True):
            slope = evaluate(model, x, y, gradient=True).gradient
            assert slope is not None
            moved = (x + epsilon * slope.sign()).clamp(0, 1)
            np.testing.assert_array_equal(correct, (model(moved).logits.argmax(1) == y).numpy())

    def test_bytes_are_read_as_floats(self) -> None:
        points = np.arange(2 * 3 * 4 * 4, dtype=np.uint8).reshape(2, 3, 4, 4)
        split = Split(points, np.array([0, 1]), ["a", "b"])
        read = split.samples(np.array([1]), 1024)
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read[0], points[1])
        empty = Split(points[:0], np.empty(0, np.int64), [])
        with pytest.raises(ValueError, match="no images"):
            result(evaluate_accuracy(Linear((3, 4, 4), 2, BYTES), empty))


def fooled(state: State) -> np.ndarray:
    assert state.best is not None
    return (state.best.prediction != state.label).numpy()


def test_distances_of_images_have_no_points() -> None:
    x, y = np.zeros((2, 1, 3, 3)), np.full((2, 1, 3, 3), 0.5)
    found = distances(x, y)
    np.testing.assert_allclose(found.linf, 0.5)
    np.testing.assert_allclose(found.rmse, 0.5)
    np.testing.assert_allclose(found.l2, 1.5)
    assert np.isnan(found.chamfer).all()
    assert np.isnan(per_point_l2(x, y)).all()
    assert [part.shape for part in chamfer_and_hausdorff(x, y)] == [(2,), (2,)]
    with pytest.raises(ValueError, match=r"of equal shapes, not \(2, 1, 3, 3\) and \(2, 1, 3, 4\)"):
        distances(x, np.zeros((2, 1, 3, 4)))
