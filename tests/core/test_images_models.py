"""Networks of images, and their training on digits."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from core.attacks import preset
from core.datasets import Dataset, open_dataset
from core.evaluation.accuracy import EvaluationOptions
from core.evaluation.judge import evaluate_accuracy
from core.events import Cancel, Done, Epoch, result
from core.images import ImageFormat
from core.models import ALL_ARCHITECTURES, ARCHITECTURES, IMAGE_ARCHITECTURES, build
from core.models.cards import ModelError
from core.models.checkpoints import BEST, LAST, load_model, load_training, resolve_model
from core.models.port import give_value_range, value_range_of
from core.studies.transferability.zoo import IMAGE_MEMBERS, IMAGE_RECIPE, members_of, train_zoo
from core.training import TrainOptions, train
from core.training.regimes import REGIMES, perturbed

pytestmark = pytest.mark.usefixtures("one_thread")

FORMAT = ImageFormat(shape=(1, 8, 8), value_range=(0.0, 1.0))
QUICK: dict[str, Any] = {"model": "resnet-small", "learning_rate": 3e-3, "device": "cpu", "seed": 2}
PAIRS = [
    ("vgg-small", "vgg-deep"),
    ("resnet-small", "resnet-deep"),
    ("densenet-small", "densenet-deep"),
    ("inception-small", "inception-resnet"),
]


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    dataset: Dataset = result(open_dataset("digits", None, tmp_path_factory.mktemp("cache")))
    return dataset


@pytest.fixture(scope="module")
def trained(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a small network with three epochs."""
    folder = tmp_path_factory.mktemp("runs") / "trained"
    result(train(digits, TrainOptions.model_validate({**QUICK, "epochs": 3}), folder))
    return folder


def network(name: str, classes: int = 10, **options: int) -> nn.Module:
    torch.manual_seed(0)
    return build(name, classes, options).eval()


def count_of(model: nn.Module) -> int:
    return sum(weight.numel() for weight in model.parameters())


@pytest.mark.parametrize("name", IMAGE_ARCHITECTURES)
class TestNetworks:
    @pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 14)])
    def test_of_any_size_they_give_logits_that_are_linear_in_the_latent(
        self, name: str, shape: tuple[int, int, int]
    ) -> None:
        model = network(name, 7, channels=shape[0], width=8)
        output = model(torch.rand(3, *shape))
        assert output.logits.shape == (3, 7)
        torch.testing.assert_close(output.logits, model.classifier(output.latent))  # type: ignore[operator]

    def test_an_image_has_the_same_answer_alone(self, name: str) -> None:
        model, images = network(name).double(), torch.rand(4, 1, 8, 8).double()
        together = model(images)
        for row in range(4):
            torch.testing.assert_close(model(images[row : row + 1]).logits[0], together.logits[row])

    def test_every_weight_learns_and_every_value_is_seen(self, name: str) -> None:
        model = network(name).train()
        images = torch.rand(8, 1, 8, 8, requires_grad=True)
        nn.functional.cross_entropy(model(images).logits, torch.arange(8)).backward()  # type: ignore[no-untyped-call]
        assert all(weight.grad is not None and weight.grad.any() for weight in model.parameters())
        assert images.grad is not None
        assert (images.grad != 0).all(0).all()


@pytest.mark.parametrize("name", ["resnext-small", "nasnet"])
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    model = network(name, width=4 if name == "nasnet" else 8).double()
    images = torch.rand(1, 1, 8, 8, dtype=torch.float64, requires_grad=True)
    [gradient] = torch.autograd.grad(model(images).logits[0, 3], images)
    for place in ((0, 0), (3, 4), (7, 7)):
        move = torch.zeros_like(images)
        move[0, 0, *place] = 1e-6
        with torch.no_grad():
            slope = (model(images + move).logits - model(images - move).logits)[0, 3] / 2e-6
        assert float(slope) == pytest.approx(float(gradient[0, 0, *place]), rel=1e-4, abs=1e-8)


def test_deep_ones_have_more_weights_than_the_small_ones_of_their_family() -> None:
    for small, deep in PAIRS:
        assert count_of(network(deep)) > count_of(network(small))


def test_a_convolution_of_each_channel_by_itself_has_few_weights() -> None:
    """Xception's 3 x 3 filters have one channel each, those of a ResNet all channels."""
    filters = [layer for layer in network("xception").modules() if isinstance(layer, nn.Conv2d) and layer.groups > 1]
    assert filters
    assert all(layer.weight.shape[1:] == (1, 3, 3) for layer in filters)


def test_all_are_built_by_name_and_those_of_clouds_stay_apart() -> None:
    assert not ARCHITECTURES.keys() & IMAGE_ARCHITECTURES.keys()
    assert ALL_ARCHITECTURES.keys() == ARCHITECTURES.keys() | IMAGE_ARCHITECTURES.keys()
    with pytest.raises(ValueError, match=r"the known ones are: .*nasnet"):
        build("lenet", 10)


class TestTraining:
    def test_three_epochs_know_nine_of_ten_test_images(self, digits: Dataset, trained: Path) -> None:
        model = load_model(resolve_model(trained))
        report = result(evaluate_accuracy(model.module, digits.split("test"), None, EvaluationOptions(points=0)))
        assert report.clean.accuracy.value > 0.9

    def test_its_file_tells_which_images_it_takes(self, digits: Dataset, trained: Path) -> None:
        model = load_model(resolve_model(trained))
        card = model.card
        assert (card.image, card.points, card.up_axis, card.dataset) == (FORMAT, 0, "none", "digits")
        assert value_range_of(model.module) == (0, 1)
        assert model.typical is not None
        assert model.typical.limits.points == 0
        card.require_samples("digits", digits.card.image)
        with pytest.raises(ModelError, match="takes images of 1 x 8 x 8 values from 0 to 1, and toys has clouds"):
            card.require_samples("toys", None)

    def test_ended_and_resumed_it_ends_with_the_same_weights(
        self, digits: Dataset, trained: Path, tmp_path: Path
    ) -> None:
        options, cancel = TrainOptions.model_validate({**QUICK, "epochs": 3}), Cancel()
        for event in train(digits, options, tmp_path / "run", cancel):
            if isinstance(event, Epoch):
                cancel.request()
        assert isinstance(event, Done)
        assert not event.complete
        result(train(digits, TrainOptions(), tmp_path / "run", resume=True))
        whole, ended = (load_training(folder / LAST)[1] for folder in (trained, tmp_path / "run"))
        assert all(torch.equal(value, ended[name]) for name, value in whole.items())

    @pytest.mark.long
    @pytest.mark.parametrize("regime", REGIMES)
    def test_every_regime_learns(self, digits: Dataset, regime: str, tmp_path: Path) -> None:
        changes = {"regime": regime, "epochs": 1, "batch_size": 16, "attack_steps": 1, "model_options": {"width": 8}}
        run = result(train(digits, TrainOptions.model_validate({**QUICK, **changes}), tmp_path / "run"))
        assert run.metrics["validation_clean"] > 0.5
        model = load_model(resolve_model(tmp_path / "run"))
        assert (model.discriminator is not None) == REGIMES[regime].discriminator  # type: ignore[index]

    @pytest.mark.parametrize("value_range", [(0.0, 1.0), (0.0, 255.0)])
    def test_adversarial_images_stay_in_their_range_and_budget(
        self, digits: Dataset, trained: Path, value_range: tuple[float, float]
    ) -> None:
        class Scaled(nn.Module):
            """The network for images of another range."""

            def __init__(self) -> None:
                super().__init__()
                self.inner = load_model(resolve_model(trained)).module

            def forward(self, images: torch.Tensor) -> Any:
                return self.inner(images / value_range[1])

        model = Scaled()
        give_value_range(model, value_range)
        split, high = digits.split("test"), value_range[1]
        images, label = torch.from_numpy(split.points[:40] * high), torch.from_numpy(split.labels[:40])
        options = TrainOptions.model_validate({"regime": "pgd", "epsilon": 16 / 255 * high, "attack_steps": 5})
        torch.manual_seed(0)
        moved = perturbed(model, images, label, options.attack, random_start=True)
        assert float((moved - images).abs().max()) == pytest.approx(16 / 255 * high, rel=1e-5)
        assert (float(moved.min()), float(moved.max())) == (0, high)
        clean, adversarial = (nn.functional.cross_entropy(model(x).logits, label) for x in (images, moved))
        assert adversarial > 2 * clean

    def test_what_does_not_fit_is_refused_before_anything_is_written(self, digits: Dataset, tmp_path: Path) -> None:
        for changes, wrong in (
            ({"model": "pointnet"}, "digits has images, which pointnet does not take; choose one of vgg-small"),
            ({"jitter": 0.02}, "jitter: digits has images, and this is for clouds; leave it out"),
            ({"points": 64}, "points: digits has images"),
            ({"model_options": {"channels": 3}}, "images of 1 channels, and resnet-small is for 3"),
        ):
            with pytest.raises(ValueError, match=wrong):
                result(train(digits, TrainOptions.model_validate({**QUICK, **changes}), tmp_path / "run"))
        assert not (tmp_path / "run").exists()


class TestZoo:
    def test_all_have_the_recipe_and_differ_in_the_model_and_the_regime_alone(self) -> None:
        plain = TrainOptions.model_validate(IMAGE_RECIPE)
        for name, member in IMAGE_MEMBERS.items():
            options = member.options({})
            assert options.model in IMAGE_ARCHITECTURES
            assert (options.regime == "pgd") == name.endswith("-pgd")
            unlike = {field for field, value in options.model_dump().items() if value != getattr(plain, field)}
            pgd = {"regime", "epsilon", "attack_steps"} if options.regime == "pgd" else set()
            assert unlike <= {"model", "model_options"} | pgd
        assert [member.role for member in IMAGE_MEMBERS.values()] == ["surrogate"] * 4 + ["victim"] * 9
        assert members_of("digits") is IMAGE_MEMBERS
        assert not members_of("images")

    @pytest.mark.long
    def test_two_are_trained_the_cheapest_first_and_know_digits(self, digits: Dataset, tmp_path: Path) -> None:
        names = ["inception-small", "vgg-small"]
        changes = {"epochs": 2, "averaging": 0.9, "device": "cpu"}
        found = result(train_zoo(digits, names, changes, tmp_path))
        assert list(found) == names[::-1]
        for name in names:
            model = load_model(tmp_path / name / BEST).module
            options = EvaluationOptions(clouds=100, points=0)
            report = result(evaluate_accuracy(model, digits.split("test"), preset("fgsm").at(0.1), options))
            assert report.clean.accuracy.value > 0.8
            np.testing.assert_allclose(report.adversarial.linf, 0.1, rtol=1e-5)
            assert report.adversarial.accuracy.value < report.clean.accuracy.value
