"""One step of simple training on 32 clouds."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.bench.conftest import Compare
from tests.bench.record import GPU
from tests.bench.subjects import Twins, clouds, twins

BATCH, PENALTY = 32, 1e-3

Loss = Callable[[Tensor, Tensor], Tensor]


def losses(pair: Twins) -> tuple[Loss, Loss]:
    """Cross-entropy and weighted distance of the feature transform from orthogonality: ours, and the plain port's."""
    transform = torch.empty(0)

    def seen(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        nonlocal transform
        transform = output

    pair.plain.fstn.register_forward_hook(seen)

    def ours(x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(pair.ours(x).logits, y) + PENALTY * pair.ours.penalty

    def plain(x: Tensor, y: Tensor) -> Tensor:
        loss = F.cross_entropy(pair.plain(x)[0], y)
        identity = torch.eye(transform.shape[1], dtype=transform.dtype)
        difference = torch.bmm(transform, transform.transpose(2, 1)) - identity
        return loss + PENALTY * torch.mean(torch.norm(difference, dim=(1, 2)))

    return ours, plain


def step(model: nn.Module, loss: Loss, x: Tensor, y: Tensor) -> Callable[[], None]:
    optimiser = torch.optim.Adam(model.parameters())

    def run() -> None:
        optimiser.zero_grad()
        loss(x, y).backward()
        optimiser.step()

    return run


def on_gpu(x: Tensor, y: Tensor, gpu: torch.device | None) -> dict[str, Callable[[], None]]:
    """Our step on a GPU, waited for; nothing where there is none."""
    if gpu is None:
        return {}
    there, x, y = twins().ours.to(gpu), x.to(gpu), y.to(gpu)
    run = step(there, lambda x, y: F.cross_entropy(there(x).logits, y) + PENALTY * there.penalty, x, y)

    def waited() -> None:
        run()
        if gpu.type == "cuda":
            torch.cuda.synchronize()

    return {GPU: waited}


def test_step(compare: Compare, gpu: torch.device | None, allocator: str) -> None:
    pair = twins()
    x, y = clouds(8)
    for model in pair:  # in single precision near ties between points are broken differently
        model.double()
    found = [loss(x.double(), y) for loss in losses(pair)]
    torch.testing.assert_close(*found)
    for loss in found:
        loss.backward()
    first, twin = pair.ours.input_transform.points[0].linear.weight.grad, pair.plain.stn.convs[0].weight.grad
    torch.testing.assert_close(first, twin[..., 0])

    pair = twins()
    x, y = clouds(BATCH)
    ours, plain = losses(pair)
    torch.testing.assert_close(ours(x, y), plain(x, y), rtol=1e-4, atol=0)
    compare(
        f"training step, {BATCH} clouds",
        {
            "ours": step(pair.ours, ours, x, y),
            "plain port": step(pair.plain, plain, x, y),
            **on_gpu(x, y, gpu),
        },
        rounds=7,
        bars={"plain port": "≥ 3" if allocator == "kept" else "≥ 5"},
    )
