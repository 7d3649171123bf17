"""The layer from which on the activations for an adversarial cloud part from those for the clean one.

At each layer the adversarial cloud's relative difference is compared with those of random displacements of the same
lengths, point by point. The comparison is with noise because activations always differ somewhat, and because in layers
of neighbours and chosen centres even a small displacement changes their order.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from core.defenses.defended import Defended
from core.events import Cancel
from core.models import Classifier
from core.models.port import drawn, evaluating

DRAWS = 8
"""Random displacements that the adversarial one is compared with."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LayerDifferences:
    """Relative differences of L layers' activations from those for the clean cloud, ‖A(x') - A(x)‖ / ‖A(x)‖."""

    names: tuple[str, ...]
    """Names of the layers in the model, in the order in which they are computed."""
    adversarial: Floats
    """(L,), of the adversarial cloud."""
    noise: Floats
    """(D, L), of D = ``DRAWS`` clouds whose points were displaced as far as the adversarial ones, in random
    directions."""

    @property
    def ratio(self) -> Floats:
        """(L,), how many times as much the adversarial cloud differs as noise on average; NaN where noise does not."""
        mean = self.noise.mean(0)
        return np.divide(self.adversarial, mean, out=np.full(len(mean), np.nan), where=mean > 0)

    @property
    def parting(self) -> int | None:
        """Index of the first layer from which on the adversarial cloud differs more than each of the noisy ones.

        None if it does not at the last layer.
        """
        within = np.flatnonzero(self.adversarial <= self.noise.max(0))
        first = int(within[-1]) + 1 if len(within) else 0
        return first if first < len(self.names) else None


def layer_differences(
    model: Classifier, clean: Tensor, adversarial: Tensor, seed: int = 0, cancel: Cancel | None = None
) -> LayerDifferences | None:
    """Compare the activations of every layer for two clouds of the same points.

    A layer that is called several times counts each time; a linear layer with its batch norm is one. Behind a defence
    the layers are those of the model, for the clouds that the defence gives it; a random one has one draw for all.

    Parameters
    ----------
    clean, adversarial : Tensor (1, N, 3).

    Returns
    -------
    None for a model without layers that can be watched, such as a graph, or that is no ``torch.nn.Module``; and after
    ``cancel``.
    """
    model, generator = drawn(model, seed), torch.Generator().manual_seed(seed)
    clouds = [clean, adversarial, *(_displaced(clean, adversarial, generator) for _ in range(DRAWS))]
    if isinstance(model, Defended):
        clouds, model = [model.purified(each) for each in clouds], model.model
    if not isinstance(model, nn.Module):
        return None
    at_clean: dict[str, Tensor] = {}
    _watch(model, clouds[0], lambda name, output: at_clean.update({name: output.clone()}))  # later ones may be in place
    names = [name for name in _without_parts(model, at_clean) if at_clean[name].norm() > 0]
    rows = []
    for cloud in clouds[1:]:
        differences: dict[str, float] = {}

        def compare(name: str, output: Tensor, differences: dict[str, float] = differences) -> None:
            if name in at_clean:
                before = at_clean[name]
                differences[name] = float((output - before).norm() / before.norm().clamp_min(1e-30))

        _watch(model, cloud, compare)
        if cancel is not None and cancel.requested:
            return None
        rows.append([differences[name] for name in names])
    if not names:
        return None
    table = np.array(rows, np.float64)
    return LayerDifferences(_without_common_start(names), table[0], table[1:])


def _displaced(clean: Tensor, adversarial: Tensor, generator: torch.Generator) -> Tensor:
    """The clean cloud with each point displaced as far as its adversarial one, in a random direction."""
    lengths = (adversarial - clean).norm(dim=2, keepdim=True)
    directions = torch.randn(clean.shape, generator=generator).to(clean)
    return clean + lengths * directions / directions.norm(dim=2, keepdim=True).clamp_min(1e-12)


def _watch(model: nn.Module, cloud: Tensor, note: Callable[[str, Tensor], object]) -> None:
    """Run the model on a cloud (1, N, 3), and give ``note`` the name and the output of each layer, in their order."""
    with evaluating(model), torch.no_grad(), _hooks(model, note):
        model(cloud)


@contextmanager
def _hooks(model: nn.Module, note: Callable[[str, Tensor], object]) -> Iterator[None]:
    """Inside the block the outputs of the model's layers in this thread are noted."""
    thread, calls, latest = threading.get_ident(), dict[str, int](), [torch.empty(0)]

    def on_output(name: str, module: nn.Module, _: Any, output: Any) -> None:
        if threading.get_ident() != thread or not isinstance(output, Tensor) or not output.is_floating_point():
            return
        if (
            output is latest[0] and next(module.children(), None) is not None
        ):  # a container gives what its last layer gave
            return
        latest[0] = output
        calls[name] = calls.get(name, 0) + 1
        note(name if calls[name] == 1 else f"{name} ({calls[name]})", output)

    handles = [
        layer.register_forward_hook(partial(on_output, name))
        for name, layer in model.named_modules()
        if name and not isinstance(layer, _DropoutNd | nn.Identity | torch.jit.ScriptModule)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _without_parts(model: nn.Module, names: dict[str, Tensor]) -> list[str]:
    """The names but for those inside a block: a module that was noted too, with one layer of weights and its norm."""
    blocks = tuple(f"{name}." for name, module in model.named_modules() if name in names and _is_block(module))
    return [name for name in names if not name.startswith(blocks)]


def _is_block(module: nn.Module) -> bool:
    parts = list(module.children())
    weights = [any(weight.dim() > 1 for weight in part.parameters()) for part in parts]
    return bool(parts) and not isinstance(module, nn.Sequential) and sum(weights) <= 1


def _without_common_start(names: list[str]) -> tuple[str, ...]:
    """The names without the first parts that all share, such as those of a wrapper."""
    parts = [name.split(".") for name in names]
    shared = 0
    while all(len(each) > shared + 1 for each in parts) and len({each[shared] for each in parts}) == 1:
        shared += 1
    return tuple(".".join(each[shared:]) for each in parts)
