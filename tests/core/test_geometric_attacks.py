"""Attacks that keep to shapes: neighbours, normals, regularisers, tangent planes, frequencies; adding and dropping."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from torch import Tensor, nn

from core.attacks import NORMS, Attack, GradientAttack, State, preset
from core.attacks.constraint import TANGENT
from core.attacks.geometric import neighbours as room
from core.attacks.geometric.frequency import low_frequencies, low_pass
from core.attacks.geometric.neighbours import nearest, neighbours, normals, points_at, ranked, tangential
from core.attacks.geometric.regularisers import (
    KNN,
    REGULARISERS,
    chamfer,
    curvature,
    far_neighbours,
    hausdorff,
    to_nearest,
)
from core.evaluation.accuracy import EvaluationOptions
from core.evaluation.judge import judge
from core.evaluation.make import make_set
from core.events import Step, result
from core.models import Output
from tests.core.test_attacks import linear
from tests.core.toys import attacked, settled_pointnet, toy_batch, toy_split, trained_pointnet

N = 40
MOVING = ("knn", "geoa3", "si-adv", "aof", "advpc")
"""Those whose epsilon bounds how far points move."""


def points(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


def quick(name: str, **values: Any) -> Attack:
    """A preset of few steps, and of GeoA3 of few rounds."""
    few = {"steps": 4, "restarts": 1} if name == "geoa3" else {"steps": 4}
    return preset(name, **{**few, **values})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> nn.Module:
    return trained_pointnet(tmp_path_factory.mktemp("shapes") / "run")


class TestNeighbours:
    @given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 12), st.integers(0, 99))
    @settings(max_examples=30)
    def test_are_those_of_a_tree(self, many: int, others: int, count: int, seed: int) -> None:
        x, y = points(2, many, seed=seed), points(2, others, seed=seed + 1)
        found = nearest(x, y, count)
        assert found.shape == (2, many, min(count, others))
        for cloud in range(2):
            far = cKDTree(y[cloud]).query(x[cloud], k=list(range(1, found.shape[2] + 1)))[0]
            mine = (points_at(y, found)[cloud] - x[cloud][:, None]).norm(dim=2)
            np.testing.assert_allclose(mine, far, atol=1e-12)

    def test_are_the_same_in_parts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        x = points(3, 50)
        whole = nearest(x, x, 5)
        monkeypatch.setattr(room, "_PAIRS", 1000)
        assert torch.equal(nearest(x, x, 5), whole)

    def test_only_some_may_count(self) -> None:
        x = points(2, 30)
        among = torch.arange(30).expand(2, -1) % 3 == 0
        found = nearest(x, x, 4, among)
        assert (found % 3 == 0).all()
        assert torch.equal(found[:, ::3, 0], torch.arange(0, 30, 3).expand(2, -1))

    @given(st.permutations(range(12)))
    def test_equal_scores_are_ordered_by_place_whatever_the_order(self, order: list[int]) -> None:
        x, scores = points(1, 12), torch.tensor([[0.0, 1.0, 0.0, -1.0] * 3])
        first, again = ranked(scores, x), ranked(scores[:, order], x[:, order])
        assert torch.equal(points_at(x, first), points_at(x[:, order], again))
        assert (scores.gather(1, first).diff() <= 0).all()


class TestNormals:
    def test_of_a_plane_are_its_normal(self) -> None:
        frame = torch.linalg.qr(points(4, 3))[0]
        plane = points(4, 60) * torch.tensor([1.0, 1.0, 0.0]) @ frame.mT + points(4, 1)
        found = normals(plane)
        torch.testing.assert_close(
            (found * frame[:, None, :, 2]).sum(2).abs(), torch.ones(4, 60).double(), rtol=0, atol=1e-9
        )

    def test_of_a_sphere_point_to_its_centre(self) -> None:
        turn, height = torch.arange(3000) * 2.399963, 1 - 2 * (torch.arange(3000) + 0.5) / 3000
        ring = (1 - height**2).sqrt()
        sphere = torch.stack([ring * turn.cos(), ring * turn.sin(), height], 1)[None]
        assert ((normals(sphere) * sphere).sum(2).abs() > 0.999).all()

    @pytest.mark.parametrize("count", [1, 2, 3, 50])
    def test_of_points_without_a_plane_are_unit_vectors(self, count: int) -> None:
        along = torch.linspace(-1, 1, count)[:, None] * torch.tensor([0.6, 0.0, 0.8])
        for cloud in (along, torch.ones(count, 3), torch.zeros(count, 3)):
            found = normals(cloud[None])
            torch.testing.assert_close(found.norm(dim=2), torch.ones(1, count))
        if count > 1:
            assert ((normals(along[None]) * torch.tensor([0.6, 0.0, 0.8])).sum(2).abs() < 1e-6).all()

    def test_the_tangential_part_is_orthogonal_and_the_rest_is_not_lost(self) -> None:
        x, move = points(2, 30), points(2, 30, seed=1)
        found = normals(x)
        part = tangential(move, found)
        assert ((part * found).sum(2).abs() < 1e-12).all()
        torch.testing.assert_close(tangential(part, found), part)
        torch.testing.assert_close(part + (move * found).sum(2, keepdim=True) * found, move)


class TestRegularisers:
    def test_of_a_cloud_whose_points_are_far_apart_and_all_moved_alike(self) -> None:
        grid = torch.cartesian_prod(*[torch.linspace(-1, 1, 4).double()] * 3)[None]
        move = torch.tensor([0.03, 0.0, 0.04]).double()
        torch.testing.assert_close(chamfer(grid + move, grid), torch.tensor([2 * 0.05**2]).double())
        torch.testing.assert_close(hausdorff(grid + move, grid), torch.tensor([0.05**2]).double())
        one = grid.clone()
        one[0, 5] += move
        torch.testing.assert_close(hausdorff(one, grid), torch.tensor([0.05**2]).double())
        torch.testing.assert_close(to_nearest(one, grid).sum(1), torch.tensor([0.05**2]).double())

    def test_far_neighbours_are_those_of_a_point_that_left(self) -> None:
        near = 0.01 * points(1, 30)
        out = torch.tensor([[[3.0, 4.0, 0.0]]]).double()
        cloud = torch.cat([near, out], 1)
        apart = (near - out).square().sum(2).sort(1).values[:, :KNN].mean(1)
        torch.testing.assert_close(far_neighbours(cloud), apart / 31)

    def test_curvature_is_nothing_in_a_plane_and_half_a_chord_on_a_sphere(self) -> None:
        plane = points(1, 60) * torch.tensor([1.0, 1.0, 0.0])
        assert (curvature(plane, normals(plane)) < 1e-9).all()
        sphere = nn.functional.normalize(torch.randn(1, 80, 3, dtype=torch.float64), dim=2)
        chords = (points_at(sphere, neighbours(sphere, 16)) - sphere[:, :, None]).norm(dim=3)
        torch.testing.assert_close(curvature(sphere, sphere), chords.mean(2) / 2)

    @pytest.mark.parametrize("name", REGULARISERS)
    def test_gradients_are_right_and_nothing_is_lost_at_first(self, name: str) -> None:
        clean, row = points(2, 30), REGULARISERS[name]
        known = row.of_clean_cloud(clean)
        clouds = (clean + 0.05 * points(2, 30, seed=1)).requires_grad_()
        assert torch.autograd.gradcheck(lambda each: row.value(each, clean, known), clouds)
        if name != "knn":
            torch.testing.assert_close(row.value(clean, clean, known), torch.zeros(2).double())

    @pytest.mark.parametrize("name", REGULARISERS)
    @pytest.mark.parametrize("count", [1, 3, 20])
    def test_points_on_one_another_give_finite_numbers(self, name: str, count: int) -> None:
        clean, row = torch.zeros(1, count, 3), REGULARISERS[name]
        clouds = clean.clone().requires_grad_()
        value = row.value(clouds, clean, row.of_clean_cloud(clean))
        value.sum().backward()
        assert value.isfinite().all()
        assert clouds.grad is not None
        assert clouds.grad.isfinite().all()

    def test_a_larger_weight_keeps_the_cloud_nearer(self, trained: nn.Module) -> None:
        x, y = toy_batch(9, 48, 5)
        values = {"steps": 15, "epsilon": 0.5, "restarts": 0}
        far = [
            chamfer(attacked(quick("geoa3", regulariser_weight=weight, **values), trained, x, y).current, x)
            for weight in (0.001, 1000.0)
        ]
        assert far[1].mean() < far[0].mean()


@pytest.fixture(scope="module")
def rounds(trained: nn.Module) -> list[State]:
    """Of GeoA3, the states after each of eight rounds of ten steps."""
    x, y = toy_batch(9, 48, 5)
    attack = preset("geoa3", steps=10, restarts=7, epsilon=0.5)
    return [event.value for event in attack.run(trained, x, y) if isinstance(event, Step) and event.index % 10 == 0]


class TestBinarySearch:
    """Of GeoA3's weight, round by round."""

    def test_the_weight_is_doubled_until_a_round_fails_and_then_halved_between_the_two(
        self, rounds: list[State]
    ) -> None:
        low, high, weight = torch.zeros(9), torch.full((9,), torch.inf), torch.full((9,), 10.0)
        won_ever = torch.zeros(9, dtype=torch.bool)
        for state in rounds[1:]:
            assert torch.equal(state.slots["weight"], weight)
            won = state.slots["fooled_in_round"]
            won_ever |= won
            low, high = torch.where(won, weight, low), torch.where(won, high, weight)
            weight = torch.where(high.isinf(), 2 * weight, (low + high) / 2)
            assert (low <= high).all()
        assert len(rounds) == 9
        assert won_ever.any()
        assert torch.equal(won_ever, rounds[-1].slots["least"].isfinite())

    def test_the_result_fools_and_has_the_least_regulariser_of_all_that_do(
        self, trained: nn.Module, rounds: list[State]
    ) -> None:
        last, row = rounds[-1], REGULARISERS["geoa3"]
        fooled = trained(last.adversarial).logits.argmax(1) != last.label
        assert torch.equal(fooled, last.slots["least"].isfinite())
        lost = row.value(last.adversarial, last.clean, row.of_clean_cloud(last.clean))
        torch.testing.assert_close(lost[fooled], last.slots["least"][fooled], rtol=1e-3, atol=1e-6)
        for before, after in pairwise(rounds[1:]):
            assert (after.slots["least"] <= before.slots["least"]).all()
        assert (last.slots["least"] < rounds[1].slots["least"]).any()


class TestTangent:
    model = settled_pointnet(N)

    @given(
        constraint=st.sampled_from(sorted(TANGENT)),
        direction=st.sampled_from(["sign", "raw", "per-point", "l2"]),
        optimiser=st.sampled_from(["gd", "na-gd", "adam", "apgd"]),
        epsilon=st.floats(0.01, 0.5),
        restarts=st.integers(0, 1),
        random_start=st.booleans(),
        unit_ball=st.booleans(),
    )
    @settings(max_examples=25, deadline=None)
    def test_points_stay_in_the_tangent_planes_and_in_the_budget(self, **values: Any) -> None:
        x, y = toy_batch(3, N)
        x, attack = x.double(), GradientAttack.model_validate({"steps": 3, **values})
        along = normals(x)
        for event in attack.run(self.model, x, y):
            for cloud in (event.value.current, event.value.adversarial):
                assert ((cloud - x) * along).sum(2).abs().max() < 1e-9
                assert (NORMS[attack.constraint](cloud - x) <= attack.epsilon + 1e-9).all()

    def test_one_step_is_the_best_move_in_a_plane(self) -> None:
        model, weights = linear()
        x = points(2, weights.shape[1]) * torch.tensor([1.0, 1.0, 0.0])
        y = torch.tensor([0, 1])
        state = attacked(GradientAttack(epsilon=0.3, direction="per-point", constraint="tangent-l2"), model, x, y)
        w = (weights[1 - y] - weights[y]) * torch.tensor([1.0, 1.0, 0.0])
        torch.testing.assert_close(state.adversarial - x, 0.3 * w / w.norm(dim=2, keepdim=True))


class TestFrequencies:
    def test_are_orthonormal_and_begin_with_the_whole_cloud_moving(self) -> None:
        low = low_frequencies(points(2, 50), 10)
        torch.testing.assert_close(low.mT @ low, torch.eye(10).double().expand(2, -1, -1))
        shift = torch.ones(2, 50, 3).double()
        torch.testing.assert_close(low_pass(shift, low), shift)
        x = points(2, 50, seed=1)
        torch.testing.assert_close(low_pass(low_pass(x, low), low), low_pass(x, low))
        torch.testing.assert_close(low_pass(x, low_frequencies(x, 1000)), x)

    @pytest.mark.parametrize("share", [0.0, 0.25])
    def test_moves_are_of_low_frequency_where_the_budget_does_not_cut_them(self, share: float) -> None:
        x, y = toy_batch(3, N)
        x = x.double()
        attack = quick("aof", frequencies=12, constraint="rmse", epsilon=0.1, smooth_share=share)
        state = attacked(attack, settled_pointnet(N), x, y)
        move = state.adversarial - x
        assert (move != 0).any()
        torch.testing.assert_close(low_pass(move, low_frequencies(x, 12)), move)
        assert (state.forwards == 5 + 4 * (share > 0)).all()

    def test_a_cloud_apart_in_two_is_attacked_too(self) -> None:
        x, y = toy_batch(3, 2 * N)
        x[:, N:] += 1e6
        assert attacked(quick("aof", epsilon=0.1), settled_pointnet(N).float(), x, y).adversarial.isfinite().all()


class TestAdding:
    model = settled_pointnet(N)

    def start(self, epsilon: float, **values: Any) -> tuple[State, State, Tensor]:
        """The state before the first step and after the last, and the clean clouds."""
        x, y = toy_batch(4, N)
        x, attack = x.double(), quick("add", epsilon=epsilon, **values)
        return attack.start(self.model, x, y), attacked(attack, self.model, x, y), x

    @given(st.floats(0.0, 100.0), st.integers(0, 1))
    @settings(max_examples=15, deadline=None)
    def test_no_more_are_added_than_epsilon_and_the_others_stay(self, epsilon: float, restarts: int) -> None:
        _, state, x = self.start(epsilon, restarts=restarts)
        count = int(epsilon * N / 100 + 1e-9)
        for cloud in (state.adversarial, state.current):
            assert cloud.shape == (4, N + count, 3)
            assert torch.equal(cloud[:, :N], x)
            assert (cloud.norm(dim=2) <= 1 + 1e-9).all()
            assert ((cloud != state.clean).any(2).sum(1) <= count).all()

    def test_they_start_on_the_points_of_the_largest_gradient_and_change_nothing_yet(self) -> None:
        before, after, x = self.start(25.0, objective="margin")
        assert before.at_clean is not None
        assert before.evaluation is not None
        assert before.at_clean.gradient is not None
        torch.testing.assert_close(before.evaluation.logits, before.at_clean.logits)
        size = before.at_clean.gradient.norm(dim=2)
        chosen = nearest(before.current[:, N:], x, 1)[..., 0]
        assert torch.equal(size.gather(1, chosen), size.sort(1, descending=True).values[:, :10])
        assert (after.adversarial[:, N:] != before.current[:, N:]).any(2).all()

    def test_of_a_cloud_with_repeats_each_place_is_chosen_once(self) -> None:
        x, y = toy_batch(2, N)
        state = quick("add", epsilon=25.0).start(self.model, x.double().repeat(1, 2, 1), y)
        added = state.clean[:, 2 * N :]
        assert all(len(cloud.unique(dim=0)) == len(cloud) for cloud in added)

    def test_refit_takes_the_least_critical_back(self) -> None:
        _, state, x = self.start(50.0)
        attack = quick("add")
        for epsilon, count in ((50.0, 20), (10.0, 4), (0.0, 0), (90.0, 20)):
            other = attack.refit(state, epsilon)
            torch.testing.assert_close(other.adversarial[:, N : N + count], state.adversarial[:, N : N + count])
            assert torch.equal(other.adversarial[:, N + count :], state.clean[:, N + count :])
            assert torch.equal(other.adversarial[:, :N], x)

    def test_what_would_measure_its_steps_in_numbers_of_points_is_refused(self) -> None:
        for changes in ({"optimiser": "apgd"}, {"first_step": 0.1}):
            with pytest.raises(ValueError, match="steps of step_size"):
                preset("add", **changes)

    def test_a_set_of_lengthened_clouds_is_made_and_judged(self) -> None:
        options, split = EvaluationOptions(points=N, batch_size=4), toy_split(6)
        model = settled_pointnet(N).float()
        made = result(make_set(model, split, quick("add", epsilon=50.0, objective="margin"), options))
        assert made.clouds.shape == (6, N + N // 2, 3)
        assert ((made.linf > 0) & (made.linf < 1)).all()
        report = result(judge(model, split, made, options))
        np.testing.assert_allclose(report.clean.logits, made.clean_logits, atol=1e-5)
        np.testing.assert_allclose(report.adversarial.logits, made.logits, atol=1e-5)

    def test_more_than_noise(self, trained: nn.Module) -> None:
        x, y = toy_batch(24, 48, 5)
        state = attacked(quick("add", steps=30, epsilon=100.0, step_size=0.03, regulariser_weight=0.0), trained, x, y)
        assert state.best is not None
        far = (state.adversarial - state.clean).norm(dim=2, keepdim=True)
        noise = nn.functional.normalize(points(24, far.shape[1]).float(), dim=2) * far
        wrong = trained(state.clean + noise).logits.argmax(1) != y
        assert (state.best.prediction != y).sum() > wrong.sum() + 5


class TestDropping:
    model = settled_pointnet(N)
    single = settled_pointnet(N).float()

    @given(st.floats(0.0, 100.0), st.integers(1, 5))
    @settings(max_examples=20, deadline=None)
    def test_so_many_points_are_gone_and_the_others_are_where_they_were(self, epsilon: float, steps: int) -> None:
        (x, y), model = toy_batch(4, N), self.single
        state = attacked(preset("drop", epsilon=epsilon, steps=steps), model, x, y)
        gone = min(int(epsilon * N / 100 + 1e-9), N - 1)
        assert state.slots["dropped"].tolist() == [gone] * 4
        for before, current, best in zip(x, state.current, state.adversarial, strict=True):
            for after, exactly in ((current, True), (best, False)):
                kept = after.unique(dim=0)
                assert {tuple(point) for point in kept.tolist()} <= {tuple(point) for point in before.tolist()}
                assert len(kept) == N - gone if exactly else len(kept) >= N - gone
            still = (current == before).all(1)
            torch.testing.assert_close(model(current[None]).logits, model(before[still][None]).logits)

    def test_the_first_to_go_are_those_of_the_highest_saliency(self) -> None:
        slope = points(1, 1)[0]
        fixed = points(1, N, seed=3)[0]

        def model(clouds: Tensor) -> Output:
            """Its loss has another gradient at every point."""
            first = (clouds * fixed).sum((1, 2))
            logits = torch.stack([first, (clouds @ slope.T).sum((1, 2))], 1)
            return Output(logits, logits)

        x, y = points(3, N, seed=4), torch.tensor([0, 1, 0])
        state = attacked(preset("drop", epsilon=20.0, steps=1, saliency_power=2.0), model, x, y)
        assert state.at_clean is not None
        assert state.at_clean.gradient is not None
        for cloud, after, gradient in zip(x, state.adversarial, state.at_clean.gradient, strict=True):
            away = cloud - cloud.median(dim=0).values
            saliency = -(away * gradient).sum(1) * away.norm(dim=1) ** 2
            expected = saliency.argsort(descending=True)[: N // 5]
            assert set(np.flatnonzero((after != cloud).any(1))) == set(expected.tolist())

    def test_where_one_goes_the_nearest_that_is_left_is_repeated(self) -> None:
        x, y = toy_batch(3, N)
        state = attacked(preset("drop", epsilon=50.0), self.model, x.double(), y)
        stays = (state.current == state.clean).all(2)
        expected = nearest(state.clean, state.clean, 1, stays)[..., 0]
        torch.testing.assert_close(state.current, points_at(state.clean, expected))

    def test_a_cloud_with_repeats_loses_the_same_places(self) -> None:
        x, y = toy_batch(3, N)
        attack = preset("drop", epsilon=30.0, steps=5)
        once = attacked(attack, self.model, x.double(), y).adversarial
        twice = attacked(attack, self.model, x.double().repeat(1, 2, 1), y).adversarial
        torch.testing.assert_close(twice, once.repeat(1, 2, 1))

    def test_refit_drops_the_first_of_the_order_and_can_go_on(self) -> None:
        x, y = toy_batch(3, N)
        attack = preset("drop", epsilon=40.0, steps=4, keep="last")
        state = attacked(attack, self.model, x.double(), y)
        torch.testing.assert_close(attack.refit(state, 40.0).adversarial, state.adversarial)
        for epsilon in (0.0, 10.0, 30.0, 60.0):
            other = attack.refit(state, epsilon)
            gone = (other.adversarial != other.clean).any(2)
            assert gone.sum(1).tolist() == [int(epsilon * N / 100)] * 3
            assert (gone <= (state.slots["order"] < gone.sum(1, keepdim=True))).all()
            further = attack.step(self.model, other)
            assert further.adversarial.isfinite().all()
            assert (further.slots["dropped"] == gone.sum(1)).all()

    def test_more_than_noise(self, trained: nn.Module) -> None:
        x, y = toy_batch(24, 48, 5)
        state = attacked(preset("drop", epsilon=40.0), trained, x, y)
        assert state.best is not None
        order = torch.rand(24, 48, generator=torch.Generator().manual_seed(0)).argsort(1)
        wrong = trained(points_at(x, order[:, :29])).logits.argmax(1) != y
        assert (state.best.prediction != y).sum() > wrong.sum() + 5

    def test_options_that_would_do_nothing_are_refused(self) -> None:
        with pytest.raises(ValueError, match="restarts"):
            preset("drop", restarts=2)
        with pytest.raises(ValueError, match="constraint"):
            preset("drop", constraint="linf")


class TestAll:
    """What holds for each of them."""

    model = settled_pointnet(N)
    single = settled_pointnet(N).float()
    names = pytest.mark.parametrize("name", [*MOVING, "add", "drop"])

    @given(
        name=st.sampled_from(MOVING),
        epsilon=st.floats(0.0, 0.5),
        goal=st.sampled_from(["untargeted", "targeted"]),
        restarts=st.integers(0, 1),
    )
    @settings(max_examples=25, deadline=None)
    def test_no_iterate_leaves_the_budget(self, name: str, **values: Any) -> None:
        attack = quick(name, steps=3, **values)
        x, y = toy_batch(3, N)
        x = x.double()
        for event in attack.run(self.model, x, y):
            for cloud in (event.value.current, event.value.adversarial):
                assert (NORMS[attack.constraint](cloud - x) <= attack.epsilon + 1e-9).all()

    @names
    def test_epsilon_zero_changes_nothing(self, name: str) -> None:
        x, y = toy_batch(3, N)
        assert torch.equal(attacked(quick(name, epsilon=0.0), self.model, x.double(), y).adversarial, x.double())

    @names
    @pytest.mark.parametrize("restarts", [0, 1])
    def test_a_cloud_is_attacked_alone_as_in_company_and_the_same_each_time(self, name: str, restarts: int) -> None:
        if name == "drop":
            restarts = 0
        x, y = toy_batch(4, N)
        attack = quick(name, restarts=restarts)
        together = attacked(attack, self.model, x.double(), y).adversarial
        assert torch.equal(attacked(attack, self.model, x.double(), y).adversarial, together)
        alone = attacked(attack, self.model, x[:1].double(), y[:1]).adversarial
        torch.testing.assert_close(alone, together[:1])

    @names
    def test_the_order_of_the_points_does_not_matter(self, name: str) -> None:
        x, y = toy_batch(3, N)
        x, attack = x.double(), quick(name)
        order = torch.randperm(N, generator=torch.Generator().manual_seed(0))
        state, other = attacked(attack, self.model, x, y), attacked(attack, self.model, x[:, order], y)
        expected = torch.cat([state.adversarial[:, order], state.adversarial[:, N:]], 1)
        torch.testing.assert_close(other.adversarial, expected)

    @names
    @pytest.mark.parametrize("count", [1, 2, 12])
    def test_clouds_without_a_shape_give_finite_results(self, name: str, count: int) -> None:
        along = torch.linspace(-1, 1, count)[:, None] * torch.tensor([0.6, 0.0, 0.8])
        x = torch.stack([torch.zeros(count, 3), torch.full((count, 3), 0.5), along])
        state = attacked(quick(name), self.single, x, torch.tensor([0, 1, 2]))
        assert state.adversarial.isfinite().all()
        assert state.best is not None
        assert state.best.loss.isfinite().all()

    @names
    def test_a_targeted_attack_lowers_the_loss_of_the_wanted_class(self, trained: nn.Module, name: str) -> None:
        x, y = toy_batch(9, 48, 5)
        attack = quick(name, goal="targeted", steps=10, epsilon=0.3 if name in MOVING else 50.0)
        state = attacked(attack, trained, x, (y + 1) % 3)
        assert state.best is not None
        assert state.at_clean is not None
        assert state.best.loss.mean() < state.at_clean.loss.mean()

    @pytest.mark.parametrize("name", MOVING)
    def test_more_than_noise(self, trained: nn.Module, name: str) -> None:
        x, y = toy_batch(24, 48, 5)
        attack = quick(name, steps=20, epsilon=0.4, step_size=0.03, regulariser_weight=1.0)
        state = attacked(attack, trained, x, y)
        assert state.best is not None
        noise = 0.4 * nn.functional.normalize(points(24, 48).float(), dim=2)
        wrong = trained(x + noise).logits.argmax(1) != y
        assert (state.best.prediction != y).sum() > wrong.sum() + 5
