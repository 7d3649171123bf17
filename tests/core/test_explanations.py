"""Critical points and the layer where clean and adversarial activations part: closed forms and any kind of model."""

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from core import live
from core.attacks import preset
from core.clouds import Cloud
from core.datasets.shapes16 import make_shape
from core.defenses.defended import Defended
from core.defenses.sor import OutlierRemoval
from core.defenses.srs import RandomSampling
from core.evaluation.critical_points import critical_channels
from core.evaluation.layers import DRAWS, layer_differences
from core.events import Cancel
from core.models import Output, build
from core.models.checkpoints import builtin_models, load_model
from core.models.framed import Frame, Framed
from core.models.importers.adapter import Adapter, Call
from tests.core.foreign import save_script

POINTS, CHANNELS = 50, 32

FORMS = {
    "max": lambda y: torch.max(y, 2, keepdim=True)[0].flatten(1),
    "method": lambda y: y.max(dim=-1).values,
    "amax": lambda y: torch.amax(y, dim=(2,)),
    "max_pool1d": lambda y: F.max_pool1d(y, y.shape[-1]).squeeze(-1),
    "max_pool2d": lambda y: F.max_pool2d(y[..., None], (y.shape[-1], 1)).flatten(1),
    "adaptive": lambda y: F.adaptive_max_pool1d(y, 1).flatten(1),
    "adaptive module": lambda y: nn.AdaptiveMaxPool1d(1)(y).flatten(1),
    "relu": lambda y: (y - 0.8).relu().max(2)[0],
    "last of all": lambda y: y.mT.contiguous().max(1)[0],
}


class Pooled(nn.Module):
    """One layer for each point, then a maximum over points in one of several ways of writing it."""

    def __init__(self, form: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.points, self.head, self.form = nn.Conv1d(3, CHANNELS, 1), nn.Linear(CHANNELS, 4), form

    def forward(self, clouds: Tensor) -> Output:
        latent = FORMS[self.form](self.points(clouds.mT))
        return Output(self.head(latent), latent)


def cloud(points: int = POINTS, seed: int = 0) -> Tensor:
    made = torch.randn(1, points, 3, generator=torch.Generator().manual_seed(seed))
    return made / made.norm(dim=2).max()


class TestCriticalPoints:
    @pytest.mark.parametrize("form", [form for form in FORMS if form != "relu"])
    def test_each_channel_counts_for_the_point_that_attains_its_maximum(self, form: str) -> None:
        model, x = Pooled(form), cloud()
        values = model.points(x.mT)[0]
        expected = np.bincount(values.argmax(1).numpy(), minlength=POINTS)
        counted = critical_channels(model, x)
        assert counted is not None
        assert np.array_equal(counted, expected)
        assert counted.sum() == CHANNELS

    @given(order=st.permutations(range(12)))
    def test_they_do_not_depend_on_the_order_of_the_points(self, order: list[int]) -> None:
        model, x = Pooled("amax"), cloud(12)
        counted, turned = critical_channels(model, x), critical_channels(model, x[:, order])
        assert counted is not None
        assert turned is not None
        assert np.array_equal(counted[order], turned)

    def test_the_latent_of_a_pointnet_is_that_of_its_critical_points(self) -> None:
        """With the alignment of the whole cloud, which has a maximum of its own."""
        model = load_model(next(iter(builtin_models().values()))).module
        x = torch.from_numpy(make_shape("chair", [1]))[None, :512]
        counted = critical_channels(model, x)
        assert counted is not None
        assert counted.sum() == 1024
        align = model.input_transform(x)
        features = model.second(model.first(x @ align))
        kept = features[:, counted > 0]
        assert torch.allclose(model.pool(kept), model(x).latent, atol=1e-5)
        least = int(np.flatnonzero(counted)[counted[counted > 0].argmin()])
        without = features[:, np.arange(512) != least]
        assert int((~torch.isclose(model.pool(without), model(x).latent, atol=1e-6)).sum()) <= counted[least]

    @pytest.mark.parametrize("name", ["pointnet", "dgcnn", "gdanet"])
    def test_models_that_pool_all_points_have_some(self, name: str) -> None:
        counted = critical_channels(build(name, 4).eval(), cloud(64))
        assert counted is not None
        assert 0 < counted.sum() <= 1024

    def test_channels_with_one_value_at_all_points_count_for_none(self) -> None:
        model, x = Pooled("relu"), cloud()
        values = (model.points(x.mT)[0] - 0.8).relu()
        alive = values.amax(1) > 0
        assert 0 < int(alive.sum()) < CHANNELS
        counted = critical_channels(model, x)
        assert counted is not None
        assert np.array_equal(counted, np.bincount(values[alive].argmax(1).numpy(), minlength=POINTS))

    @pytest.mark.parametrize("points", [20, 64, 128])
    def test_a_maximum_that_does_not_make_the_latent_is_not_taken_for_it(self, points: int) -> None:
        """PointConv scales by the largest sparsity of a cloud."""
        assert critical_channels(build("pointconv", 4).eval(), cloud(points)) is None

    @pytest.mark.parametrize("name", ["pointnet2-ssg", "pct", "pointmlp-elite"])
    def test_models_that_pool_chosen_centres_have_none(self, name: str) -> None:
        assert critical_channels(build(name, 4).eval(), cloud(256)) is None

    def test_of_a_model_in_another_frame_they_are_the_same_points(self) -> None:
        model, x = Pooled("max"), cloud()
        turned = Framed(model, Frame(up="y"))
        counted, expected = critical_channels(turned, x), critical_channels(model, turned.place(x))
        assert counted is not None
        assert expected is not None
        assert np.array_equal(counted, expected)

    def test_behind_a_defence_none_are_named(self) -> None:
        assert critical_channels(Defended(Pooled("max"), OutlierRemoval()), cloud()) is None

    def test_nothing_of_the_model_is_changed(self) -> None:
        model, x = build("pointnet", 4), cloud()
        model.train()
        before = {name: value.clone() for name, value in model.state_dict().items()}
        critical_channels(model, x)
        assert model.training
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


class Mean(nn.Module):
    """The mean over points of features (B, N, C)."""

    def forward(self, features: Tensor) -> Tensor:
        return features.mean(1)


class Averaging(nn.Module):
    """A layer for each point, their mean, and a head that is used twice: noise is averaged away, a shift is not."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.points, self.mean, self.act, self.head = nn.Linear(3, 6), Mean(), nn.Tanh(), nn.Linear(6, 6)

    def forward(self, clouds: Tensor) -> Output:
        latent = self.mean(self.points(clouds))
        return Output(self.act(self.head(self.act(self.head(latent)))), latent)


class Encoder(nn.Module):
    """As models of other projects are written: an encoder of layers and nothing else, with a ReLU in place."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.encoder = nn.Module()
        self.encoder.first, self.encoder.second = nn.Linear(3, 8, bias=False), nn.Linear(8, 8)
        self.encoder.act = nn.ReLU(inplace=True)
        self.encoder.forward = lambda x: self._encode(x)  # type: ignore[method-assign]
        self.head = nn.Linear(8, 4)

    def _encode(self, x: Tensor) -> Tensor:
        e = self.encoder
        return e.act(e.second(e.act(e.first(x)))).max(1)[0]

    def forward(self, clouds: Tensor) -> Output:
        latent = self.encoder(clouds)
        return Output(self.head(latent), latent)


class TestLayers:
    def test_a_shift_parts_from_noise_of_the_same_lengths_where_points_are_averaged(self) -> None:
        model, x = Averaging().eval(), cloud(400)
        shift = torch.tensor([0.03, 0.0, 0.0])
        found = layer_differences(model, x, x + shift)
        assert found is not None
        assert found.names == ("points", "mean", "head", "act", "head (2)", "act (2)")
        assert found.noise.shape == (DRAWS, 6)
        assert found.names[found.parting or 0] == "mean"
        features = model.points(x)
        moved = (model.points.weight @ shift).norm().item()
        exact = moved * 400**0.5 / features.norm().item()
        assert found.adversarial[0] == pytest.approx(exact, rel=1e-4)
        exact = moved / features.mean(1).norm().item()
        assert found.adversarial[1] == pytest.approx(exact, rel=1e-4)
        assert found.ratio[0] == pytest.approx(1, abs=0.35)
        assert found.ratio[1] > 5

    def test_noise_itself_does_not_part(self) -> None:
        x, generator = cloud(400), torch.Generator().manual_seed(9)
        noisy = x + 0.02 * F.normalize(torch.randn(x.shape, generator=generator), dim=2)
        found = layer_differences(build("pointnet", 4).eval(), x, noisy)
        assert found is not None
        assert np.all(found.ratio < 2)

    def test_equal_clouds_differ_nowhere(self) -> None:
        found = layer_differences(Averaging(), cloud(), cloud())
        assert found is not None
        assert not found.adversarial.any()
        assert found.parting is None
        assert np.isnan(found.ratio).all()

    def test_an_attack_on_a_trained_model_parts_before_its_logits(self) -> None:
        loaded = load_model(next(iter(builtin_models().values())))
        x, attack = Cloud(make_shape("chair", [218])[:1024], "chair", 4), preset("pgd", epsilon=0.05, steps=10)
        label = loaded.card.classes.index("chair")
        begun = live.begin(live.Setup((loaded,), 0, attack, replace(x, label=label)))
        states = [begun.state]
        while not attack.over(states[-1]):
            states.append(attack.step(loaded.module, states[-1]))
        found = layer_differences(loaded.module, states[0].clean, states[-1].adversarial)
        assert found is not None
        assert found.parting is not None
        assert found.ratio[-1] > 2
        assert found.names[-1] == "classifier.7"

    def test_all_architectures_have_layers(self) -> None:
        for name in ("dgcnn", "pointnet2-ssg", "pct", "curvenet"):
            found = layer_differences(build(name, 4).eval(), cloud(256), 1.02 * cloud(256))
            assert found is not None
            assert len(found.names) > 5, name
            assert np.isfinite(found.adversarial).all()

    def test_names_are_without_what_wrappers_add(self) -> None:
        plain, wrapped = Averaging(), Framed(Averaging(), Frame(up="y"))
        names = [layer_differences(each, cloud(), 1.1 * cloud()) for each in (plain, wrapped)]
        assert names[0] is not None
        assert names[1] is not None
        assert names[0].names == names[1].names

    def test_a_random_defence_has_one_draw_for_all_clouds(self) -> None:
        defended = Defended(build("pointnet", 4).eval(), RandomSampling(), seed=3)
        found = layer_differences(defended, cloud(200), cloud(200))
        assert found is not None
        assert not found.adversarial.any()

    def test_layers_in_place_and_within_a_plain_encoder_are_each_a_row(self) -> None:
        found = layer_differences(Encoder(), cloud(), 1.1 * cloud())
        assert found is not None
        assert found.names == ("encoder.first", "encoder.act", "encoder.second", "encoder.act (2)", "encoder", "head")
        assert found.adversarial[0] == pytest.approx(0.1, rel=1e-3), "not what the layer in place has made of it"

    def test_cancelled_it_ends(self) -> None:
        cancel = Cancel()
        cancel.request()
        assert layer_differences(Averaging(), cloud(), 1.1 * cloud(), cancel=cancel) is None

    def test_a_graph_and_a_function_have_none(self, tmp_path: Path) -> None:
        file = save_script(nn.Sequential(nn.Flatten(), nn.Linear(150, 4)), tmp_path / "graph.pt", traced=(1, 50, 3))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            graph = torch.jit.load(str(file))
        assert layer_differences(Adapter(graph, Call("BN3")), cloud(), 1.1 * cloud()) is None
        assert layer_differences(lambda clouds: Output(clouds.sum(1), clouds.sum(1)), cloud(), cloud()) is None

    def test_nothing_stays_on_the_model(self) -> None:
        model = Averaging()
        layer_differences(model, cloud(), 1.1 * cloud())
        assert not any(layer._forward_hooks for layer in model.modules())


class TestScene:
    def test_colours_are_computed_only_where_they_are_wanted(self) -> None:
        loaded = load_model(next(iter(builtin_models().values())))
        given = live.Setup((loaded,), 0, preset("fgsm", epsilon=0.1), Cloud(make_shape("mug", [2])[:256], "mug", 1))
        plain = live.begin(given)
        assert plain.gradient is plain.critical is plain.clean_critical is None
        critical = live.begin(replace(given, colouring="critical"))
        assert critical.critical is not None
        assert critical.gradient is None
        moved = live.advance(critical)
        assert moved.critical is not None
        assert moved.clean_critical is critical.clean_critical
        assert not np.array_equal(moved.critical, critical.critical)
        assert live.refit(moved, 0.02).critical is not None
        assert live.begin(replace(given, colouring="gradient")).gradient is not None
