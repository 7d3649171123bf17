import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from core.attacks import NORMS, Attack, State, evaluate, preset
from core.attacks.constraint import TANGENT
from core.attacks.geometric.neighbours import normals, tangential
from core.attacks.query.random import RandomAttack
from core.attacks.query.square import HALVED_AT
from core.events import Step
from core.models import Output
from tests.core.toys import attacked, batch, linear, settled_pointnet, shapes16_split, shipped_pointnet, toy_batch

N = 20
KINDS = ["square", "random-sign", "gaussian", "random-search"]


def states(attack: Attack, model: Any, x: Tensor, y: Tensor) -> list[State]:
    run = attack.run(model, x, y, torch.Generator().manual_seed(0))
    return [event.value for event in run if isinstance(event, Step)]


class Counting:
    """A model that can't be differentiated, and how often it was asked about each of its clouds."""

    def __init__(self, classes: int) -> None:
        self.weights = np.random.default_rng(0).normal(size=(classes, N, 3))
        self.asked = 0

    def __call__(self, clouds: Tensor) -> Output:
        self.asked += len(clouds)
        logits = torch.from_numpy(np.einsum("bnd,knd->bk", clouds.numpy(), self.weights))
        return Output(logits, logits)


class TestQueries:
    @pytest.mark.parametrize("name", KINDS)
    @pytest.mark.parametrize("constraint", ["linf", "rmse"])
    def test_no_gradient_is_asked_for_and_every_answer_is_counted(self, name: str, constraint: str) -> None:
        model, (x, y) = Counting(3), batch(4, 3)
        state = attacked(preset(name, steps=7, restarts=1, constraint=constraint), model, x, y)
        assert state.backwards.tolist() == [0] * 4
        assert state.forwards.tolist() == [15] * 4
        assert model.asked == 60

    @pytest.mark.parametrize("name", ["square", "random-search"])
    def test_a_cloud_that_is_fooled_is_not_asked_again(self, name: str) -> None:
        model, (x, y) = Counting(3), batch(12, 3)
        attack = preset(name, epsilon=0.05, steps=60)
        ends = list(attack.finish(model, attack.start(model, x, y), stop_on_success=True))
        asked = torch.cat([end.state.forwards for end in ends])
        assert model.asked == asked.sum()
        assert len(asked.unique()) > 2, "a useful case ends at several steps"
        for end in ends:
            assert end.state.best is not None
            fooled = end.state.best.prediction != end.state.label
            assert (end.state.forwards[~fooled] == 61).all()

    def test_a_square_is_kept_where_it_raises_the_margin(self) -> None:
        model, (x, y) = settled_pointnet(N), toy_batch(6, N)
        margins = torch.stack(
            [state.evaluation.objective for state in states(preset("square", steps=40), model, x.double(), y)[1:]]
        )
        assert (margins.diff(dim=0) >= 0).all()
        assert (margins[-1] > margins[0]).any()


class TestSensitivity:
    """The query form of SI-Adv."""

    def test_of_a_linear_model_every_point_ends_at_the_best_place_of_its_tangent_plane(self) -> None:
        model, weights = linear(2)
        x, y = batch(5)
        state = attacked(preset("si-adv-query", epsilon=0.2, steps=N), model, x, y)
        slope = tangential(weights[1 - y] - weights[y], normals(x))
        torch.testing.assert_close(state.adversarial - x, 0.2 * slope / slope.norm(dim=2, keepdim=True))
        assert state.forwards.tolist() == [N + 2] * 5
        assert state.backwards.tolist() == [1] * 5

    def test_points_come_in_the_order_of_the_surrogates_sensitivity(self) -> None:
        model, weights = linear(2)
        x, y = batch(1)
        slope = tangential(weights[1 - y] - weights[y], normals(x)).norm(dim=2)[0]
        run = states(preset("si-adv-query", epsilon=0.2, steps=N), model, x, y)
        moves = [after.current - before.current for before, after in pairwise(run)]
        moved = [int((move.abs() > 1e-9).any(2)[0].nonzero()) for move in moves]
        assert moved == slope.argsort(descending=True).tolist()

    def test_a_point_goes_the_other_way_where_the_surrogate_is_wrong_and_stays_where_neither_helps(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model, weights = linear(2)
        x, y = batch(4)

        def opposite(clouds: Tensor) -> Output:
            logits = -model(clouds).logits
            return Output(logits, logits)

        def flat(clouds: Tensor) -> Output:
            logits = 0 * model(clouds).logits
            return Output(logits, logits)

        monkeypatch.setattr("core.attacks.query.sensitivity.loaded_model", lambda source, device: opposite)
        state = attacked(preset("si-adv-query", epsilon=0.2, steps=2 * N, sensitivity_model="opposite"), model, x, y)
        slope = tangential(weights[1 - y] - weights[y], normals(x))
        torch.testing.assert_close(state.adversarial - x, 0.2 * slope / slope.norm(dim=2, keepdim=True))
        assert state.backwards.tolist() == [0] * 4
        still = attacked(preset("si-adv-query", sensitivity_model="opposite", steps=5), flat, x, y)
        assert torch.equal(still.current, x)

    def test_a_shipped_surrogate_serves_a_black_box(self) -> None:
        model, split = Counting(16), shapes16_split(6, N)
        x, y = torch.from_numpy(np.array(split.points)), torch.from_numpy(split.labels)
        state = attacked(
            preset("si-adv-query", sensitivity_model="pointnet-simple", epsilon=0.3, steps=15), model, x, y
        )
        assert state.backwards.tolist() == [0] * 6
        assert state.forwards.tolist() == [16] * 6
        assert model.asked == 6 * 16
        assert state.best is not None
        assert ((state.adversarial - x) * normals(x)).sum(2).abs().max() < 1e-6
        wide = attacked(
            preset("si-adv-query", sensitivity_model="pointnet-simple", epsilon=0.3, steps=3 * N), model, x, y
        )
        assert wide.best is not None
        assert (wide.best.objective >= state.best.objective).all()

    def test_points_without_a_gradient_cost_no_query(self) -> None:
        model, x, y = shipped_pointnet(points=128, count=3)
        run = states(preset("si-adv-query", epsilon=0.1, steps=20), model, x, y)
        still = evaluate(model, x, y, gradient=True).zero_gradient
        assert still is not None
        assert (still > 0).any()
        direction = run[1].slots["direction"]
        for before, after in pairwise(run[1:]):
            at = after.slots["order"].gather(1, after.slots["place"][:, None])[..., None].expand(-1, -1, 3)
            assert (direction.gather(1, at) != 0).any(2).all()
            assert (after.evaluation.objective >= before.evaluation.objective).all()  # type: ignore[union-attr]

    def test_a_surrogate_of_other_classes_is_one_sentence(self) -> None:
        model, (x, y) = Counting(40), batch(4, 3)
        with pytest.raises(ValueError, match="knows 16 classes and the attacked model 40"):
            attacked(preset("si-adv-query", sensitivity_model="pointnet-simple"), model, x.float(), y + 30)
        with pytest.raises(ValueError, match="There is no model 'nobody'"):
            attacked(preset("si-adv-query", sensitivity_model="nobody"), model, x, y)

    def test_the_order_of_the_points_and_the_company_do_not_matter(self) -> None:
        model, (x, y) = settled_pointnet(N), toy_batch(4, N)
        x, attack = x.double(), preset("si-adv-query", epsilon=0.2, steps=30)
        order = torch.randperm(N, generator=torch.Generator().manual_seed(0))
        together = attacked(attack, model, x, y).adversarial
        torch.testing.assert_close(attacked(attack, model, x[:, order], y).adversarial, together[:, order])
        torch.testing.assert_close(attacked(attack, model, x[1:2], y[1:2]).adversarial, together[1:2])


class TestSquare:
    @pytest.mark.parametrize("classes", [pytest.param(2, marks=pytest.mark.long), 4])
    @pytest.mark.parametrize(
        ("constraint", "share"),
        [("linf", 0.95), ("rmse", 0.8), pytest.param("l2", 0.8, marks=pytest.mark.long), ("per-point-l2", 0.7)],
    )
    def test_many_queries_come_close_to_the_best_move(self, classes: int, constraint: str, share: float) -> None:
        model, weights = linear(classes)
        x, y = batch(4, classes)
        attack = preset("square", epsilon=0.3, constraint=constraint, steps=1500)
        state = attacked(attack, model, x, y)
        w = weights[None] - weights[y][:, None]
        gain = {
            "linf": w.abs().sum((2, 3)),
            "per-point-l2": w.norm(dim=3).sum(2),
            "rmse": math.sqrt(3 * N) * w.norm(dim=(2, 3)),
            "l2": w.norm(dim=(2, 3)),
        }[constraint]
        clean = model(x).logits.detach()
        lead = clean - clean.gather(1, y[:, None])
        own = torch.nn.functional.one_hot(y, classes).bool()
        most = (lead + 0.3 * gain).masked_fill(own, -torch.inf).amax(1)
        before = lead.masked_fill(own, -torch.inf).amax(1)
        assert state.best is not None
        reached = (state.best.objective - before) / (most - before)
        assert (reached > share).all()
        assert (reached < 1 + 1e-9).all()

    def test_its_first_query_is_a_shift_of_the_whole_cloud(self) -> None:
        x, y = batch(5)
        first = states(preset("square", epsilon=0.2, steps=2), linear()[0], x, y)[1].current - x
        torch.testing.assert_close(first, first[:, :1].expand_as(first))
        torch.testing.assert_close(first.abs(), torch.full_like(first, 0.2))

    @pytest.mark.parametrize(("constraint", "patches"), [("linf", 1), ("rmse", 2)])
    def test_patches_of_neighbours_move_fewer_and_fewer(self, constraint: str, patches: int) -> None:
        points, steps = 100, 220
        model, (x, y) = linear(2, points=points)[0], batch(1, points=points)
        run = states(preset("square", constraint=constraint, patch_share=0.5, steps=steps), model, x, y)
        neighbours = (x[0, :, None] - x[0]).square().sum(2).argsort(1)
        sizes = []
        for step, (before, after) in enumerate(pairwise(run[1:]), 1):
            moved = ((after.current - before.current).abs() > 1e-9).any(2)[0].nonzero()[:, 0]
            if len(moved):
                sizes.append(len(moved))
                halvings = sum(step > limit for limit in HALVED_AT)
                count = max(1, round(points / 2 / 2**halvings))
                assert len(moved) <= patches * count
                if patches == 1:  # of which some may be at their new corner already
                    assert any(set(moved.tolist()) <= set(row.tolist()) for row in neighbours[:, :count])
        assert len(set(sizes)) > 2


class TestRandom:
    @pytest.mark.parametrize("noise", ["sign", "gaussian", "uniform"])
    @pytest.mark.parametrize("constraint", sorted(NORMS.keys() - TANGENT))  # noise fills no plane to its edge
    @given(epsilon=st.floats(0.0, 0.5))
    @settings(max_examples=5)
    def test_is_as_large_as_the_budget_allows(self, noise: str, constraint: str, epsilon: float) -> None:
        x, y = batch()
        attack = RandomAttack.model_validate({"noise": noise, "constraint": constraint, "epsilon": epsilon})
        delta = attacked(attack, linear()[0], x, y).adversarial - x
        torch.testing.assert_close(NORMS[attack.constraint](delta), torch.full((5,), epsilon).double())

    def test_signs_are_signs_and_noise_is_normal_or_uniform(self) -> None:
        x, y = batch(2, points=4000)
        model = linear(points=4000)[0]
        signs = attacked(preset("random-sign", epsilon=0.2), model, x, y).best_unit_delta
        assert set(signs.unique().tolist()) == {-1.0, 1.0}
        assert signs.mean().abs() < 0.03
        normal = attacked(preset("gaussian", epsilon=0.2), model, x, y).best_unit_delta
        assert normal.pow(4).mean().item() == pytest.approx(3, rel=0.1)
        uniform = attacked(preset("gaussian", noise="uniform", epsilon=0.2), model, x, y).best_unit_delta
        assert uniform.pow(4).mean().item() == pytest.approx(9 / 5, rel=0.1)

    def test_without_a_constraint_epsilon_is_the_rmse(self) -> None:
        x, y = batch()
        delta = attacked(preset("gaussian", constraint="none", epsilon=0.2), linear()[0], x, y).adversarial - x
        torch.testing.assert_close(NORMS["rmse"](delta), torch.full((5,), 0.2).double())

    def test_of_many_the_best_is_kept(self) -> None:
        model, (x, y) = settled_pointnet(N), batch(6, 3)
        run = states(preset("random-search", steps=30), model, x, y)
        margins = torch.stack([state.evaluation.objective for state in run[1:]])
        assert run[-1].best is not None
        torch.testing.assert_close(run[-1].best.objective, margins.amax(0))
        assert len({tuple(state.current.flatten().tolist()) for state in run[1:]}) == 30

    @given(st.floats(0.0, 1.0))
    @settings(max_examples=10)
    def test_refit_of_one_draw_is_the_draw_at_the_other_budget(self, epsilon: float) -> None:
        model, (x, y) = settled_pointnet(N), batch(3, 3)
        attack = preset("gaussian", epsilon=0.1)
        assert attack.linear_in_epsilon
        refitted = attack.refit(attacked(attack, model, x, y), epsilon)
        torch.testing.assert_close(refitted.adversarial, attacked(attack.at(epsilon), model, x, y).adversarial)
        assert not preset("random-search").linear_in_epsilon
        assert not preset("gaussian", unit_ball=True).linear_in_epsilon


class TestManners:
    model = settled_pointnet(N)

    @settings(max_examples=40)
    @given(
        name=st.sampled_from(KINDS),
        constraint=st.sampled_from(list(NORMS)),
        epsilon=st.floats(0.0, 0.5),
        steps=st.integers(1, 6),
        restarts=st.integers(0, 1),
        unit_ball=st.booleans(),
        goal=st.sampled_from(["untargeted", "targeted"]),
    )
    def test_no_iterate_ever_leaves_the_budget(self, name: str, **values: Any) -> None:
        attack, (x, y) = preset(name, **values), batch(3, 3)
        for state in states(attack, self.model, x, y):
            for cloud in (state.current, state.adversarial):
                assert torch.isfinite(cloud).all()
                assert (NORMS[attack.constraint](cloud - x) <= attack.epsilon + 1e-9).all()

    @pytest.mark.parametrize("name", KINDS)
    def test_a_budget_of_zero_leaves_the_cloud_as_it_is(self, name: str) -> None:
        x, y = batch(3, 3)
        assert torch.equal(attacked(preset(name, epsilon=0.0, steps=3), self.model, x, y).adversarial, x)

    @pytest.mark.parametrize("name", KINDS)
    @pytest.mark.parametrize("constraint", ["linf", "rmse"])
    def test_a_cloud_is_attacked_alone_as_in_company(self, name: str, constraint: str) -> None:
        (x, y), attack = batch(4, 3), preset(name, epsilon=0.1, steps=12, constraint=constraint)
        state = attack.start(self.model, x, y, torch.Generator().manual_seed(0))
        [together] = attack.finish(self.model, state)
        for row in range(4):
            [alone] = attack.finish(self.model, state.of(torch.tensor([row])))
            torch.testing.assert_close(alone.state.adversarial, together.state.adversarial[row : row + 1])

    @pytest.mark.parametrize("name", KINDS)
    @pytest.mark.parametrize("constraint", ["linf", "rmse"])
    def test_permuted_in_is_permuted_out(self, name: str, constraint: str) -> None:
        (x, y), attack = batch(4, 3), preset(name, epsilon=0.1, steps=12, constraint=constraint)
        order = torch.randperm(N, generator=torch.Generator().manual_seed(5))
        plain, permuted = (attacked(attack, self.model, clouds, y).adversarial for clouds in (x, x[:, order]))
        torch.testing.assert_close(permuted, plain[:, order])

    @pytest.mark.parametrize("name", KINDS)
    def test_the_generator_settles_everything(self, name: str) -> None:
        x, y = batch(3, 3)
        attack = preset(name, steps=5)
        first, again, other = (attacked(attack, self.model, x, y, seed) for seed in (0, 0, 1))
        assert torch.equal(first.adversarial, again.adversarial)
        assert not torch.equal(first.current, other.current)

    @pytest.mark.parametrize("name", KINDS)
    def test_there_is_no_box_of_images(self, name: str) -> None:
        """Of a cloud somewhere else, and a model that looks for it there, the perturbation is the same."""
        x, y = batch(6, 3)
        far = torch.tensor([-5.0, 3.0, 0.5]).double()
        moved = lambda clouds: self.model(clouds - far)  # noqa: E731
        attack = preset(name, epsilon=0.2, steps=20)
        here = attacked(attack, self.model, x, y).adversarial - x
        there = attacked(attack, moved, x + far, y).adversarial - (x + far)
        torch.testing.assert_close(there, here)
        assert (x < 0).any()
        assert here[x < 0].abs().amax() > 0.1
        assert (here < 0).any()
