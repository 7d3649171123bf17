"""Every architecture on the device: in plain PyTorch there, and as the fast forms of the CPU compute it."""

from copy import deepcopy

import pytest
import torch

from core.models import ARCHITECTURES
from tests.core.test_zoo import clouds, settled_model


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_architecture_computes_what_it_computes_on_the_cpu(name: str, training: bool, device: torch.device) -> None:
    """In double precision where the device has it: logits, the gradient of the clouds and of each weight."""
    dtype = torch.float32 if device.type == "mps" else torch.float64
    tolerance = {"rtol": 1e-2, "atol": 1e-3} if dtype == torch.float32 else {"rtol": 1e-6, "atol": 1e-8}
    here = settled_model(name).to(dtype).train(training)
    for module in here.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    there = deepcopy(here).to(device)
    x = clouds().to(dtype)
    found = []
    for model, place in ((here, "cpu"), (there, device)):
        points = x.to(place).requires_grad_()
        logits = model(points).logits
        logits.square().sum().backward()
        assert points.grad is not None
        found.append([logits, points.grad, *(weight.grad for weight in model.parameters())])
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(theirs.detach().cpu(), mine.detach(), **tolerance)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_architecture_answers_in_half_precision(name: str, device: torch.device) -> None:
    model, x = settled_model(name).float().to(device), clouds().float().to(device)
    with torch.autocast(device.type, torch.bfloat16):
        logits = model(x).logits.float()
    torch.testing.assert_close(logits, model(x).logits, rtol=0.05, atol=0.05)
