import math
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor, nn

from core.attacks import BUDGET, NORMS, PRESETS, ConstraintName, Direction, GradientAttack, Stop, evaluate, preset
from core.attacks.duplicates import average_over_duplicates
from core.events import Cancel, Done, Step
from core.models import Output
from tests.core.toys import attacked, batch, linear, settled_pointnet, toy_batch

N = 20


class TestClosedForms:
    """Of two classes with linear logits everything is known: the loss rises most along w = w_other - w_true."""

    @pytest.mark.parametrize("direction", ["sign", "per-point", "l2"])
    def test_one_step_is_the_best_move_of_its_budget(self, direction: Direction) -> None:
        model, weights = linear()
        x, y = batch()
        state = attacked(preset("fgsm", direction=direction, epsilon=0.3), model, x, y)
        assert state.best is not None
        w = weights[1 - y] - weights[y]
        gain = {
            "sign": 0.3 * w.abs().sum((1, 2)),
            "per-point": 0.3 * w.norm(dim=2).sum(1),
            "l2": 0.3 * math.sqrt(3 * N) * w.norm(dim=(1, 2)),
        }[direction]
        margin = (w * x).sum((1, 2)) + (model(x * 0).logits[range(5), 1 - y] - model(x * 0).logits[range(5), y])
        found = state.best.logits[range(5), 1 - y] - state.best.logits[range(5), y]
        torch.testing.assert_close(found, (margin + gain).detach())
        torch.testing.assert_close(NORMS[BUDGET[direction]](state.adversarial - x), torch.full((5,), 0.3).double())

    @pytest.mark.parametrize(("direction", "share"), [("raw", 1.0), ("raw-mean", 1 / 32)])
    def test_the_raw_readings_add_the_gradient_itself(self, direction: Direction, share: float) -> None:
        model, weights = linear()
        x, y = batch()
        state = attacked(preset("fgsm", direction=direction, epsilon=0.3), model, x, y)
        wrong = model(x).logits.softmax(1)[range(5), 1 - y].detach()
        gradient = wrong[:, None, None] * (weights[1 - y] - weights[y])
        torch.testing.assert_close(state.adversarial, x + 0.3 * share * gradient)

    def test_pgd_reaches_the_same_corner_from_every_start(self) -> None:
        model, _ = linear()
        x, y = batch()
        fgsm = attacked(preset("fgsm", epsilon=0.3), model, x, y)
        pgd = attacked(preset("pgd", epsilon=0.3, steps=20, restarts=2), model, x, y)
        torch.testing.assert_close(pgd.adversarial, fgsm.adversarial)
        torch.testing.assert_close(pgd.current, fgsm.adversarial)

    def test_a_targeted_attack_moves_towards_the_wanted_class(self) -> None:
        model, _ = linear(3)
        x, _ = batch()
        target = torch.full((5,), 2)
        state = attacked(preset("fgsm", goal="targeted", epsilon=0.3), model, x, target)
        assert state.best is not None
        assert (state.best.prediction == 2).all()
        assert state.evaluation is not None
        before = model(x).logits.detach()
        torch.testing.assert_close(state.best.loss, -state.best.logits.log_softmax(1)[:, 2])
        assert (state.best.loss < -before.log_softmax(1)[:, 2]).all()
        assert attacked(preset("pgd", goal="targeted", epsilon=0.3), model, x, target).best.prediction.eq(2).all()  # type: ignore[union-attr]


class TestBudget:
    model = settled_pointnet(N)

    @settings(max_examples=20)
    @given(
        direction=st.sampled_from(get_args(Direction)),
        constraint=st.sampled_from(["linf", "per-point-l2", "rmse", "l2"]),
        epsilon=st.floats(0.0, 0.5),
        steps=st.integers(1, 3),
        restarts=st.integers(0, 2),
        step_size=st.none() | st.floats(0.0, 1.0),
        momentum=st.floats(0.0, 2.0),
        goal=st.sampled_from(["untargeted", "targeted"]),
    )
    def test_no_iterate_ever_leaves_it(self, **values: Any) -> None:
        attack = GradientAttack.model_validate(values)
        x, y = batch(3, 3)
        for event in attack.run(self.model, x, y):
            state = event.value
            for cloud in (state.current, state.adversarial):
                assert torch.isfinite(cloud).all()
                assert (NORMS[attack.constraint](cloud - x) <= attack.epsilon + 1e-6).all()

    @pytest.mark.parametrize("direction", get_args(Direction))
    def test_a_budget_of_zero_leaves_the_cloud_as_it_is(self, direction: Direction) -> None:
        x, y = batch(3, 3)
        attack = preset("pgd", direction=direction, epsilon=0.0, steps=2)
        assert torch.equal(attacked(attack, self.model, x, y).adversarial, x)

    @given(st.floats(0.0, 1.0))
    @settings(max_examples=10)
    def test_refit_of_one_step_is_the_attack_with_the_other_budget(self, epsilon: float) -> None:
        x, y = batch(3, 3)
        attack = preset("fgsm", epsilon=0.1)
        refitted = attack.refit(attacked(attack, self.model, x, y), epsilon)
        expected = attacked(preset("fgsm", epsilon=epsilon), self.model, x, y)
        torch.testing.assert_close(refitted.adversarial, expected.adversarial)
        assert refitted.evaluation is None

    @pytest.mark.parametrize("direction", ["sign", "per-point", "l2"])
    def test_refit_of_many_steps_stays_in_the_new_budget_and_can_go_on(self, direction: Direction) -> None:
        x, y = batch(3, 3)
        attack = preset("pgd", direction=direction, epsilon=0.2, steps=4)
        refitted = attack.refit(attacked(attack, self.model, x, y), 0.05)
        further = attack.step(self.model, refitted)
        for state in (refitted, further):
            assert (NORMS[attack.constraint](state.adversarial - x) <= 0.05 + 1e-6).all()
        assert further.best is not None

    def test_after_refit_clouds_that_had_ended_can_go_on(self) -> None:
        x, y = batch(3, 3)
        attack = preset("pgd", epsilon=0.2, steps=4, restarts=0, stop_loss=0.0)
        ended = attacked(attack, self.model, x, y)
        assert (ended.stop == Stop.LOSS).all()
        further = attack.step(self.model, attack.refit(ended, 0.1))
        assert further.iterations.tolist() == [2] * 3
        assert further.best is not None


class TestBestIterate:
    def test_fooled_comes_before_not_fooled_and_then_the_larger_loss(self) -> None:
        waves = torch.randn(3, N, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

        def model(clouds: Tensor) -> Output:
            """Large steps overshoot the crests of its loss."""
            logits = torch.sin(torch.einsum("bnd,knd->bk", clouds, waves))
            return Output(logits, logits)

        x, y = batch(12, 3)
        attack = preset("pgd", epsilon=0.3, step_size=0.15, steps=6, restarts=1)
        states = [event.value for event in attack.run(model, x, y) if isinstance(event, Step)][1:]
        losses = torch.stack([state.evaluation.loss for state in states])
        fooled = torch.stack([state.evaluation.prediction != y for state in states])
        assert 0 < fooled.float().mean() < 1, "a useful case has both"
        score = losses + 1000 * fooled
        best = score.argmax(0)
        assert (best < len(states) - 1).any(), "not simply the last one"
        for i, k in enumerate(best):
            torch.testing.assert_close(states[-1].adversarial[i], states[k].current[i])
            torch.testing.assert_close(states[-1].best.loss[i], losses[k, i])
            torch.testing.assert_close(states[-1].best.logits[i], states[k].evaluation.logits[i])

    def test_the_best_answers_are_the_models_answers_to_the_result(self) -> None:
        model = settled_pointnet(N)
        x, y = batch(6, 3)
        state = attacked(preset("pgd", epsilon=0.2, steps=5), model, x, y)
        assert state.best is not None
        torch.testing.assert_close(model(state.adversarial).logits, state.best.logits)
        torch.testing.assert_close(model(state.adversarial).latent, state.best.latent)

    def test_more_steps_and_restarts_never_make_the_result_worse(self) -> None:
        model = settled_pointnet(N)
        x, y = batch(6, 3)
        short = attacked(preset("bim", epsilon=0.2, step_size=0.04, steps=3), model, x, y)
        long = attacked(preset("bim", epsilon=0.2, step_size=0.04, steps=9), model, x, y)
        wide = attacked(preset("bim", epsilon=0.2, step_size=0.04, steps=3, restarts=2), model, x, y)
        for more in (long, wide):
            fooled, before = more.best.prediction != y, short.best.prediction != y  # type: ignore[union-attr]
            assert (fooled | ~before).all()
            assert (more.best.loss >= short.best.loss)[fooled == before].all()  # type: ignore[union-attr]


class TestFinish:
    @pytest.mark.parametrize(("name", "restarts"), [("fgsm", 0), ("bim", 0), ("mi", 0), ("pgd", 0), ("pgd", 2)])
    def test_it_makes_the_steps_of_the_attack(self, name: str, restarts: int) -> None:
        model, (x, y) = settled_pointnet(N), batch(6, 3)
        attack = preset(name, epsilon=0.2, restarts=restarts)
        begun = attack.start(model, x, y, torch.Generator().manual_seed(0))
        [ended] = attack.finish(model, begun)
        state = ended.state
        assert ended.rows.tolist() == list(range(6))
        assert ended.loss.shape == ended.rmse.shape == (6, 1 + attack.total_steps)
        torch.testing.assert_close(ended.loss[:, -1], state.evaluation.loss)  # type: ignore[union-attr]
        assert torch.equal(state.adversarial, attacked(attack, model, x, y).adversarial)
        assert state.step == attack.total_steps

    @pytest.mark.parametrize("goal", ["untargeted", "targeted"])
    @pytest.mark.parametrize("name", ["fgsm", "bim", "mi", "pgd"])
    def test_ending_once_fooled_fools_the_same_clouds(self, name: str, goal: str) -> None:
        model, (x, y) = settled_pointnet(N), batch(12, 3)
        attack = preset(name, epsilon=0.12, restarts=0, goal=goal)
        whole = attacked(attack, model, x, y)
        assert whole.best is not None
        expected = attack.fooled(whole.best.prediction, y)
        ends = list(attack.finish(model, attack.start(model, x, y), stop_on_success=True))
        places = torch.cat([end.rows for end in ends])
        assert sorted(places.tolist()) == list(range(12))
        found, steps = torch.empty_like(expected), set()
        for end in ends:
            place, state = end.rows, end.state
            assert state.best is not None
            assert torch.equal(state.clean, x[place])
            torch.testing.assert_close(model(state.adversarial).logits, state.best.logits)
            found[place] = attack.fooled(state.best.prediction, state.label)
            steps.add(state.step)
        assert torch.equal(found, expected)
        if attack.steps > 1 and goal == "untargeted":
            assert len(steps) > 1, "a useful case ends at several steps"


class TestGradientsThatVanish:
    @pytest.mark.parametrize("direction", get_args(Direction))
    def test_give_no_move_and_no_nan(self, direction: Direction) -> None:
        x, y = batch()
        flat = lambda clouds: Output(clouds.sum((1, 2))[:, None] * torch.zeros(2).double(), clouds.amax(1))  # noqa: E731
        state = attacked(preset("bim", direction=direction, epsilon=0.1, steps=3), flat, x, y)
        assert torch.equal(state.adversarial, x)
        assert state.best is not None
        assert torch.isfinite(state.best.loss).all()

    @pytest.mark.parametrize("direction", get_args(Direction))
    def test_leave_the_points_that_win_no_channel_where_they_are(self, direction: Direction) -> None:
        x, y = batch(4)
        first = lambda clouds: Output(clouds[:, 0, :2], clouds[:, 0])  # noqa: E731
        state = attacked(preset("fgsm", direction=direction, epsilon=0.1), first, x, y)
        assert torch.equal(state.adversarial[:, 1:], x[:, 1:])
        assert not torch.equal(state.adversarial[:, 0], x[:, 0])


class TestManners:
    @pytest.mark.parametrize("name", PRESETS)
    def test_input_weights_gradients_and_modes_stay_as_they_were(self, name: str) -> None:
        model = settled_pointnet(N).train()
        model.get_submodule("classifier").eval()
        modes = [module.training for module in model.modules()]
        weights = {key: value.clone() for key, value in model.state_dict().items()}
        x, y = batch(3, 3)
        before = x.clone()
        attacked(preset(name, steps=1 if name == "fgsm" else 2), model, x, y)
        assert torch.equal(x, before)
        assert not x.requires_grad
        assert [module.training for module in model.modules()] == modes
        assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())
        assert all(parameter.grad is None for parameter in model.parameters())

    def test_a_cloud_is_attacked_alone_as_in_company(self) -> None:
        model = settled_pointnet(N)
        x, y = batch(4, 3)
        attack = preset("bim", epsilon=0.1, steps=3)
        together = attacked(attack, model, x, y).adversarial
        alone = torch.cat([attacked(attack, model, x[i : i + 1], y[i : i + 1]).adversarial for i in range(4)])
        torch.testing.assert_close(alone, together)

    def test_a_state_is_left_as_it_was_so_that_a_step_can_be_taken_twice(self) -> None:
        model = settled_pointnet(N)
        x, y = batch(3, 3)
        attack = preset("pgd", epsilon=0.1, steps=2)
        states = [event.value for event in attack.run(model, x, y) if isinstance(event, Step)]
        again = attack.step(model, states[2])
        assert torch.equal(again.unit_delta, states[3].unit_delta)
        assert [state.step for state in states] == [0, 1, 2, 3, 4]
        assert torch.equal(states[0].adversarial, x)

    def test_steps_beyond_the_plan_go_on_from_the_last_iterate(self) -> None:
        model, _ = linear()
        x, y = batch()
        attack = preset("bim", epsilon=0.3, step_size=0.1, steps=2)
        third = attack.step(model, attacked(attack, model, x, y))
        torch.testing.assert_close(third.adversarial, attacked(preset("fgsm", epsilon=0.3), model, x, y).adversarial)
        assert third.step == 3

    def test_random_starts_follow_the_generator(self) -> None:
        model = settled_pointnet(N)
        x, y = batch(3, 3)
        attack = preset("pgd", epsilon=0.1, steps=1, restarts=1)
        first, again, other = (attacked(attack, model, x, y, seed) for seed in (0, 0, 1))
        assert torch.equal(first.current, again.current)
        assert not torch.equal(first.current, other.current)

    def test_a_request_to_stop_keeps_the_steps_taken(self) -> None:
        cancel = Cancel()
        x, y = batch()
        stream = preset("bim", steps=10).run(linear()[0], x, y, cancel=cancel)
        for _ in range(3):
            next(stream)
        cancel.request()
        done = list(stream)[-1]
        assert isinstance(done, Done)
        assert (done.complete, done.value.step) == (False, 2)


class TestPresets:
    def test_are_settings_of_one_composition(self) -> None:
        assert preset("fgsm") == GradientAttack(epsilon=0.1, direction="sign", constraint="linf", steps=1)
        bim = preset("bim", epsilon=0.2, steps=4)
        assert bim.epsilon * bim.total_step / bim.steps == pytest.approx(0.05)
        assert (preset("pgd").steps, preset("pgd").restarts) == (20, 1)

    def test_the_budget_follows_the_reading_unless_it_is_given(self) -> None:
        constraints: list[ConstraintName] = [
            preset("fgsm", direction=direction).constraint for direction in get_args(Direction)
        ]
        assert constraints == ["linf", "none", "none", "per-point-l2", "rmse"]
        assert preset("fgsm", direction="l2", constraint="linf").constraint == "linf"
        assert preset("si-adv", direction="per-point").constraint == "tangent-l2"
        assert preset("add", direction="sign").constraint == "none"

    def test_unknown_names_and_wrong_values_are_refused(self) -> None:
        with pytest.raises(ValueError, match="no attack 'jsma'; the known ones are: fgsm, bim, mi, ni, pgd"):
            preset("jsma")
        with pytest.raises(ValidationError, match="epsilon"):
            preset("fgsm", epsilon=-1)


class TestRepeats:
    """A cloud that is resampled with repeats is attacked as the cloud itself: copies move together."""

    @given(st.lists(st.integers(0, 11), min_size=1, max_size=40), st.booleans())
    def test_points_on_one_another_share_the_mean(self, rows: list[int], single: bool) -> None:
        dtype = torch.float32 if single else torch.float64
        points, gradient = torch.randn(2, 12, 3, dtype=dtype)[:, rows], torch.randn(2, len(rows), 3, dtype=dtype)
        mean = average_over_duplicates(points, gradient)
        for place, row in enumerate(rows):
            same = [other for other, its in enumerate(rows) if its == row]
            assert torch.allclose(mean[:, place], gradient[:, same].mean(1), atol=1e-6)
        assert len(set(rows)) < len(rows) or mean is gradient

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_points_of_half_precision_too(self, dtype: torch.dtype) -> None:
        points, gradient = torch.rand(1, 3, 3).to(dtype)[:, [0, 1, 0, 2]], torch.eye(4)[None, :, :3].to(dtype)
        mean = average_over_duplicates(points, gradient)
        assert torch.equal(mean[0, 0], torch.tensor([0.5, 0.0, 0.5], dtype=dtype))
        assert torch.equal(mean[0, 0], mean[0, 2])
        assert torch.equal(mean[0, 1], gradient[0, 1])

    def test_zero_has_no_sign(self) -> None:
        zero = torch.tensor([[[0.0, 1.0, 0.0], [-0.0, 1.0, 0.0]]])
        assert torch.equal(average_over_duplicates(zero, torch.eye(3)[None, :2])[0, 0], torch.tensor([0.5, 0.5, 0.0]))

    def test_the_fast_gradient_is_that_of_the_plain_model(self) -> None:
        model, (x, y) = settled_pointnet(32), toy_batch(4, 32, 3)
        x = x.double()[:, torch.randint(32, (80,), generator=torch.Generator().manual_seed(0))]
        points = x.clone().requires_grad_()
        loss = nn.functional.cross_entropy(model(points)[0], y, reduction="sum")
        plain = torch.autograd.grad(loss, points)[0]  # its maximum shares out its gradient among equals
        fast = evaluate(model, x, y, gradient=True).gradient
        assert torch.allclose(fast, plain, rtol=1e-9, atol=1e-12)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_different_points_of_a_grid_keep_theirs(self, dtype: torch.dtype) -> None:
        line = torch.linspace(-1, 1, 9, dtype=dtype)
        points = torch.cartesian_prod(line, line, line)[None]
        gradient = torch.randn_like(points)
        assert torch.equal(average_over_duplicates(points, gradient), gradient)

    @pytest.mark.parametrize("name", ["fgsm", "pgd", "mi"])
    def test_repeats_do_not_weaken_an_attack(self, name: str) -> None:
        model, (x, y) = settled_pointnet(32), toy_batch(4, 32, 3)
        attack = preset(name, epsilon=0.1, restarts=0)
        once = attacked(attack, model, x.double(), y).adversarial
        twice = attacked(attack, model, x.double().repeat(1, 2, 1), y).adversarial
        assert torch.allclose(twice, once.repeat(1, 2, 1), atol=1e-9)
