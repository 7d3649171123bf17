"""Transforms of whole clouds, and the worst of them within a range."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from core.attacks import NORMS, PRESETS, preset
from core.attacks.semantic.transformation import TransformAttack
from core.attacks.semantic.transforms import TRANSFORMS
from tests.core.test_attacks import N, batch, linear
from tests.core.toys import attacked, settled_pointnet, toy_batch, trained_pointnet

names = pytest.mark.parametrize("name", TRANSFORMS)


def quick(name: str, **values: Any) -> TransformAttack:
    """A preset of few tries and steps."""
    attack = preset(name, **{"steps": 4, "tries": 4, **values})
    assert isinstance(attack, TransformAttack)
    return attack


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> nn.Module:
    return trained_pointnet(tmp_path_factory.mktemp("transforms") / "run")


def parameters(name: str, *values: float) -> Tensor:
    assert len(values) == TRANSFORMS[name].parameters
    return torch.tensor([values]).double()


POINT = torch.tensor([[[0.3, 0.4, 0.5]]]).double()


class TestTransforms:
    @names
    def test_by_nothing_is_the_identity(self, name: str) -> None:
        x = batch()[0]
        assert torch.equal(TRANSFORMS[name](x, torch.zeros(5, TRANSFORMS[name].parameters).double()), x)

    @pytest.mark.parametrize(
        ("name", "values", "expected"),
        [
            ("rotate", (90.0, 0.0, 0.0), (0.3, -0.5, 0.4)),
            ("rotate", (0.0, 90.0, 0.0), (0.5, 0.4, -0.3)),
            ("rotate", (0.0, 0.0, 180.0), (-0.3, -0.4, 0.5)),
            ("rotate-z", (90.0,), (-0.4, 0.3, 0.5)),
            ("twist", (180.0,), (-0.4, 0.3, 0.5)),
            ("taper", (20.0,), (0.33, 0.44, 0.5)),
            ("shear", (10.0, -20.0), (0.35, 0.3, 0.5)),
            ("scale", (10.0, -50.0, 0.0), (0.33, 0.2, 0.5)),
        ],
    )
    def test_a_point_goes_where_it_should(
        self, name: str, values: tuple[float, ...], expected: tuple[float, ...]
    ) -> None:
        found = TRANSFORMS[name](POINT, parameters(name, *values))
        torch.testing.assert_close(found, torch.tensor([[expected]]).double())

    @names
    def test_gradients_are_right(self, name: str) -> None:
        x = batch(2)[0][:, :4]
        at = (20 * torch.rand(2, TRANSFORMS[name].parameters).double() - 10).requires_grad_()
        assert torch.autograd.gradcheck(lambda each: TRANSFORMS[name](x, each), at)

    @given(st.lists(st.floats(-180, 180), min_size=3, max_size=3))
    def test_a_rotation_keeps_all_distances_and_is_undone_by_its_opposite(self, angles: list[float]) -> None:
        x = batch(1)[0]
        there = TRANSFORMS["rotate"](x, torch.tensor([angles]).double())
        torch.testing.assert_close(torch.cdist(there, there), torch.cdist(x, x))
        torch.testing.assert_close(TRANSFORMS["rotate"](there, -torch.tensor([angles]).double()), x)


class TestTheWorst:
    """Of a linear model the margin is known for every angle: A cos + B sin + C."""

    @pytest.mark.parametrize("epsilon", [180.0, 40.0])
    def test_angle_about_z_is_the_exact_one(self, epsilon: float) -> None:
        model, weights = linear()
        x, y = batch()
        w = weights[1 - y] - weights[y]
        cosine = (w[..., :2] * x[..., :2]).sum((1, 2))
        sine = (w[..., 1] * x[..., 0] - w[..., 0] * x[..., 1]).sum(1)
        peak = torch.atan2(sine, cosine)
        limit = math.radians(epsilon)
        ends = torch.stack([torch.full_like(peak, -limit), torch.full_like(peak, limit)])
        angles = torch.cat([peak[None].clamp(-limit, limit), ends])
        values = cosine * angles.cos() + sine * angles.sin()
        state = attacked(preset("rotate-z", epsilon=epsilon, steps=40), model, x, y)
        gained = (w * state.adversarial)[..., :2].sum((1, 2))
        torch.testing.assert_close(gained, values.amax(0), rtol=1e-6, atol=1e-6)

    def test_scale_and_shear_are_corners(self) -> None:
        model, weights = linear()
        x, y = batch()
        w = weights[1 - y] - weights[y]
        state = attacked(preset("scale", epsilon=20.0, steps=40), model, x, y)
        expected = x * (1 + 0.2 * (w * x).sum(1, keepdim=True).sign())
        torch.testing.assert_close(state.adversarial, expected)
        state = attacked(preset("shear", epsilon=20.0, steps=40), model, x, y)
        slopes = 0.2 * (w[..., :2] * x[..., 2:]).sum(1, keepdim=True).sign()
        torch.testing.assert_close(state.adversarial[..., :2], x[..., :2] + slopes * x[..., 2:])

    @pytest.mark.parametrize(
        "name", [pytest.param(name, marks=[pytest.mark.long] * (name != "rotate")) for name in TRANSFORMS]
    )
    def test_is_worse_than_the_tries_and_than_any_at_random(self, trained: nn.Module, name: str) -> None:
        x, y = toy_batch(24, 48, 5)
        row, epsilon = TRANSFORMS[name], {"°": 90.0, "%": 60.0}[TRANSFORMS[name].scale.unit]
        state = attacked(preset(name, epsilon=epsilon), trained, x, y)
        one_step = attacked(preset(name, epsilon=epsilon, steps=1), trained, x, y)
        assert state.best is not None
        assert one_step.best is not None
        assert (state.best.prediction != y).sum() >= (one_step.best.prediction != y).sum()
        noise = row.bounded(torch.rand(24, row.parameters, generator=torch.Generator().manual_seed(0)) * 2 - 1)
        logits = trained(row(x, epsilon * noise)).logits
        assert state.best.loss.mean() > nn.functional.cross_entropy(logits, y)
        wrong = (logits.argmax(1) != y).sum()
        found = (state.best.prediction != y).sum()
        assert found > wrong if name in ("rotate", "shear", "scale") else found >= wrong

    def test_more_tries_and_starts_never_make_it_weaker(self) -> None:
        model, (x, y) = settled_pointnet(N), batch(6, 3)
        few = attacked(quick("rotate", restarts=0), model, x, y)
        more = attacked(quick("rotate", restarts=2), model, x, y)
        assert few.best is not None
        assert more.best is not None
        fooled, before = more.best.prediction != y, few.best.prediction != y
        assert (fooled | ~before).all()
        assert (more.best.loss >= few.best.loss)[fooled == before].all()


class TestEach:
    model = settled_pointnet(N)

    @given(
        name=st.sampled_from(sorted(TRANSFORMS)),
        epsilon=st.floats(0.0, 180.0),
        goal=st.sampled_from(["untargeted", "targeted"]),
        restarts=st.integers(0, 1),
        objective=st.sampled_from(["ce", "margin"]),
    )
    @settings(max_examples=30, deadline=None)
    def test_no_parameter_exceeds_epsilon_and_the_cloud_is_that_transform(self, name: str, **values: Any) -> None:
        attack = quick(name, **values)
        x, y = batch(3, 3)
        for event in attack.run(self.model, x, y):
            state = event.value
            if not state.step:
                continue
            for part in ("parameters", "proposed", "best"):
                length = NORMS["per-point-l2"] if name == "rotate" else NORMS["linf"]
                assert (length(state.slots[part][:, None]) <= 1 + 1e-9).all()
            best = TRANSFORMS[name](x, attack.epsilon * state.slots["best"])
            torch.testing.assert_close(state.adversarial, best)

    @names
    def test_epsilon_zero_changes_nothing(self, name: str) -> None:
        x, y = batch(3, 3)
        assert torch.equal(attacked(quick(name, epsilon=0.0), self.model, x, y).adversarial, x)

    @names
    def test_a_cloud_is_attacked_alone_as_in_company_and_the_same_each_time(self, name: str) -> None:
        x, y = batch(4, 3)
        attack = quick(name, restarts=1)
        together = attacked(attack, self.model, x, y).adversarial
        assert torch.equal(attacked(attack, self.model, x, y).adversarial, together)
        torch.testing.assert_close(attacked(attack, self.model, x[:1], y[:1]).adversarial, together[:1])

    @names
    def test_the_order_of_the_points_does_not_matter(self, name: str) -> None:
        x, y = batch(3, 3)
        order = torch.randperm(N, generator=torch.Generator().manual_seed(0))
        found = attacked(quick(name), self.model, x[:, order], y).adversarial
        torch.testing.assert_close(found, attacked(quick(name), self.model, x, y).adversarial[:, order])

    @names
    def test_refit_is_the_transform_by_the_same_share_of_epsilon(self, name: str) -> None:
        x, y = batch(3, 3)
        attack = quick(name)
        state = attacked(attack, self.model, x, y)
        torch.testing.assert_close(attack.refit(state, attack.epsilon).adversarial, state.adversarial)
        for epsilon in (0.0, 5.0, 45.0):
            other = attack.refit(state, epsilon)
            torch.testing.assert_close(other.adversarial, TRANSFORMS[name](x, epsilon * state.slots["best"]))
            assert attack.step(self.model, other).adversarial.isfinite().all()

    @names
    @pytest.mark.parametrize("count", [1, 2, 12])
    def test_clouds_without_a_shape_give_finite_results(self, name: str, count: int) -> None:
        along = torch.linspace(-1, 1, count)[:, None] * torch.tensor([0.6, 0.0, 0.8])
        x = torch.stack([torch.zeros(count, 3), torch.full((count, 3), 0.5), along]).double()
        state = attacked(quick(name), self.model, x, torch.tensor([0, 1, 2]))
        assert state.adversarial.isfinite().all()

    def test_a_targeted_attack_lowers_the_loss_of_the_wanted_class(self, trained: nn.Module) -> None:
        x, y = toy_batch(9, 48, 5)
        state = attacked(preset("scale", epsilon=40.0, goal="targeted"), trained, x, (y + 1) % 3)
        assert state.best is not None
        assert state.at_clean is not None
        assert (state.best.loss < state.at_clean.loss).all()


def test_each_transform_is_a_preset_whose_epsilon_has_its_unit() -> None:
    units = {name: preset(name).epsilon_scale.unit for name in TRANSFORMS}
    assert units == {name: "°" if name in ("rotate", "rotate-z", "twist") else "%" for name in TRANSFORMS}
    assert all(preset(name).epsilon <= preset(name).epsilon_scale.highest for name in PRESETS)
    assert preset("twist", epsilon=20.0).caption == "worst twist at epsilon 20 °, 20 steps"
    assert preset("drop", epsilon=5.0).caption == "point-dropping attack at epsilon 5.0 %, 20 steps"
    with pytest.raises(ValueError, match="there is no such name; there are rotate"):
        preset("rotate", transform="bend")
