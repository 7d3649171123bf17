"""The folded PointNet against the model it is made from, which is its reference implementation."""

import gc
import threading

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from core.models import Output, PointNet, build, eval_view
from core.models.fast import folded
from tests.core.toys import toy_batch

CLASSES = 5


def model(feature_transform: bool = True, dtype: torch.dtype = torch.float32) -> PointNet:
    """With running statistics and slopes that are not the initial ones, some slopes negative."""
    torch.manual_seed(0)
    net = build("pointnet", CLASSES, {"feature_transform": feature_transform})
    with torch.no_grad():
        for part in net.modules():
            if isinstance(part, nn.BatchNorm1d):
                part.weight.uniform_(-0.5, 1.5)
                part.bias.uniform_(-0.5, 0.5)
        for seed in range(5):
            net(toy_batch(8, 64, seed)[0])
    assert isinstance(net, PointNet)
    return net.to(dtype).eval()


def folded_view(net: PointNet) -> folded.FoldedPointNet:
    with eval_view(net) as ask:
        assert isinstance(ask, folded.FoldedPointNet)
        return ask


def gradient(ask: object, x: Tensor, y: Tensor) -> Tensor:
    points = x.clone().requires_grad_()
    output: Output = ask(points)  # type: ignore[operator]
    loss = F.cross_entropy(output.logits, y, reduction="sum") + output.latent.square().sum()
    return torch.autograd.grad(loss, points)[0]


@pytest.mark.parametrize("feature_transform", [False, True])
def test_logits_latents_and_gradients_are_the_models_own(feature_transform: bool) -> None:
    net = model(feature_transform, torch.float64)
    x, _ = toy_batch(6, 100)
    x, y = x.double(), torch.arange(6) % CLASSES
    with torch.no_grad():
        for mine, theirs in zip(folded_view(net)(x), net(x), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-10)
    for mine, theirs in zip(
        folded_view(net)(x.requires_grad_()), net(x), strict=True
    ):  # another way through the maximum
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-10)
    mine, theirs = (gradient(ask, x.detach(), y) for ask in (folded_view(net), net))
    torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-10)


@given(n=st.integers(1, 80), seed=st.integers(0, 1000), feature_transform=st.booleans())
@settings(max_examples=15, deadline=None)
def test_in_single_precision_they_are_equal_to_rounding_and_signs_agree(
    n: int, seed: int, feature_transform: bool
) -> None:
    net = model(feature_transform)
    x = torch.randn(3, n, 3, generator=torch.Generator().manual_seed(seed)) / 2
    y = torch.arange(3)
    with torch.no_grad():
        for mine, theirs in zip(folded_view(net)(x), net(x), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)
    mine, theirs = gradient(folded_view(net), x, y), gradient(net, x, y)
    differs = mine.sign() != theirs.sign()
    assert differs.float().mean() < 0.01  # two points within rounding of one maximum may change places
    assert torch.all(theirs[differs].abs() < 1e-2 * theirs.abs().max())


def test_the_answer_to_a_cloud_does_not_depend_on_its_batch() -> None:
    ask = folded_view(model())
    x, _ = toy_batch(5, 64)
    with torch.no_grad():
        torch.testing.assert_close(ask(x[2:3]).logits, ask(x).logits[2:3], rtol=1e-5, atol=1e-6)


def test_the_model_is_folded_once_and_again_when_its_weights_or_statistics_change() -> None:
    net = model()
    first = folded_view(net)
    assert folded_view(net) is first
    x, y = toy_batch(6, 64)
    optimiser = torch.optim.Adam(net.parameters())
    F.cross_entropy(net.train()(x).logits, y).backward()
    assert folded_view(net) is not first, "the running statistics have moved"
    second = folded_view(net)
    optimiser.step()
    assert folded_view(net) is not second
    net.load_state_dict(model().state_dict())
    with torch.no_grad():
        torch.testing.assert_close(folded_view(net)(x), first(x))
        net.classifier[0].weight.mul_(2)
        torch.testing.assert_close(folded_view(net)(x), net.eval()(x), rtol=1e-4, atol=1e-5)


def test_asking_leaves_the_model_as_it_was() -> None:
    net = model().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    x, y = toy_batch(6, 64)
    gradient(folded_view(net), x, y % CLASSES)
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())


def test_folded_in_inference_mode_it_can_still_give_gradients() -> None:
    net = model()
    x, y = toy_batch(6, 64)
    with torch.inference_mode():
        answer = folded_view(net)(x).logits
    torch.testing.assert_close(answer.clone(), net(x).logits.detach(), rtol=1e-4, atol=1e-5)
    assert gradient(folded_view(net), x, y).abs().sum() > 0


def test_threads_may_ask_one_model_at_once() -> None:
    net = model()
    x, y = toy_batch(6, 64)
    expected = gradient(folded_view(net), x, y)
    answers: list[Tensor] = []
    threads = [threading.Thread(target=lambda: answers.append(gradient(folded_view(net), x, y))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4
    for answer in answers:
        torch.testing.assert_close(answer, expected, rtol=1e-5, atol=1e-6)


def test_a_model_that_is_gone_drops_its_folded_copy() -> None:
    net = model()
    folded_view(net)
    known = len(folded._folded_cache)
    del net
    gc.collect()
    assert len(folded._folded_cache) == known - 1


def test_other_models_and_autocast_answer_themselves_in_eval_mode() -> None:
    other = nn.Sequential(nn.Dropout(0.5)).train()
    with eval_view(other) as ask:
        assert ask is other
        assert not other[0].training
    assert other[0].training
    net = model()
    with torch.autocast("cpu", torch.bfloat16), eval_view(net) as ask:
        assert ask is net


def test_clouds_that_were_written_to_have_no_gradient_any_more() -> None:
    with eval_view(model()) as asked:
        clouds = torch.randn(1, 50, 3).requires_grad_() * 1.0
        value = asked(clouds).logits.sum()
        with torch.no_grad():
            clouds.mul_(-1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            torch.autograd.grad(value, clouds)
