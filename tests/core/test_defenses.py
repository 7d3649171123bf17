"""Input defences alone and as models: closed forms, properties of all of them, and their gradients."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from core.defenses import DEFENSES, Defended, Defense
from core.defenses.knn import Smoothing
from core.defenses.names import all_for, parse, parse_several, protected, split, written
from core.defenses.points import fixed_order, neighbours, repeated, taken
from core.defenses.quantise import Quantisation
from core.defenses.reconstruction import Reconstruction
from core.defenses.sor import OutlierRemoval
from core.defenses.srs import RandomSampling
from core.evaluation.provenance import measurement_provenance
from core.models import Output, build, eval_view
from core.models.autoencoder_files import autoencoder_for
from core.models.cards import ModelError
from core.models.checkpoints import WEIGHTS, LoadedModel, builtin_models, load_model
from core.models.port import draws_anew
from tests.core.toys import settled_pointnet, toy_batch

ALL: dict[str, Defense] = {name: spec.options() for name, spec in DEFENSES.items()}
ALL["reconstruct"] = Reconstruction(autoencoder=str(WEIGHTS / "autoencoder-shapes16.safetensors"))
NAMES = st.sampled_from(list(ALL))


def cloud(points: int = 64, seed: int = 0) -> Tensor:
    """(1, N, 3), points of a ball in double precision."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, points, 3, generator=generator, dtype=torch.float64) * 2 - 1


def distinct(points: Tensor) -> set[tuple[float, ...]]:
    """The points of a cloud (N, 3), each once."""
    return set(map(tuple, points.tolist()))


def ordered(clouds: Tensor) -> Tensor:
    return taken(clouds, fixed_order(clouds))


class Asked(nn.Module):
    """Keeps the clouds it was asked about, and answers with their means."""

    def forward(self, clouds: Tensor) -> Output:
        self.clouds = clouds
        mean = clouds.mean(1)
        return Output(mean, mean)


def seen(defense: Defense, clouds: Tensor, seed: int = 0) -> Tensor:
    """What the model behind a defence is asked about."""
    model = Asked()
    Defended(model, defense).eval().drawn(seed)(clouds)
    return model.clouds


class TestRandomSampling:
    @given(st.integers(1, 60), st.floats(0, 0.99), st.integers(0, 2**32 - 1))
    def test_exactly_the_share_is_dropped_and_the_kept_ones_fill_its_places(
        self, points: int, share: float, seed: int
    ) -> None:
        x = cloud(points)
        kept = distinct(seen(RandomSampling(share=share), x, seed)[0])
        assert len(kept) == max(1, points - round(share * points))
        assert kept <= distinct(x[0])

    def test_every_point_is_kept_as_often_as_another_over_the_draws(self) -> None:
        x, model, hits = cloud(40), Asked(), np.zeros(40)
        defended = Defended(model, RandomSampling(share=0.75), seed=1).eval()
        for _ in range(2000):
            defended(x)
            hits += [tuple(point) in distinct(model.clouds[0]) for point in x[0].tolist()]
        assert abs(hits / 2000 - 0.25).max() < 5 * math.sqrt(0.25 * 0.75 / 2000)

    def test_the_draws_of_two_clouds_have_nothing_in_common(self) -> None:
        """Of one batch, point i of one and point i of the other are both kept in a quarter of the clouds."""
        x = torch.cat([cloud(500, seed) for seed in range(2)])
        found = seen(RandomSampling(share=0.5), x)
        first, second = (
            np.array([tuple(point) in distinct(found[row]) for point in x[row].tolist()]) for row in range(2)
        )
        assert (first & second).mean() == pytest.approx(0.25, abs=0.07)


class TestOutlierRemoval:
    def test_a_far_point_is_removed_and_the_others_stay_where_they_are(self) -> None:
        steps = torch.arange(10, dtype=torch.float64) / 10
        grid = torch.cartesian_prod(steps, steps, torch.zeros(1, dtype=torch.float64))
        x = torch.cat([grid, grid.new_tensor([[0.5, 0.5, 0.7]])])[None]
        found = seen(OutlierRemoval(), x)
        assert torch.equal(found[0, :-1], x[0, :-1])
        assert distinct(found[0]) == distinct(grid)

    @settings(max_examples=30)
    @given(st.integers(5, 300), st.integers(0, 10_000), st.integers(1, 4), st.floats(0.1, 3))
    def test_it_keeps_what_open3d_keeps(self, points: int, seed: int, k: int, alpha: float) -> None:
        import open3d as o3d

        x = ordered(cloud(points, seed) ** 3)
        reference = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(x[0].numpy()))
        _, kept = reference.remove_statistical_outlier(k + 1, alpha)
        assert OutlierRemoval(k=k, alpha=alpha).inliers(x)[0].nonzero()[:, 0].tolist() == sorted(kept)

    def test_the_public_port_compares_squares(self) -> None:
        """IF-Defense: mean of the squared distances to the k nearest, at most mean + alpha standard deviations."""
        x = ordered(cloud(200))
        far = torch.cdist(x, x).square().sort(2).values[..., 1:3].mean(2)
        keeps = far <= far.mean(1) + 1.1 * far.std(1)
        assert torch.equal(OutlierRemoval(squared=True).inliers(x), keeps)
        assert not torch.equal(OutlierRemoval().inliers(x), keeps)

    def test_points_of_equal_distances_all_stay(self) -> None:
        turn = torch.arange(60) * (2 * math.pi / 60)
        ring = torch.stack([turn.cos(), turn.sin(), 0 * turn], 1)[None]
        assert torch.equal(seen(OutlierRemoval(alpha=0), ring), ring)

    def test_a_cloud_filled_up_with_repeats_loses_the_points_that_it_loses_without(self) -> None:
        x = cloud(100)
        again = torch.cat([x, x[:, :37], x[:, :11]], 1)
        assert distinct(seen(OutlierRemoval(alpha=0.5), again)[0]) <= distinct(x[0])
        assert torch.allclose(neighbours(ordered(again), 3).unique(dim=1), neighbours(ordered(x), 3).unique(dim=1))

    def test_a_cloud_of_one_point_stays(self) -> None:
        for x in (torch.zeros(2, 1, 3), torch.zeros(2, 9, 3)):
            for name in ALL.keys() - {"reconstruct"}:
                assert torch.equal(seen(ALL[name], x), x)

    def test_where_none_would_be_kept_all_are(self) -> None:
        assert repeated(torch.tensor([[False] * 3, [False, True, True]])).tolist() == [[0, 1, 2], [1, 1, 2]]


class TestMoves:
    def test_smoothing_moves_a_point_to_the_mean_of_its_nearest(self) -> None:
        x = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [9, 9, 9], [9, 9, 8], [9, 8, 9]]])
        assert torch.allclose(seen(Smoothing(k=2), x)[0, 0], torch.tensor([0.5, 0.5, 0]))
        assert torch.allclose(seen(Smoothing(k=2, strength=0.5), x)[0, 0], torch.tensor([0.25, 0.25, 0]))
        assert torch.equal(seen(Smoothing(strength=0), x), x)

    @given(st.floats(0.001, 1), st.integers(0, 1000))
    def test_quantisation_moves_by_half_a_step_at_most_and_only_once(self, step: float, seed: int) -> None:
        x, defense = cloud(20, seed).float(), Quantisation(step=step)
        once = seen(defense, x)
        assert (once - x).abs().max() <= step / 2 + 1e-6
        assert torch.equal(seen(defense, once), once)


class TestEveryDefense:
    @settings(max_examples=60)
    @given(NAMES, st.integers(1, 40), st.integers(1, 3), st.randoms(use_true_random=False), st.booleans())
    def test_however_points_are_listed_each_becomes_the_same(
        self, name: str, points: int, count: int, source: Any, on_a_grid: bool
    ) -> None:
        x = torch.cat([cloud(points, source.randrange(10**6)) for _ in range(count)]).float()
        if on_a_grid:  # where distances are equal, and points too
            x = (x * 2).round() / 2
        order = torch.tensor(source.sample(range(points), points))
        found = seen(ALL[name], x, 7)
        assert found.shape == x.shape
        listed = seen(ALL[name], x[:, order], 7)
        assert torch.equal(ordered(listed), ordered(found))
        if not on_a_grid:
            assert torch.equal(listed, found[:, order])

    @settings(max_examples=40)
    @given(NAMES, st.integers(1, 200), st.integers(0, 1000))
    def test_a_cloud_alone_becomes_what_it_becomes_in_a_batch(self, name: str, points: int, seed: int) -> None:
        x = torch.cat([cloud(points, seed + each) for each in range(3)]).float()
        together = seen(ALL[name], x, seed)
        for row in range(3):
            assert torch.equal(seen(ALL[name], x[row : row + 1], seed)[0], together[row])

    @pytest.mark.parametrize("name", ALL)
    def test_the_clouds_asked_about_are_not_written_to(self, name: str) -> None:
        x = cloud()
        before = x.clone()
        seen(ALL[name], x)
        assert torch.equal(x, before)

    @pytest.mark.parametrize("name", ALL)
    def test_a_row_says_whose_it_is_and_every_setting_has_limits(self, name: str) -> None:
        spec = DEFENSES[name]
        assert "(" in spec.sentence
        assert spec.sentence.endswith(").")
        for field in spec.options.model_fields.values():
            assert field.description
            assert field.metadata or field.annotation in (bool, str)

    @pytest.mark.parametrize("name", ALL)
    def test_the_fast_view_of_the_model_is_used_and_its_answer_is_the_models(self, name: str) -> None:
        model = build("pointnet", 3).eval()
        x = toy_batch(4)[0]
        plain = Defended(nn.Sequential(model), ALL[name]).eval().drawn(0)  # of which no fast view is known
        with eval_view(Defended(model, ALL[name]).train().drawn(0)) as ask:
            answer = ask(x)
        assert torch.allclose(answer.logits, plain(x).logits, atol=1e-5)
        assert not torch.equal(answer.logits, model(x).logits)


class TestDraws:
    def test_a_random_defence_draws_at_every_call_and_from_the_same_seed_the_same(self) -> None:
        x, defense = cloud(), RandomSampling()
        first, second = (Defended(Asked(), defense, seed=3).eval() for _ in range(2))
        answers = [first(x).logits for _ in range(3)]
        assert not torch.equal(answers[0], answers[1])
        assert all(torch.equal(second(x).logits, answer) for answer in answers)
        again = first.reseeded(3)
        assert all(torch.equal(again(x).logits, answer) for answer in answers)
        fixed = first.drawn(5)
        assert torch.equal(fixed(x).logits, fixed(x).logits)
        assert not torch.equal(fixed(x).logits, first.drawn(6)(x).logits)

    def test_it_says_whether_it_draws(self) -> None:
        assert {name for name in ALL if draws_anew(Defended(Asked(), ALL[name]))} == {"srs"}
        assert not draws_anew(Defended(Asked(), RandomSampling()).drawn(0))
        assert not draws_anew(Asked())

    def test_a_defence_before_one_that_draws_draws_too(self) -> None:
        x = cloud()
        inner = Defended(Asked(), RandomSampling())
        both = Defended(inner, Quantisation()).eval()
        assert draws_anew(both)
        fixed, again = both.drawn(1), both.reseeded(2)
        assert torch.equal(fixed(x).logits, fixed(x).logits)
        assert torch.equal(again(x).logits, both.reseeded(2)(x).logits)
        assert both.model is inner, "the first one stays as it is"
        assert not torch.equal(both(x).logits, both(x).logits)


def slope(model: nn.Module, clouds: Tensor) -> Tensor:
    """The gradient (B, N, 3) of the first logit."""
    points = clouds.clone().requires_grad_()
    return torch.autograd.grad(model(points).logits[:, 0].sum(), points)[0]


class TestGradients:
    @pytest.mark.parametrize("gradient", ["straight", "bpda"])
    @pytest.mark.parametrize("name", ["srs", "sor"])
    def test_removal_gives_kept_points_the_models_gradient_and_removed_ones_zero(
        self, name: str, gradient: Any
    ) -> None:
        model, x = settled_pointnet(64), toy_batch()[0].double()
        defended = Defended(model, ALL[name], gradient).eval().drawn(0)
        found, points = slope(defended, x), defended.purified(x)
        kept = (points == x).all(2)
        assert not kept.all()
        assert torch.equal(found[~kept], torch.zeros_like(found[~kept]))
        alone = [slope(model, cloud[mask][None])[0] for cloud, mask in zip(x, kept, strict=True)]
        for row, (mask, wanted) in enumerate(zip(kept, alone, strict=True)):
            assert torch.allclose(found[row, mask], wanted, atol=1e-9)

    def test_quantisation_has_no_slope_and_bpda_gives_that_of_the_model_shared_by_points_that_met(self) -> None:
        model, x = settled_pointnet(64), toy_batch()[0].double()
        flat, through = (Defended(model, Quantisation(), gradient).eval() for gradient in ("straight", "bpda"))
        assert torch.equal(slope(flat, x), torch.zeros_like(x))
        assert torch.equal(flat(x).logits, through(x).logits)
        found = slope(through, x)
        assert found.abs().sum() > 0
        met_once = False
        for mine, own, at in zip(found, slope(model, flat.purified(x)), flat.purified(x), strict=True):
            _, place = np.unique(at.numpy(), axis=0, return_inverse=True)
            met_once |= place.max() + 1 < len(at)
            for group in range(place.max() + 1):
                met = place.ravel() == group
                assert torch.allclose(mine[met], own[met].mean(0), atol=1e-9)
        assert met_once

    @pytest.mark.parametrize("gradient", ["straight", "bpda"])
    def test_the_gradient_through_smoothing_is_that_of_finite_differences(self, gradient: Any) -> None:
        model, x = settled_pointnet(64), toy_batch(3)[0].double()
        defended = Defended(model, Smoothing(k=3), gradient).eval()
        direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=x.dtype)
        ahead, behind = (defended(x + h * direction).logits[:, 0] for h in (1e-6, -1e-6))
        assert torch.allclose((slope(defended, x) * direction).sum((1, 2)), (ahead - behind) / 2e-6, rtol=1e-3)

    def test_every_draw_has_a_gradient_of_its_own(self) -> None:
        model, x = settled_pointnet(64), toy_batch(2)[0].double()
        defended = Defended(model, RandomSampling()).eval()
        assert not torch.equal(slope(defended, x), slope(defended, x))


class TestReconstruction:
    def test_it_is_what_the_autoencoder_of_the_models_shapes_makes_of_the_cloud(self) -> None:
        loaded = load_model(builtin_models()["modelnet16-simple"])
        x = toy_batch(3)[0]
        found = Defended(loaded.module, Reconstruction()).eval().purified(x)
        expected = autoencoder_for(loaded.module, like=x)(x)
        assert found.shape == x.shape
        for cloud_found, reconstruction in zip(found, expected, strict=True):
            nearest = torch.cdist(cloud_found, reconstruction).min(1).values
            assert nearest.max() < 1e-3, "each point is one of the reconstruction"

    def test_of_more_points_than_it_has_each_is_there_and_of_fewer_they_are_spread_evenly(self) -> None:
        path = WEIGHTS / "autoencoder-shapes16.safetensors"
        for points, different in ((1024, 512), (700, 512), (128, 128)):
            found = ALL["reconstruct"].apply(cloud(points).float(), 0)
            assert found.shape == (1, points, 3)
            assert len(distinct(found[0])) == different
        assert written(Reconstruction(autoencoder=str(path))) == f"reconstruct:autoencoder={path}"

    def test_a_model_of_other_shapes_can_not_stand_behind_it(self) -> None:
        with pytest.raises(ModelError, match="needs an autoencoder of the shapes that the model was trained on"):
            Defended(build("pointnet", 3), Reconstruction())
        assert set(all_for(build("pointnet", 3))) == set(DEFENSES) - {"reconstruct"}
        assert set(all_for(load_model(builtin_models()["pointnet-simple"]).module)) == set(DEFENSES)


class TestNames:
    @pytest.mark.parametrize(
        "text", ["sor", "sor:k=3", "sor:k=3,alpha=1.5,squared=True", "srs:share=0.25", "knn", "quantise"]
    )
    def test_a_defence_is_typed_as_it_is_written(self, text: str) -> None:
        assert written(parse(text)) == text
        assert parse(written(parse(text), whole=True)) == parse(text)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("fog", "There is no defence 'fog'; there are srs, sor, knn, quantise, reconstruct."),
            ("", "There is no defence ''"),
            ("sor:k=0", "k: input should be greater than or equal to 1"),
            ("sor:depth=3", "depth: extra inputs are not permitted"),
            ("sor:k", "k: input should be a valid integer"),
            ("srs:share=nan", "share"),
            ("quantise:step=" + "9" * 400, "step"),
        ],
    )
    def test_a_wrong_one_is_one_sentence(self, text: str, said: str) -> None:
        with pytest.raises(ValueError, match=r".") as caught:
            parse(text)
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_several_are_told_apart_from_their_settings(self) -> None:
        assert list(parse_several("srs,sor:k=3,alpha=1.5,knn")) == ["srs", "sor:k=3,alpha=1.5", "knn"]
        assert list(parse_several("sor, sor:k=2")) == ["sor"], "the same twice is one"
        for nothing in ("", " ", ","):
            with pytest.raises(ValueError, match="defence"):
                parse_several(nothing)

    def test_a_name_is_split_only_after_a_model_that_is_known(self) -> None:
        known = {"a", "b+c"}.__contains__
        assert split("a+sor:k=3", known) == ("a", "sor:k=3")
        assert split("b+c", known) == ("b+c", "")
        assert split("b+c+srs", known) == ("b+c", "srs")
        assert split("x+sor", known) == ("x+sor", "")


@pytest.fixture(scope="module")
def simple() -> LoadedModel:
    return load_model(builtin_models()["pointnet-simple"])


class TestLoadedModels:
    def test_a_model_behind_a_defence_keeps_card_and_hash_and_says_so(self, simple: LoadedModel) -> None:
        both = protected(simple, parse("sor:k=3"))
        assert both.name == "pointnet-simple+sor:k=3"
        assert both.card.title == f"{simple.card.title} + SOR (k=3)"
        assert both.card.model_copy(update={"name": simple.name, "title": simple.card.title}) == simple.card
        assert (both.sha256, both.path, both.bare) == (simple.sha256, simple.path, simple)
        assert both.typical is None, "it was measured without the defence"
        found = measurement_provenance([both], None, parse_attack(), seed=0)
        assert found["defenses"] == {"pointnet-simple+sor:k=3": "sor:k=3,alpha=1.1,squared=False"}
        assert found["weights"] == {"pointnet-simple+sor:k=3": simple.sha256}
        assert "defenses" not in measurement_provenance([simple], None, parse_attack(), seed=0)

    def test_a_model_takes_one_defence(self, simple: LoadedModel) -> None:
        with pytest.raises(ValueError, match="behind a defence already"):
            protected(protected(simple, Quantisation()), Quantisation())


def parse_attack() -> Any:
    from core.attacks import preset

    return preset("fgsm")
