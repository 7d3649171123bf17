"""Every architecture: the function of its published definition, exactly, and what the program expects of it."""

import math
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models import ARCHITECTURES, build, eval_view
from tests.published import PUBLISHED, by_our_names

N, CLASSES = 48, 7


FIRST_POINT_MATTERS = frozenset(
    {"pct", "pointmlp", "pointmlp-elite", "pointnet2-ssg", "pointnet2-msg", "pointconv", "curvenet"}
)
"""Architectures with farthest point sampling."""
FULL_BALLS = frozenset({"pointnet2-ssg", "pointnet2-msg", "curvenet"})
"""Those of them whose balls take the points that come first in the cloud, where they hold more than they take."""
STRAIGHT_THROUGH = frozenset({"curvenet"})
"""Architectures that pick points, and whose gradient is, by definition, that of a mean over them in place of the pick.

Of two points there is but one to go on to, and both gradients are the same.
"""
HEAVY = frozenset({"pointconv", "pointmlp", "pointnet2-msg"})
"""Architectures that take as long as all others together; but for PointConv they are larger forms of another one."""
architectures = pytest.mark.parametrize("name", ARCHITECTURES)
light = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.long] * (name in HEAVY)) for name in ARCHITECTURES]
)
published = pytest.mark.parametrize("name", PUBLISHED)


def in_both_modes(*long: str) -> pytest.MarkDecorator:
    """Each published architecture in eval and in train mode, of which those named take long."""
    cases = [(name, mode) for name in PUBLISHED for mode in ("eval", "train")]
    return pytest.mark.parametrize(
        ("name", "training"),
        [
            pytest.param(
                name, mode == "train", id=f"{name}-{mode}", marks=[pytest.mark.long] * (f"{name}-{mode}" in long)
            )
            for name, mode in cases
        ],
    )


def clouds(count: int = 4, points: int = N, seed: int = 0) -> Tensor:
    """Clouds without two points in one place, (B, N, 3)."""
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(count, points, 3, generator=generator, dtype=torch.float64), dim=2)


def settled(model: nn.Module) -> nn.Module:
    """The model with weights and running statistics such as a training leaves, in eval mode and double precision."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.weight, -1.0, 1.0)  # a slope of either sign
            nn.init.uniform_(module.bias, -0.5, 0.5)
            if module.num_features == 1:  # a factor of all else, which ReLU must not make zero
                nn.init.ones_(module.bias)
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.1, 1.0)
    return model.double().eval()


def settled_model(name: str) -> nn.Module:
    torch.manual_seed(1)
    return settled(build(name, CLASSES))


def pair(name: str) -> tuple[nn.Module, nn.Module]:
    """Our model and the published one, with equal weights: ours are those that the importer makes of theirs."""
    torch.manual_seed(1)
    theirs = settled(PUBLISHED[name].make(CLASSES, 0.0))
    ours = build(name, CLASSES, {"dropout": 0.0}).double()
    ours.load_state_dict(by_our_names(theirs.state_dict()))
    return ours.eval(), theirs


@published
def test_it_has_the_size_of_the_published_one(name: str) -> None:
    count = sum(weight.numel() for weight in build(name, 40).parameters())
    assert count == pytest.approx(PUBLISHED[name].parameters * 1e6, rel=0.01)


@in_both_modes(*(f"{name}-eval" for name in HEAVY))
def test_it_computes_what_the_published_one_does(name: str, training: bool) -> None:
    """Logits, the gradient of the clouds and of each weight, and the running statistics, in double precision."""
    ours, theirs = (model.train(training) for model in pair(name))
    x = clouds()
    mine, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    weighting = torch.randn(len(x), CLASSES, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    logits, expected = ours(mine).logits, theirs(other.mT)
    torch.testing.assert_close(logits, expected, rtol=1e-9, atol=1e-9)
    (logits * weighting).sum().backward()
    (expected * weighting).sum().backward()
    assert other.grad is not None
    assert other.grad.abs().sum() > 0
    torch.testing.assert_close(mine.grad, other.grad, rtol=1e-9, atol=1e-9)
    parameters = dict(theirs.named_parameters(remove_duplicate=False))
    gradients = {
        key: parameters[key].grad if key in parameters else value for key, value in theirs.state_dict().items()
    }
    wanted, after = (by_our_names(tensors) for tensors in (gradients, theirs.state_dict()))
    for key, weight in ours.named_parameters():
        torch.testing.assert_close(weight.grad, wanted[key], rtol=1e-9, atol=1e-9, msg=lambda text: f"{key}: {text}")  # noqa: B023
    for key, value in ours.named_buffers():
        if "running" in key:
            torch.testing.assert_close(value, after[key], rtol=1e-9, atol=1e-9, msg=lambda text: f"{key}: {text}")  # noqa: B023


@pytest.mark.long
@in_both_modes()
def test_in_single_precision_it_is_as_near_to_the_double_one_as_the_published_one(name: str, training: bool) -> None:
    ours, theirs = (model.train(training) for model in pair(name))
    own, others, size = [], [], []
    for seed in range(2 if training else 1):
        x = clouds(points=128 if training else N, seed=seed)  # in training, enough that no ball has but one
        exact = theirs(x.mT).detach()
        own.append((deepcopy(ours).float()(x.float()).logits.double() - exact).norm().item())
        others.append((deepcopy(theirs).float()(x.float().mT).double() - exact).norm().item())
        size.append(exact.norm().item())
    assert math.hypot(*own) <= 2 * math.hypot(*others) + 1e-6 * math.hypot(*size)


@architectures
def test_the_order_of_the_points_does_not_matter(name: str) -> None:
    """But for which point comes first, where the model chooses farthest points, the first of which it is.

    Balls of PointNet++ take the points that come first where they hold more than they take, and here none does.
    """
    model, x = settled_model(name), clouds()
    order = torch.cat([torch.tensor([0]), 1 + torch.randperm(N - 1, generator=torch.Generator().manual_seed(1))])
    if name not in FIRST_POINT_MATTERS:
        order = order.flip(0)
    for mine, other in zip(model(x), model(x[:, order]), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.long] * (name in ("pointmlp", "pointnet2-msg")))
        for name in sorted(FIRST_POINT_MATTERS)
    ],
)
def test_of_many_points_it_looks_at_those_that_the_published_one_looks_at(name: str) -> None:
    """There are more points than centres, and balls that hold more of them than they take."""
    ours, theirs = pair(name)
    x = 0.3 * clouds(1, 530)
    order = torch.cat([torch.tensor([0]), torch.arange(1, 530).flip(0)])
    with torch.no_grad():
        first, second = (ours(each).logits for each in (x, x[:, order]))
        torch.testing.assert_close(first, theirs(x.mT), rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(second, theirs(x[:, order].mT), rtol=1e-9, atol=1e-9)
    assert torch.allclose(first, second, rtol=1e-9) == (name not in FULL_BALLS)


@architectures
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    model, x = settled_model(name), clouds(2, 2 if name in STRAIGHT_THROUGH else N)
    direction = torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    points = x.clone().requires_grad_()
    slope = (torch.autograd.grad(model(points).logits[:, 2].sum(), points)[0] * direction).sum()
    with torch.no_grad():
        ahead, behind = (model(x + h * direction).logits[:, 2].sum() for h in (1e-7, -1e-7))
    torch.testing.assert_close(slope, (ahead - behind) / 2e-7, rtol=1e-4, atol=1e-7)


@architectures
def test_a_cloud_gives_the_same_alone_and_in_company(name: str) -> None:
    model, x = settled_model(name), clouds()
    for mine, other in zip(model(x[2:3]), model(x), strict=True):
        torch.testing.assert_close(mine, other[2:3], rtol=1e-12, atol=1e-12)


@architectures
def test_any_number_of_points_is_taken(name: str) -> None:
    model = settled_model(name)
    for points in (1, 2, 19, 129, 256):
        output = model(clouds(2, points))
        assert output.logits.isfinite().all()
        assert output.logits.shape == (2, CLASSES)


@light
def test_it_learns_under_autocast(name: str) -> None:
    model, x = build(name, CLASSES).train(), clouds().float()
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(x).logits
    logits.float().logsumexp(1).sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in model.parameters())


@light
def test_under_autocast_it_answers_alike(name: str) -> None:
    model, x = settled_model(name).float(), clouds().float().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(x).logits.float()
    assert torch.autograd.grad(logits.sum(), x)[0].isfinite().all()
    torch.testing.assert_close(logits, model(x).logits, rtol=0.05, atol=0.05)


@architectures
def test_the_view_for_questions_leaves_the_weights_without_a_gradient(name: str) -> None:
    model, x = settled_model(name), clouds(2).requires_grad_()
    with eval_view(model) as ask:
        output = ask(x)
    grad = torch.autograd.grad(output.logits.sum(), x)[0]
    assert grad.isfinite().all()
    assert grad.abs().sum() > 0
    assert all(weight.grad is None and weight.requires_grad for weight in model.parameters())
    for mine, other in zip(output, model(x), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-6, atol=1e-6)
