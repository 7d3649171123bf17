from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from core import live
from core.attacks import NORMS, Attack, Stop, preset
from core.attacks.minimal.base import MinimalAttack
from core.events import Step, result
from core.models import Output
from tests.core.toys import attacked, batch, linear, settled_pointnet, shipped_pointnet, toy_batch

N = 20
SEARCHES = [("deepfool", "linf"), ("deepfool", "l2"), ("fab", "linf"), ("fab", "l2"), ("cw", "l2")]
searches = pytest.mark.parametrize(
    ("name", "norm"),
    [
        pytest.param(*each, marks=[pytest.mark.long] * (each in [("deepfool", "linf"), ("fab", "l2")]))
        for each in SEARCHES
    ],
)
"""Each search, for what does not depend on the norm; by its other norm it is long."""


MODEL, CLEAN, LABEL = shipped_pointnet(points=24, count=4)


def search(name: str, norm: str, **values: Any) -> MinimalAttack:
    """An attack that looks for the smallest perturbation in a norm."""
    settings = {} if name == "cw" else {"norm": norm}
    if name == "cw" and "steps" not in values:
        settings = {"steps": 150}
    found = preset(name, **{"constraint": "none", **settings, **values})
    assert isinstance(found, MinimalAttack)
    return found


def exact(model: Any, weights: Tensor, x: Tensor, y: Tensor, norm: str) -> Tensor:
    """(B,), the distances of clouds from the nearest boundary of a linear model."""
    logits = model(x).logits.detach()
    lead = logits.gather(1, y[:, None]) - logits
    slope = weights[None] - weights[y][:, None]
    steepness = slope.abs().sum((2, 3)) if norm == "linf" else slope.norm(dim=(2, 3))
    distance = lead / steepness.masked_fill(steepness == 0, 1)
    return distance.masked_fill(torch.nn.functional.one_hot(y, len(weights)).bool(), torch.inf).amin(1)


def predicted(model: Any, x: Tensor) -> Tensor:
    return model(x).logits.argmax(1)


class TestClosedForms:
    @pytest.mark.parametrize(("name", "norm"), SEARCHES)
    @pytest.mark.parametrize(
        ("classes", "count", "points"),
        [
            (2, 1, 7),
            pytest.param(2, 5, 20, marks=pytest.mark.long),
            pytest.param(3, 5, 20, marks=pytest.mark.long),
            (6, 9, 33),
        ],
    )
    def test_the_distance_of_the_nearest_boundary_is_found(
        self, name: str, norm: str, classes: int, count: int, points: int
    ) -> None:
        model, weights = linear(classes, points=points)
        x, _ = batch(count, classes, points)
        y = predicted(model, x)
        state = attacked(search(name, norm), model, x, y)
        distance = exact(model, weights, x, y, norm)
        found = NORMS[norm](state.adversarial - x)  # type: ignore[index]
        torch.testing.assert_close(found, state.slots["distance"])
        assert (predicted(model, state.adversarial) != y).all()
        assert (found >= distance * (1 - 1e-9)).all()
        assert (found <= distance * 1.05).all()

    @pytest.mark.parametrize(("name", "norm"), SEARCHES)
    def test_of_a_targeted_attack_the_nearest_cloud_of_the_wanted_class(self, name: str, norm: str) -> None:
        model, weights = linear(2)
        x, _ = batch(6)
        wanted = 1 - predicted(model, x)
        state = attacked(search(name, norm, goal="targeted"), model, x, wanted)
        assert (predicted(model, state.adversarial) == wanted).all()
        assert (state.slots["distance"] <= 1.05 * exact(model, weights, x, 1 - wanted, norm)).all()

    @pytest.mark.parametrize(
        ("name", "norm"),
        [
            *SEARCHES,
            *((name, "linf") for name in ("fgsm", "pgd", "mi", "apgd-ce", "apgd-dlr", "apgd-t", "square")),
            ("pgd-l2", "l2"),
        ],
    )
    @pytest.mark.parametrize("row", [0, pytest.param(1, marks=pytest.mark.long)])
    def test_every_attack_succeeds_right_behind_the_boundary_and_none_before_it(
        self, name: str, norm: str, row: int
    ) -> None:
        model, weights = linear(2)
        x = batch(2)[0][row : row + 1]
        y = predicted(model, x)
        distance = exact(model, weights, x, y, norm)
        for factor, fools in ((0.98, False), (1.06, True)):
            values = {"constraint": norm, "epsilon": float(factor * distance)}
            if name == "pgd-l2":
                attack: Attack = preset("pgd", direction="l2", steps=60, **values)
            elif (name, norm) in SEARCHES:
                attack = search(name, norm, **values)
            else:
                attack = preset(name, **values)
            state = attacked(attack, model, x, y)
            assert state.best is not None
            assert bool((state.best.prediction != y).item()) is fools

    def test_confidence_is_the_margin_that_the_cloud_has(self) -> None:
        model, weights = linear(2)
        x, _ = batch(6)
        y = predicted(model, x)
        state = attacked(search("cw", "l2", confidence=0.4), model, x, y)
        margin = model(state.adversarial).logits.gather(1, 1 - y[:, None]) - model(state.adversarial).logits.gather(
            1, y[:, None]
        )
        assert (margin >= 0.4).all()
        slope = (weights[1] - weights[0]).norm()
        assert (state.slots["distance"] <= 1.05 * (exact(model, weights, x, y, "l2") + 0.4 / slope)).all()


class TestBudget:
    """Epsilon is a limit to what counts, and no part of the search."""

    @settings(max_examples=20, deadline=None)
    @given(
        kind=st.sampled_from(SEARCHES),
        constraint=st.sampled_from(list(NORMS)),
        epsilon=st.floats(0.0, 0.5),
        steps=st.integers(1, 4),
        restarts=st.integers(0, 3),
        unit_ball=st.booleans(),
        goal=st.sampled_from(["untargeted", "targeted"]),
        keep=st.sampled_from(["best", "last"]),
    )
    def test_nothing_that_is_stored_leaves_it(self, kind: tuple[str, str], **values: Any) -> None:
        attack, y = search(*kind, **values), (LABEL + 1 if values["goal"] == "targeted" else LABEL)
        for event in attack.run(MODEL, CLEAN, y):
            state = event.value
            for cloud in (state.current, state.adversarial):
                assert torch.isfinite(cloud).all()
                assert (NORMS[attack.constraint](cloud - CLEAN) <= attack.epsilon + 1e-9).all()
            answers = MODEL(state.adversarial).logits
            assert torch.equal(state.best.prediction, answers.argmax(1))
            torch.testing.assert_close(state.best.logits, answers)

    @searches
    @pytest.mark.parametrize("constraint", ["linf", "rmse", "none"])
    def test_a_budget_of_zero_leaves_the_cloud_as_it_is(self, name: str, norm: str, constraint: str) -> None:
        attack = search(name, norm, constraint=constraint, epsilon=0.0, steps=5, restarts=1)
        assert torch.equal(attacked(attack, MODEL, CLEAN, LABEL).adversarial, CLEAN)

    @searches
    def test_only_what_fits_counts_and_the_slider_says_the_same(self, name: str, norm: str) -> None:
        values = {"steps": 10, "restarts": 1}
        free = attacked(search(name, norm, **values), MODEL, CLEAN, LABEL)
        distance = free.slots["distance"]
        assert distance.isfinite().sum() > 2
        limited = search(name, norm, constraint=norm, **values)
        found = attacked(limited, MODEL, CLEAN, LABEL)
        for epsilon in (0.7 * distance.median(), 1.1 * distance.median()):
            there = attacked(limited.at(float(epsilon)), MODEL, CLEAN, LABEL)
            assert there.best is not None
            fits = distance <= epsilon
            shortened = ~fits & (there.best.prediction == LABEL)
            assert shortened.any()
            assert (there.best.prediction != LABEL)[fits].all()
            torch.testing.assert_close(there.slots["distance"], distance)
            torch.testing.assert_close(there.adversarial[fits], free.adversarial[fits])
            reached = NORMS[limited.constraint](there.adversarial - CLEAN)[shortened & distance.isfinite()]
            torch.testing.assert_close(reached, torch.full_like(reached, float(epsilon)))
            refitted = limited.refit(found, float(epsilon))
            same = fits | shortened  # not those that fool by chance when they are shortened
            torch.testing.assert_close(refitted.adversarial[same], there.adversarial[same])
            assert (refitted.evaluation, refitted.best) == (None, None)
            further = limited.step(MODEL, refitted)
            assert further.best is not None
            torch.testing.assert_close(further.best.logits, MODEL(further.adversarial).logits)

    @searches
    def test_without_a_constraint_the_nearest_is_the_result_whatever_epsilon(self, name: str, norm: str) -> None:
        attack = search(name, norm, steps=10, restarts=1)
        small, large = (attacked(attack.at(epsilon), MODEL, CLEAN, LABEL) for epsilon in (0.001, 1.0))
        assert (small.best.prediction != LABEL).any()  # type: ignore[union-attr]
        torch.testing.assert_close(small.adversarial, large.adversarial)
        torch.testing.assert_close(attack.refit(small, 0.3).adversarial, small.adversarial)

    def test_a_perturbation_that_fools_when_shortened_counts(self) -> None:
        """A search by the L2 norm goes farther along the steep coordinate than the L-infinity budget has it."""
        clean, weights = torch.zeros(1, N, 3).double(), torch.full((N, 3), 0.1).double()
        weights[0, 0] = 1.0

        def model(clouds: Tensor) -> Output:
            score = (clouds * weights).sum((1, 2)) - 1.0
            logits = torch.stack([0 * score, score], 1)
            return Output(logits, logits)

        free = attacked(search("deepfool", "l2", overshoot=0.2), model, clean, torch.tensor([0]))
        nearest = free.slots["nearest"]
        epsilon = 0.95 * float(nearest.abs().amax())
        attack = search("deepfool", "l2", constraint="linf", epsilon=epsilon, overshoot=0.2)
        state = attacked(attack, model, clean, torch.tensor([0]))
        assert state.best is not None
        assert state.best.prediction.item() == 1
        torch.testing.assert_close(state.adversarial, nearest.clamp(-epsilon, epsilon))


class TestSearch:
    @searches
    def test_a_misclassified_cloud_is_left_as_it_is_and_not_asked_again(self, name: str, norm: str) -> None:
        attack, wrong = search(name, norm, steps=10, restarts=1), LABEL.clone()
        wrong[1:3] += 1
        ends = list(attack.finish(MODEL, attack.start(MODEL, CLEAN, wrong)))
        first = ends[0].state
        left = torch.isin(ends[0].rows, torch.tensor([1, 2]))
        assert left.sum() == 2
        assert first.step == 1
        assert first.stop[left].tolist() == [Stop.FOUND] * 2
        assert torch.equal(first.adversarial[left], CLEAN[1:3])
        assert first.slots["distance"][left].tolist() == [0, 0]

    def test_deepfool_ends_with_a_cloud_once_it_is_across(self) -> None:
        attack, asked = search("deepfool", "l2"), []

        def counted(clouds: Tensor) -> Output:
            asked.append(len(clouds))
            output: Output = MODEL(clouds)
            return output

        ends = list(attack.finish(counted, attack.start(counted, CLEAN, LABEL)))
        assert {int(stop) for end in ends for stop in end.state.stop} == {Stop.FOUND}
        assert max(end.state.step for end in ends) < 20
        assert sum(asked) == sum(int(end.state.forwards.sum()) for end in ends)
        asked.clear()
        shown = attacked(attack, counted, CLEAN, LABEL)
        assert shown.step == max(end.state.step for end in ends), "the attack is over once every cloud is across"
        assert len(asked) == 1 + 2 * shown.step
        order = torch.cat([end.rows for end in ends]).argsort()
        assert torch.equal(shown.forwards, torch.cat([end.state.forwards for end in ends])[order])

    @searches
    def test_until_success_the_same_clouds_fool_with_fewer_passes(self, name: str, norm: str) -> None:
        values = {"steps": 10, "restarts": 1}
        median = float(attacked(search(name, norm, **values), MODEL, CLEAN, LABEL).slots["distance"].median())
        attack = search(name, norm, constraint=norm, epsilon=1.2 * median, **values)
        fooled, passes = [], []
        for until in (False, True):
            ends = list(attack.finish(MODEL, attack.start(MODEL, CLEAN, LABEL), stop_on_success=until))
            order = torch.cat([end.rows for end in ends]).argsort()
            verdicts = [end.state.best.prediction != end.state.label for end in ends]  # type: ignore[union-attr]
            fooled.append(torch.cat(verdicts)[order].tolist())
            passes.append(sum(int(end.state.forwards.sum()) for end in ends))
        assert fooled[0] == fooled[1]
        assert any(fooled[0])
        assert passes[1] < passes[0] or name == "deepfool"

    def test_fab_takes_one_gradient_a_step_and_a_further_one_for_each_class(self) -> None:
        attack = search("fab", "linf", steps=10, restarts=1)
        [ended] = attack.finish(MODEL, attack.start(MODEL, CLEAN, LABEL))
        assert ended.state.forwards.tolist() == [1 + 2 * 11] * len(LABEL)
        assert ended.state.backwards.tolist() == [2 * 10 + 1] * len(LABEL), "the last is there for further steps"

    def test_fab_goes_to_one_class_after_another_and_then_begins_at_random_points(self) -> None:
        model, _ = linear(3)
        x, _ = batch(4, 3)
        y = predicted(model, x)
        attack = search("fab", "linf", steps=6, restarts=3)
        runs = []
        for seed in (0, 1):
            run = attack.run(model, x, y, torch.Generator().manual_seed(seed))
            runs.append([event.value for event in run if isinstance(event, Step)])
        tried = [model(state.clean + state.slots["point"]).logits for state in runs[0]]
        own = torch.nn.functional.one_hot(y, 3).bool()
        order = tried[0].masked_fill(own, -torch.inf).argsort(1, descending=True)
        for start in (0, 1):
            logits, wanted = tried[6 * start + 1], order[:, start]
            lead = logits.gather(1, wanted[:, None]) - logits.gather(1, y[:, None])
            assert (lead > 0).all(), "of a linear model the first step is across"
        assert torch.equal(runs[0][12].slots["point"], runs[1][12].slots["point"])
        assert not torch.equal(runs[0][13].slots["point"], runs[1][13].slots["point"])

    def test_the_weight_of_carlini_and_wagner_is_searched_for_each_cloud(self) -> None:
        attack = search("cw", "l2", steps=15, restarts=7)
        states = [event.value for event in attack.run(MODEL, CLEAN, LABEL) if isinstance(event, Step)]
        weights = torch.stack([states[15 * k + 1].slots["weight"] for k in range(8)])
        won = torch.stack([states[15 * k].slots["fooled_in_round"] for k in range(1, 9)])
        assert len(weights[-1].unique()) > 1
        for column, verdicts in zip(weights.T.tolist(), won.T.tolist(), strict=True):
            low, high = 0.0, float("inf")
            for (before, after), fooled in zip(pairwise(column), verdicts, strict=False):
                low, high = (low, before) if fooled else (before, high)
                assert after == pytest.approx((low + high) / 2 if high < float("inf") else 10 * before)

    def test_a_weight_that_never_fools_stays_a_number(self) -> None:
        flat = lambda clouds: Output(clouds.sum((1, 2))[:, None] * torch.tensor([0.0, 1e-30]), clouds.amax(1))  # noqa: E731
        x, y = toy_batch(2, N)
        state = attacked(search("cw", "l2", steps=1, restarts=100), flat, x, 0 * y)
        assert torch.isfinite(state.slots["point"]).all()
        assert torch.isfinite(state.slots["weight"]).all()


class TestManners:
    @searches
    def test_a_cloud_is_attacked_alone_as_in_company(self, name: str, norm: str) -> None:
        attack = search(name, norm, constraint="linf", epsilon=0.1, steps=6, restarts=1)
        state = attack.start(MODEL, CLEAN, LABEL, torch.Generator().manual_seed(0))
        together = CLEAN.clone()
        for end in attack.finish(MODEL, state):
            together[end.rows] = end.state.adversarial
        for row in range(len(LABEL)):
            [alone] = attack.finish(MODEL, state.of(torch.tensor([row])))
            torch.testing.assert_close(alone.state.adversarial, together[row : row + 1])

    @searches
    def test_permuted_in_is_permuted_out(self, name: str, norm: str) -> None:
        model, (x, y) = settled_pointnet(N), toy_batch(4, N)
        x, attack = x.double(), search(name, norm, steps=3, restarts=4)
        order = torch.randperm(N, generator=torch.Generator().manual_seed(5))
        plain, permuted = (attacked(attack, model, clouds, y) for clouds in (x, x[:, order]))
        torch.testing.assert_close(permuted.adversarial, plain.adversarial[:, order])
        torch.testing.assert_close(permuted.slots["point"], plain.slots["point"][:, order])

    @searches
    def test_the_generator_settles_everything(self, name: str, norm: str) -> None:
        model, (x, y) = settled_pointnet(N), toy_batch(4, N)
        attack = search(name, norm, steps=3, restarts=4)
        first, again = (attacked(attack, model, x.double(), y) for _ in range(2))
        assert all(torch.equal(first.slots[slot], again.slots[slot]) for slot in first.slots)

    @searches
    def test_points_on_one_another_move_together(self, name: str, norm: str) -> None:
        state = attacked(search(name, norm, steps=10, restarts=1), MODEL, CLEAN.repeat(1, 2, 1), LABEL)
        assert state.slots["distance"].isfinite().any()
        torch.testing.assert_close(*state.adversarial.split(CLEAN.shape[1], 1))

    @searches
    def test_gradients_that_vanish_give_no_move_and_no_nan(self, name: str, norm: str) -> None:
        x, _ = batch(3)
        flat = lambda clouds: Output(clouds.sum((1, 2))[:, None] * torch.zeros(2).double(), clouds.amax(1))  # noqa: E731
        state = attacked(search(name, norm, steps=5, restarts=0), flat, x, torch.zeros(3, dtype=torch.long))
        assert torch.equal(state.adversarial, x)
        assert state.slots["distance"].tolist() == [float("inf")] * 3
        for slot, values in state.slots.items():
            assert not values.isnan().any(), slot

    @searches
    def test_there_is_no_box_of_images(self, name: str, norm: str) -> None:
        """Of a cloud somewhere else, and a model that looks for it there, the perturbation is the same."""
        far = torch.tensor([-5.0, 3.0, 0.5]).double()
        moved = lambda clouds: MODEL(clouds - far)  # noqa: E731
        attack = search(name, norm, steps=10, restarts=1)
        here = attacked(attack, MODEL, CLEAN, LABEL).adversarial - CLEAN
        there = attacked(attack, moved, CLEAN + far, LABEL).adversarial - (CLEAN + far)
        torch.testing.assert_close(there, here, rtol=1e-5, atol=1e-7)
        assert here[CLEAN < 0].abs().amax() > 1e-3
        assert here.amin() < -1e-3


def test_the_outcome_over_epsilon_grows_up_to_the_nearest_cloud_and_stays_there(tmp_path: Any) -> None:
    from core.clouds import Cloud
    from core.datasets.shapes16 import make_shape
    from core.models.checkpoints import builtin_models, load_model

    model = load_model(builtin_models()["pointnet-simple"])
    classes = list(model.card.classes)
    cloud = Cloud(make_shape("chair", 4, points=256), "chair", class_name="chair", label=classes.index("chair"))
    attack = preset("deepfool", epsilon=0.3)
    scene = result(live.attack(live.Setup((model,), 0, attack, cloud), 0.3)).scene
    distance = float(scene.distances.rmse)
    epsilons = [0.0, 0.5 * distance, 1.01 * distance, 0.3]
    outcome = result(live.rescaled_outcome(scene, epsilons))
    assert outcome.wrong[0].tolist() == [False, False, True, True]
    assert outcome.confidence[0, 2] == pytest.approx(outcome.confidence[0, 3], abs=1e-5)
