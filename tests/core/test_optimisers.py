"""The optimisers against tables worked out by hand, and what they are to an attack: step lengths, stops, sources."""

from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from core.attacks import NORMS, PRESETS, ConstraintName, GradientAttack, State, Stop, preset
from core.attacks.constraint import cut_at_rmse
from core.attacks.objective import OBJECTIVES, ObjectiveContext
from core.attacks.optimisers import OPTIMISERS, Iterate, Variant
from core.attacks.optimisers.apgd import checkpoints
from core.attacks.sources import CHANGES, SourceName
from core.attacks.step_length import calibrated
from core.defenses.base import Defense
from core.defenses.knn import Smoothing
from core.defenses.names import protected
from core.models import Output
from core.models.checkpoints import load_model, resolve_model
from core.models.port import give_class_latents
from tests.core.test_attacks import N, batch, linear
from tests.core.toys import attacked, settled_pointnet, shapes16_split, toy_batch

GRADIENTS = [1.0, -2.0, 0.5, 0.0]

# 12 digits of the formulas of Kingma and Ba, Zhuang et al., Balles and Hennig and of the authors' code (optimizer.py),
# followed step by step for one coordinate with the gradients above
TABLES: dict[tuple[str, Variant], list[float]] = {
    ("gd", "paper"): [1.0, -2.0, 0.5, 0.0],
    ("m-gd", "paper"): [1.0, -1.1, -0.49, -0.441],
    ("na-gd", "paper"): [1.0, -1.1, -0.49, -0.441],
    ("na-gd", "code"): [1.0, -1.1, -0.49, -0.441],
    ("adam", "paper"): [0.99999999, -0.366103524721, -0.136690662017, -0.111968672826],
    ("adam", "code"): [3.16227666017, -1.5557902854, -0.676650858459, -0.609290494018],
    ("l-adam", "code"): [3.16227666017, -1.5557902854, -0.676650858459, -0.609290494018],
    ("adabelief", "paper"): [1.11111109877, -0.391060974497, -0.144719064, -0.118520394178],
    ("adabelief", "code"): [3.51364061006, -1.66184922688, -0.716393327056, -0.64494243926],
    ("m-svag", "paper"): [1.0, -0.0748825564713, -0.00667564922198, -0.00496286433991],
    ("m-svag", "code"): [0.00995024875622, -0.0052462505666, -0.000736251107569, -0.000785372403731],
}


def iterate(name: str, variant: Variant, gradient: Tensor, slots: Any, step: int, **values: Any) -> Iterate:
    zero = torch.zeros_like(gradient)
    return Iterate(
        **{
            "unit_delta": zero,
            "gradient": gradient,
            "objective": zero[:, 0, 0],
            "slots": slots,
            "step": step,
            "steps": 4,
            "step_length": 1.0,
            "momentum": OPTIMISERS[name].default_momentum or 0.0,
            "variant": variant,
            "cloud": zero,
            "normalise": lambda direction: direction,
            "project": lambda unit_delta: unit_delta,
            **values,
        }
    )


class TestTables:
    @pytest.mark.parametrize(("name", "variant"), TABLES)
    def test_directions_are_those_worked_out_by_hand(self, name: str, variant: Variant) -> None:
        optimiser, found = OPTIMISERS[name], []
        slots: Any = optimiser.slots(torch.zeros(1, 1, 3, dtype=torch.float64))
        for step, value in enumerate(GRADIENTS):
            gradient = torch.full((1, 1, 3), value, dtype=torch.float64)
            direction, slots = optimiser.direction(iterate(name, variant, gradient, slots, step))
            found.append(direction[0, 0, 0])
        torch.testing.assert_close(
            torch.stack(found), torch.tensor(TABLES[name, variant], dtype=torch.float64), rtol=1e-11, atol=0
        )

    def test_regularisation_takes_a_share_of_the_cloud_from_the_gradient(self) -> None:
        cloud = torch.full((1, 1, 3), 50.0, dtype=torch.float64)
        zero = torch.zeros_like(cloud)
        at = iterate("l-adam", "paper", zero + 0.5, OPTIMISERS["adam"].slots(zero), 0, cloud=cloud)
        direction, slots = OPTIMISERS["l-adam"].direction(at)
        assert slots["mean"][0, 0, 0].item() == pytest.approx(0.1 * (0.5 - 0.01 * 50))
        assert direction.abs().max() < 1e-3  # what is left of the gradient is nothing

    def test_nesterov_looks_ahead_in_the_paper_and_goes_ahead_in_the_code(self) -> None:
        old, gradient = torch.full((1, 1, 3), 2.0), torch.full((1, 1, 3), 1.0)
        for variant, moved in (("paper", 0.1 * (0.9 * 2 + 1)), ("code", 0.1 * (0.9 * 2 + 0.9 * 2 + 1))):
            at = iterate("na-gd", variant, gradient, {"sum": old}, 1, step_length=0.1)  # type: ignore[arg-type]
            ahead = OPTIMISERS["na-gd"].look_ahead(at)
            assert ahead is not None
            assert ahead[0, 0, 0].item() == pytest.approx(0.1 * 0.9 * 2)
            assert OPTIMISERS["na-gd"].advance(at)[0][0, 0, 0].item() == pytest.approx(moved)

    @pytest.mark.parametrize("name", OPTIMISERS)
    @pytest.mark.parametrize("variant", get_args(Variant))
    def test_no_gradient_is_no_move_and_never_nan(self, name: str, variant: Variant) -> None:
        optimiser = OPTIMISERS[name]
        zero = torch.zeros(2, 5, 3)
        slots: Any = optimiser.slots(zero)
        for step in range(4):
            moved, slots = optimiser.advance(iterate(name, variant, zero, slots, step))
            assert torch.equal(moved, zero)


class TestStepLength:
    @pytest.mark.parametrize("name", ["gd", "m-gd", "na-gd", "adam", "l-adam", "adabelief", "m-svag"])
    @pytest.mark.parametrize("variant", get_args(Variant))
    def test_the_first_step_has_the_rmse_that_was_asked_for(self, name: str, variant: Variant) -> None:
        model, (x, y) = settled_pointnet(N), batch(4, 3)
        attack = preset(name, epsilon=0.1, variant=variant, first_step=0.05)
        state = attack.step(model, attack.start(model, x, y))
        torch.testing.assert_close(
            NORMS["rmse"](state.adversarial - x), torch.full((4,), 0.005, dtype=torch.float64), rtol=1e-6, atol=0
        )

    def test_a_length_out_of_reach_is_the_longest_step(self) -> None:
        x, y = batch(2, 2)
        at = iterate("gd", "paper", torch.sign(x) * (torch.arange(N) < 5)[:, None], {}, 0)
        at = Iterate(**{**vars(at), "unit_delta": torch.zeros_like(x), "project": lambda move: move.clamp(-1, 1)})
        length = calibrated(OPTIMISERS["gd"], at, 0.9)
        moved = (length * at.gradient).clamp(-1, 1)
        torch.testing.assert_close(NORMS["rmse"](moved), torch.full((2,), 0.5, dtype=torch.float64))  # sqrt(5 / 20)
        assert y.shape == (2,)

    def test_auto_pgd_judges_progress_where_its_paper_says(self) -> None:
        assert checkpoints(100) == [0, 22, 41, 57, 70, 80, 87, 93, 99]

    def test_auto_pgd_halves_its_steps_until_it_stands_on_the_top(self) -> None:
        """The loss has its maximum inside the budget, over which fixed steps jump for ever."""

        class Hill(nn.Module):
            def forward(self, clouds: Tensor) -> Output:
                value = -(clouds - 0.1234).square().sum((1, 2))
                logits = torch.stack([-value, value], 1)
                return Output(logits, logits)

        x, y = torch.zeros(3, N, 3, dtype=torch.float64), torch.zeros(3, dtype=torch.long)
        fixed, halved = (
            attacked(preset(name, epsilon=0.3, steps=100, restarts=0), Hill(), x, y) for name in ("pgd", "apgd-ce")
        )
        assert (halved.adversarial - 0.1234).abs().max() < 1e-3
        assert (halved.best.objective > fixed.best.objective).all()  # type: ignore[union-attr]


class TestStop:
    def test_each_cloud_ends_for_its_own_reason_and_stays(self) -> None:
        model, (x, y) = linear(3)[0], batch(6, 3)
        attack = preset("bim", epsilon=0.3, steps=12, stop_loss=2.0)
        assert isinstance(attack, GradientAttack)
        ends = list(attack.finish(model, attack.start(model, x, y)))
        reasons = torch.cat([end.state.stop for end in ends])
        assert Stop.LOSS in reasons
        for end in ends:
            assert end.loss.shape[1] == int(end.state.iterations[0]) + 1
            if (end.state.stop == Stop.LOSS).all():
                assert (end.loss[:, -1] >= 2).all()
                assert (end.loss[:, -2] < 2).all()
        played: State = [event.value for event in attack.run(model, x, y)][-1]
        rows = torch.cat([end.rows for end in ends])
        torch.testing.assert_close(played.current[rows], torch.cat([end.state.current for end in ends]))
        assert torch.equal(played.stop[rows], reasons)

    @pytest.mark.parametrize("name", ["bim", "gd", "adam", "apgd-ce"])
    def test_an_rmse_ends_it_exactly_there(self, name: str) -> None:
        model, (x, y) = settled_pointnet(N), batch(4, 3)
        attack = preset(name, epsilon=0.2, steps=40, stop_rmse=0.35, keep="last")
        for end in attack.finish(model, attack.start(model, x, y)):
            assert (end.state.stop == Stop.RMSE).all()
            moved = (end.state.adversarial - x[end.rows]).square().mean((1, 2)).sqrt()
            torch.testing.assert_close(moved, torch.full_like(moved, 0.35 * 0.2), rtol=1e-5, atol=0)
            assert (end.rmse[:, -2] < 0.35 * 0.2).all()
            assert (end.state.adversarial - x[end.rows]).abs().max() <= 0.2 * (1 + 1e-6)
            torch.testing.assert_close(end.state.best.logits, model(end.state.adversarial).logits)  # type: ignore[union-attr]

    @given(seed=st.integers(0, 999), most=st.floats(0.01, 2))
    def test_a_step_is_cut_where_its_line_reaches_the_rmse(self, seed: int, most: float) -> None:
        generator = torch.Generator().manual_seed(seed)
        before, after = (torch.randn(5, N, 3, generator=generator, dtype=torch.float64) for _ in range(2))
        before *= min(1, 0.9 * most / float(NORMS["rmse"](before).max()))
        cut = cut_at_rmse(before, after, most)
        over = NORMS["rmse"](after) > most
        assert torch.equal(cut[~over], after[~over])
        torch.testing.assert_close(NORMS["rmse"](cut)[over], torch.full_like(NORMS["rmse"](cut)[over], most))
        share = (cut - before).norm(dim=(1, 2)) / (after - before).norm(dim=(1, 2))
        torch.testing.assert_close(cut, before + share[:, None, None] * (after - before))
        assert torch.equal(cut_at_rmse(after, 2 * after, most)[over], after[over])

    def test_patience_ends_what_does_not_improve(self) -> None:
        model, _ = linear(2)
        x, y = batch(3)
        attack = preset("pgd", epsilon=0.1, steps=50, restarts=0, patience=4)  # in the corner after 20 steps
        for end in attack.finish(model, attack.start(model, x, y)):
            assert (end.state.stop == Stop.PATIENCE).all()
            assert (end.state.iterations < 30).all()

    def test_passes_are_counted(self) -> None:
        model, (x, y) = settled_pointnet(N), batch(2, 3)
        state = attacked(preset("pgd", steps=5, restarts=1), model, x, y)
        assert state.forwards.tolist() == [12, 12]  # clean, 5, the random start, 5
        assert state.backwards.tolist() == [10, 10]
        assert attacked(preset("vmi", steps=4, draws=3), model, x, y).backwards.tolist() == [16, 16]


class TestSources:
    @pytest.mark.parametrize("source", CHANGES)
    def test_a_cloud_alone_has_the_gradient_it_has_in_company(self, source: SourceName) -> None:
        model, (x, y) = settled_pointnet(N), batch(3, 3)
        attack = preset("mi", steps=3, gradient=source, draws=2)
        together = attacked(attack, model, x, y)
        for row in range(3):
            state = attack.start(model, x[row : row + 1], y[row : row + 1])
            state = State(**{**vars(state), "seed": _seeds(3)[row : row + 1]})
            for _ in range(3):
                state = attack.step(model, state)
            torch.testing.assert_close(state.adversarial[0], together.adversarial[row])

    def test_a_mean_over_copies_is_that_of_their_gradients(self) -> None:
        model, weights = linear()
        x, y = batch(4)
        attack = preset("fgsm", gradient="scale", draws=3, direction="raw", objective="margin", epsilon=1.0)
        w = weights[1 - y] - weights[y]
        torch.testing.assert_close(attacked(attack, model, x, y).adversarial - x, w * (1 + 1 / 2 + 1 / 4) / 3)

    def test_expectation_averages_what_is_random(self) -> None:
        torch.manual_seed(0)
        x, y = batch(2, 2)

        class Noisy(nn.Module):
            def forward(self, clouds: Tensor) -> Output:
                value = (clouds * (1 + 10 * torch.randn_like(clouds))).sum((1, 2))
                logits = torch.stack([value, -value], 1)
                return Output(logits, logits)

        y = torch.zeros_like(y)  # the margin falls along +1, so that each coordinate should move down
        one, many = (
            attacked(preset("fgsm", gradient="expectation", draws=draws, objective="margin"), Noisy(), x, y)
            for draws in (1, 500)
        )
        right = [(state.adversarial < x).float().mean().item() for state in (one, many)]
        assert right[0] < 0.65
        assert right[1] > 0.95


def _seeds(count: int) -> Tensor:
    return torch.zeros(count, dtype=torch.long).random_(2**62, generator=torch.Generator().manual_seed(0))


class TestObjectives:
    def test_each_rises_along_its_own_gradient(self) -> None:
        model, (x, y) = settled_pointnet(N), batch(6, 3)
        for objective in ("ce", "margin", "dlr", "dlr-targeted"):
            state = attacked(preset("pgd", objective=objective, steps=10, restarts=0), model, x, y)
            before = preset("pgd", objective=objective).start(model, x, y)
            assert (state.best.objective >= before.at_clean.objective).all(), objective  # type: ignore[union-attr]
            assert (state.best.loss > before.at_clean.loss).float().mean() > 0.5, objective  # type: ignore[union-attr]

    def test_the_latent_leaves_its_place(self) -> None:
        model, (x, y) = settled_pointnet(N), batch(4, 3)
        state = attacked(preset("pgd", objective="latent", random_start=True, steps=10), model, x, y)
        clean = model(x).latent
        torch.testing.assert_close((state.best.latent - clean).norm(dim=1), state.best.objective)  # type: ignore[union-attr]
        assert (state.best.objective > 0).all()  # type: ignore[union-attr]

    @pytest.mark.parametrize("objective", ["latent", "latent-targeted"])
    def test_the_latent_comes_near_to_the_mean_latent_of_the_wanted_class(self, objective: str) -> None:
        model, (x, y) = settled_pointnet(N), batch(4, 3)
        give_class_latents(model, torch.randn(3, 1024, generator=torch.Generator().manual_seed(0)).double())
        wanted, attack = (y + 1) % 3, preset("pgd", objective=objective, steps=10, goal="targeted", epsilon=0.2)
        means = model.class_latents[wanted]
        before = (model(x).latent - means).norm(dim=1)
        state = attacked(attack, model, x, wanted)
        assert state.best is not None
        after = (model(state.adversarial).latent - means).norm(dim=1)
        torch.testing.assert_close(state.best.objective, -after)
        assert (after < before).all()

    def test_each_start_goes_to_the_mean_latent_of_another_wrong_class(self) -> None:
        logits, latent = torch.tensor([[3.0, 1.0, 2.0]]), torch.tensor([[3.0, 4.0]])
        means = torch.tensor([[3.0, 4.0], [0.0, 0.0], [3.0, -2.0]])
        output, value = Output(logits, latent), OBJECTIVES["latent-targeted"].value
        contexts = [ObjectiveContext(torch.tensor([0]), False, None, start, means) for start in range(4)]
        assert [value(output, context).item() for context in contexts] == [-6.0, -5.0, -6.0, -5.0]
        assert value(output, ObjectiveContext(torch.tensor([1]), True, None, 0, means)).item() == -5.0
        towards = ObjectiveContext(torch.tensor([1]), True, None, 0, means)
        assert OBJECTIVES["latent"].value(output, towards).item() == -5.0

    def test_without_mean_latents_one_sentence_says_so(self) -> None:
        model, (x, y) = settled_pointnet(N), batch(4, 3)
        with pytest.raises(ValueError, match="the mean latents of the classes must be known"):
            attacked(preset("pgd", objective="latent", goal="targeted"), model, x, y)

    @pytest.mark.parametrize("defense", [None, Smoothing()])
    def test_a_shipped_model_knows_its_mean_latents_behind_a_defence_too(self, defense: Defense | None) -> None:
        loaded = load_model(resolve_model("pointnet-simple"))
        assert loaded.typical is not None
        np.testing.assert_allclose(loaded.module.class_latents.numpy(), loaded.typical.means, rtol=1e-6)
        assert "class_latents" not in loaded.module.state_dict()
        split = shapes16_split(4, 64)
        x, wanted = torch.from_numpy(np.array(split.points)), torch.from_numpy(split.labels + 1) % 16
        module = loaded.module if defense is None else protected(loaded, defense).module
        attack = preset("pgd", objective="latent", steps=5, goal="targeted", epsilon=0.2)
        state = attacked(attack, module, x, wanted)
        assert state.best is not None
        assert state.at_clean is not None
        means = torch.from_numpy(loaded.typical.means).float()[wanted]
        assert ((state.best.latent - means).norm(dim=1) < (state.at_clean.latent - means).norm(dim=1)).all()

    def test_no_scale_of_the_logits_changes_dlr(self) -> None:
        model, (x, y) = settled_pointnet(N), batch(4, 3)

        def scaled(clouds: Tensor) -> Output:
            output = model(clouds)
            return Output(1e4 * output.logits, output.latent)

        attack = preset("pgd", objective="dlr", steps=5, restarts=0)
        torch.testing.assert_close(
            attacked(attack, scaled, x, y).adversarial, attacked(attack, model, x, y).adversarial
        )

    def test_the_rmse_term_pushes_outwards(self) -> None:
        model, (x, y) = settled_pointnet(N), batch(4, 3)
        settings = {"epsilon": 0.1, "steps": 10, "restarts": 0, "direction": "raw", "constraint": "linf"}
        plain, pushed = (
            attacked(preset("pgd", **settings, step_size=0.02, keep="last", rmse_weight=weight), model, x, y)
            for weight in (0.0, 50.0)
        )
        assert (NORMS["rmse"](pushed.current - x) > NORMS["rmse"](plain.current - x)).all()

    def test_the_rmse_term_does_not_choose_the_result(self) -> None:
        """It is the iterate of the best cross-entropy among those that fool, if any does: here not always the last."""
        model, (x, y) = settled_pointnet(N), batch(8, 3)
        attack = preset(
            "pgd", epsilon=0.2, steps=12, restarts=0, direction="raw", step_size=0.05, rmse_weight=50.0, goal="targeted"
        )
        state, seen = attack.start(model, x, y), []
        while state.step < attack.steps:
            state = attack.step(model, state)
            assert state.evaluation is not None
            fooled = state.evaluation.prediction == y
            seen.append(-state.evaluation.loss + 1e6 * fooled)
        values, best = torch.stack(seen), state.best
        assert best is not None
        torch.testing.assert_close(-best.loss + 1e6 * (best.prediction == y), values.amax(0))
        assert (values.argmax(0) < attack.steps - 1).any()

    def test_a_discriminator_is_passed_for_clean(self) -> None:
        model, (x, y) = settled_pointnet(N), batch(4, 3)
        with pytest.raises(ValueError, match="the attacked model has none"):
            attacked(preset("pgd", discriminator_weight=1.0), model, x, y)
        torch.manual_seed(0)
        model.discriminator = nn.Linear(1024, 2).double()
        fooled = {}
        for weight in (0.0, 100.0):
            state = attacked(preset("pgd", discriminator_weight=weight, keep="last", restarts=0), model, x, y)
            fooled[weight] = model.discriminator(model(state.current).latent).softmax(1)[:, 0].mean().item()
        assert fooled[100.0] > fooled[0.0]


GRADIENT = {name: row.settings for name, row in PRESETS.items() if row.kind is GradientAttack}


class TestEveryPreset:
    model = settled_pointnet(N)

    @pytest.mark.parametrize("name", [name for name, settings in GRADIENT.items() if "constraint" not in settings])
    def test_reaches_the_best_corner_of_a_linear_model(self, name: str) -> None:
        model, weights = linear()
        x, y = batch(4)
        state = attacked(preset(name, epsilon=0.3), model, x, y)
        w = weights[1 - y] - weights[y]
        margin = (w * (state.adversarial - x)).sum((1, 2))
        best = 0.3 * w.abs().sum((1, 2))
        assert (margin <= best + 1e-9).all()
        assert (margin > 0).all()
        if PRESETS[name].settings.get("direction") != "raw" and name != "di":  # whose copies lack points
            torch.testing.assert_close(margin, best, rtol=1e-5, atol=0)

    @settings(max_examples=25, deadline=None)
    @given(
        name=st.sampled_from(sorted(GRADIENT)),
        constraint=st.sampled_from(get_args(ConstraintName)),
        epsilon=st.floats(0.0, 0.5),
        unit_ball=st.booleans(),
        random_start=st.booleans(),
    )
    def test_keeps_its_budget(
        self, name: str, constraint: ConstraintName, epsilon: float, unit_ball: bool, random_start: bool
    ) -> None:
        x, y = toy_batch(3, N)
        x = x.double() * 0.9
        attack = preset(
            name, constraint=constraint, epsilon=epsilon, steps=3, unit_ball=unit_ball, random_start=random_start
        )
        state = attacked(attack, self.model, x, y)
        assert state.adversarial.isfinite().all()
        if constraint != "none":
            assert (NORMS[constraint](state.adversarial - x) <= epsilon + 1e-6).all()
        if unit_ball:
            assert (state.adversarial.norm(dim=2) <= 1 + 1e-6).all()
        if epsilon == 0:
            assert torch.equal(state.adversarial, x)
