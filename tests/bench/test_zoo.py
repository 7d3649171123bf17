"""The zoo's architectures beside their public definitions, with the same weights."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from core.models import build
from tests.bench.conftest import Compare
from tests.bench.subjects import CLASSES, clouds
from tests.published import PUBLISHED, by_our_names

POINTS = 512
BATCH = {"pointnet2-msg": 8, "pointconv": 16, "curvenet": 16}
"""Clouds, where the public definition would take too much memory with 32 of them."""
BARS = {
    "dgcnn": (4.5, 5.5, 4.5),
    "gdanet": (2.5, 3, 2),
    "pct": (2.4, 3, 1.8),
    "pointmlp-elite": (1.9, 2.4, 1.9),
    "pointnet2-ssg": (2.2, 2.7, 1.7),
    "pointnet2-msg": (2.2, 2.7, 1.7),
    "pointconv": (1.5, 1.5, 1.5),
    "curvenet": (1.5, 1.5, 1.5),
}
"""What the ratios of forward pass, gradient of the clouds and training step should be at least."""


def forward(ask: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> None:
    with torch.no_grad():
        ask(x)


def gradient(ask: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> None:
    points = x.clone().requires_grad_()
    torch.autograd.grad(F.cross_entropy(ask(points), y), points)


def training_step(ask: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> None:
    F.cross_entropy(ask(x), y).backward()


KINDS: dict[str, tuple[Callable[..., None], bool]] = {
    "forward": (forward, False),
    "gradient of the clouds": (gradient, False),
    "training step": (training_step, True),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", BARS)
def test_beside_the_public_definition(compare: Compare, name: str, kind: str) -> None:
    torch.manual_seed(0)
    theirs = PUBLISHED[name].make(CLASSES, 0.0)
    ours = build(name, CLASSES, {"dropout": 0.0})
    ours.load_state_dict(by_our_names(theirs.state_dict()))
    work, training = KINDS[kind]
    for model in (ours, theirs):
        model.train(training).requires_grad_(training)
    x, y = clouds(BATCH.get(name, 32))
    x = x[:, :POINTS].contiguous()
    asked: dict[str, Callable[[Tensor], Any]] = {
        "ours": lambda points: ours(points).logits,
        "public": lambda points: theirs(points.mT),
    }
    bar = BARS[name][list(KINDS).index(kind)]
    compare(
        f"{name}, {kind}, {len(x)} clouds of {POINTS} points",
        {each: lambda ask=ask: work(ask, x, y) for each, ask in asked.items()},  # type: ignore[misc]
        rounds=3,
        bars={"public": f"≥ {bar}"},
    )
