from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import nn

from core.attacks import evaluate
from core.models import ARCHITECTURES, Classifier, Output, PointNet, PointNetOptions, build, eval_view, evaluating
from tests.core.toys import toy_batch
from tests.published.pointnet import PlainPointNet


def twins(feature_transform: bool) -> tuple[nn.Module, nn.Module]:
    """Our PointNet and the reference with the same weights, which have the same order but for their shapes."""
    torch.manual_seed(0)
    ours = build("pointnet", 5, {"feature_transform": feature_transform, "dropout": 0.0}).double()
    reference = PlainPointNet(5, feature_transform).double()
    copy_tnet(ours.input_transform, reference.stn)
    if feature_transform:
        copy_tnet(ours.feature_transform, reference.fstn)
    for layer, conv, norm in zip(
        (ours.first, ours.second, ours.pool), reference.convs, reference.norms[:3], strict=True
    ):
        copy(layer.linear, conv)
        copy(layer.norm, norm)
    copy_head(ours.classifier, reference)
    return ours, reference


def copy_tnet(ours: nn.Module, reference: nn.Module) -> None:
    for layer, conv, norm in zip((*ours.points, ours.pool), reference.convs, reference.norms[:3], strict=True):
        copy(layer.linear, conv)
        copy(layer.norm, norm)
    copy_head(ours.head, reference)


def copy_head(ours: nn.Module, reference: nn.Module) -> None:
    layers = [layer for layer in ours if isinstance(layer, nn.Linear | nn.BatchNorm1d)]
    fcs, norms = reference.fcs, reference.norms[3:]
    for layer, twin in zip(layers, (fcs[0], norms[0], fcs[1], norms[1], fcs[2]), strict=True):
        copy(layer, twin)


def copy(source: nn.Module, target: nn.Module) -> None:
    target.load_state_dict(
        {name: value.reshape(target.state_dict()[name].shape) for name, value in source.state_dict().items()}
    )


@pytest.mark.parametrize("feature_transform", [False, True])
def test_pointnet_is_the_reference_implementation_in_training_and_in_evaluation(feature_transform: bool) -> None:
    ours, reference = twins(feature_transform)
    x = toy_batch(6, 40)[0].double()
    label = torch.tensor([0, 1, 2, 3, 4, 0])
    for _ in range(2):  # the second time the running statistics of the first are in play
        for model in (ours, reference):
            model.zero_grad()
            F.cross_entropy(model(x)[0], label).backward()
        torch.testing.assert_close(ours.first.linear.weight.grad, reference.convs[0].weight.grad[..., 0])
        torch.testing.assert_close(ours.pool.linear.weight.grad, reference.convs[2].weight.grad[..., 0])
        torch.testing.assert_close(ours.classifier[0].weight.grad, reference.fcs[0].weight.grad)
        for mode in (True, False):
            for mine, theirs in zip(ours.train(mode)(x), reference.train(mode)(x), strict=True):
                torch.testing.assert_close(mine, theirs, rtol=1e-8, atol=1e-8)
        ours.train()
        reference.train()


def test_a_classifier_gives_logits_and_the_latent_its_last_three_layers_read() -> None:
    model = build("pointnet", 4).eval()
    assert isinstance(model, Classifier)
    logits, latent = model(toy_batch()[0])
    assert (logits.shape, latent.shape) == ((6, 4), (6, 1024))
    torch.testing.assert_close(model.classifier(latent), logits)
    assert latent.min() < 0, "the latent is taken before any ReLU"
    assert not torch.allclose(logits.exp().sum(1), torch.ones(6)), "logits, not log-probabilities"


@pytest.mark.parametrize("n", [1, 2, 31, 33, 500])
def test_any_number_of_points_is_accepted(n: int) -> None:
    x = torch.randn(2, n, 3)
    model = build("pointnet", 3)
    assert torch.isfinite(model.eval()(x).logits).all()
    assert torch.isfinite(model.train()(x).logits).all()


def test_the_order_of_points_and_the_company_of_other_clouds_do_not_matter() -> None:
    model = build("pointnet", 3).eval()
    x, _ = toy_batch(5, 70)
    logits = model(x).logits
    torch.testing.assert_close(model(x[:, torch.randperm(70)]).logits, logits, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model(x[2:3]).logits, logits[2:3], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model(torch.cat([x, x[:, :9]], 1)).logits, logits, rtol=1e-4, atol=1e-5)


def test_the_penalty_is_the_distance_of_the_feature_transform_from_orthogonality() -> None:
    model = build("pointnet", 3, {"feature_transform": True}).train()
    x, _ = toy_batch(4, 20)
    transforms = []
    model.feature_transform.register_forward_hook(lambda module, inputs, output: transforms.append(output))
    model(x)
    gram = transforms[0] @ transforms[0].transpose(1, 2) - torch.eye(64)
    torch.testing.assert_close(model.penalty, gram.pow(2).sum((1, 2)).sqrt().mean())
    assert torch.autograd.grad(model.penalty, model.feature_transform.head[-1].weight)[0].abs().sum() > 0
    assert float(build("pointnet", 3).penalty) == 0


def test_a_model_can_be_copied_in_the_middle_of_its_training() -> None:
    model = build("pointnet", 3, {"feature_transform": True})
    x, _ = toy_batch()
    model(x)
    copied = deepcopy(model)
    assert not copied.penalty.requires_grad
    torch.testing.assert_close(copied.eval()(x).logits, model.eval()(x).logits)


def test_away_from_the_cpu_the_fast_layers_step_aside() -> None:
    """On PyTorch's device for shapes alone, which stands for a GPU where there is none."""
    model = build("pointnet", 3, {"feature_transform": True}).to("meta")
    x = torch.empty(4, 20, 3, device="meta", requires_grad=True)
    logits, latent = model(x)
    assert (logits.device.type, logits.shape, latent.shape) == ("meta", (4, 3), (4, 1024))
    (logits.sum() + model.penalty).backward()
    assert x.grad is not None
    with eval_view(model) as ask:
        assert ask is model
        assert ask(x).logits.shape == (4, 3)


def test_dropout_acts_in_training_only() -> None:
    x, _ = toy_batch()
    model = build("pointnet", 3, {"dropout": 0.5})
    torch.manual_seed(1)
    first = model(x).logits
    torch.manual_seed(1)
    assert torch.equal(model(x).logits, first)
    assert not torch.equal(model(x).logits, first)
    model.eval()
    assert torch.equal(model(x).logits, model(x).logits)


def test_unknown_architectures_and_wrong_options_are_refused() -> None:
    with pytest.raises(ValueError, match=r"no architecture 'pointnet3'; the known ones are: .*pointnet"):
        build("pointnet3", 4)
    with pytest.raises(ValidationError, match="dropout"):
        build("pointnet", 4, {"dropout": 2})
    assert ARCHITECTURES["pointnet"] == (PointNet, PointNetOptions)


class TestEvaluating:
    def test_puts_every_part_in_eval_mode_and_each_back_in_its_own(self) -> None:
        model = build("pointnet", 3).train()
        model.classifier.eval()
        modes = [module.training for module in model.modules()]
        with evaluating(model):
            assert not any(module.training for module in model.modules())
        assert [module.training for module in model.modules()] == modes

    def test_restores_the_modes_after_an_error(self) -> None:
        model = build("pointnet", 3).train()
        modes = [module.training for module in model.modules()]
        with pytest.raises(RuntimeError), evaluating(model):
            model(torch.zeros(1, 1, 4))
        assert [module.training for module in model.modules()] == modes

    def test_accepts_a_bare_callable(self) -> None:
        with evaluating(lambda clouds: Output(clouds.sum(1), clouds.sum(1))):
            pass


def test_evaluating_a_gradient_leaves_the_weights_without_one() -> None:
    model = build("pointnet", 3).train()
    before = deepcopy(model.state_dict())
    x, y = toy_batch()
    answer = evaluate(model, x, y, gradient=True)
    assert answer.gradient is not None
    assert answer.gradient.shape == x.shape
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert x.grad is None
    assert evaluate(model, x, y, gradient=False).gradient is None
