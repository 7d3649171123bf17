"""The layer from which on the activations for an adversarial cloud part from those for the clean one.

At each layer the adversarial cloud's relative difference is compared with those of random displacements of the same
lengths, point by point. The comparison is with noise because activations always differ somewhat, and because in layers
of neighbours and chosen centres even a small displacement changes their order.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.defenses.defended import Defended
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


def layer_differences(model: Classifier, clean: Tensor, adversarial: Tensor, seed: int = 0) -> LayerDifferences | None:
    """Compare the activations of every layer for two clouds of the same points.

    Layers whose activations have other shapes for the two clouds are left out; a layer that is called several times
    counts each time. Behind a defence the layers are those of the model, for the clouds that the defence gives it; a
    random one has one draw for all clouds.

    Parameters
    ----------
    clean, adversarial : Tensor (1, N, 3) and (1, M, 3). Where M is not N, points were added or dropped: the noise then
        has the root mean square of the displacements of the first min(M, N) points.

    Returns
    -------
    None for a model without layers that can be watched, such as a graph, or that is no ``torch.nn.Module``.
    """
    model, generator = drawn(model, seed), torch.Generator().manual_seed(seed)
    clouds = [clean, adversarial, *(_displaced(clean, adversarial, generator) for _ in range(DRAWS))]
    if isinstance(model, Defended):
        clouds, model = [model.purified(each) for each in clouds], model.model
    if not isinstance(model, nn.Module):
        return None
    at_clean, at_adversarial, *at_noise = (_activations(model, each) for each in clouds)
    names = [
        name
        for name, values in at_clean.items()
        if all(name in other and other[name].shape == values.shape for other in (at_adversarial, *at_noise))
        and values.norm() > 0
    ]
    if not names:
        return None
    of_adversarial = np.array([_difference(at_clean[name], at_adversarial[name]) for name in names])
    of_noise = np.array([[_difference(at_clean[name], other[name]) for name in names] for other in at_noise])
    return LayerDifferences(_without_common_start(names), of_adversarial, of_noise)


def _displaced(clean: Tensor, adversarial: Tensor, generator: torch.Generator) -> Tensor:
    """The clean cloud with each point displaced as far as its adversarial one, in a random direction."""
    shared = min(clean.shape[1], adversarial.shape[1])
    lengths = (adversarial[:, :shared] - clean[:, :shared]).norm(dim=2, keepdim=True)
    if shared < clean.shape[1] or shared < adversarial.shape[1]:
        lengths = lengths.square().mean().sqrt().expand(1, clean.shape[1], 1)
    directions = torch.randn(clean.shape, generator=generator).to(clean)
    return clean + lengths * directions / directions.norm(dim=2, keepdim=True).clamp_min(1e-12)


def _difference(clean: Tensor, other: Tensor) -> float:
    return float((other - clean).norm() / clean.norm())


def _activations(model: nn.Module, cloud: Tensor) -> dict[str, Tensor]:
    """The output of each layer for a cloud (1, N, 3), in float64, by name, in the order of computing."""
    found: dict[str, Tensor] = {}
    with evaluating(model), torch.no_grad(), _watched(model, found):
        model(cloud)
    blocks = {f"{name}." for name, module in model.named_modules() if name in found and _is_block(module)}
    return {name: values for name, values in found.items() if not any(name.startswith(block) for block in blocks)}


@contextmanager
def _watched(model: nn.Module, found: dict[str, Tensor]) -> Iterator[None]:
    """Inside the block the outputs of the model's layers in this thread are added to ``found``."""
    thread, latest = threading.get_ident(), {"output": torch.empty(0)}

    def note(name: str, output: Any) -> None:
        if threading.get_ident() != thread or not isinstance(output, Tensor) or not output.is_floating_point():
            return
        if output is latest["output"]:  # a container gives what its last layer gave
            return
        latest["output"] = output
        calls = sum(known == name or known.startswith(f"{name} (") for known in found)
        found[name if not calls else f"{name} ({calls + 1})"] = output.detach().double().flatten()

    handles = [
        layer.register_forward_hook(lambda _module, _input, output, name=name: note(name, output))
        for name, layer in model.named_modules()
        if name and not isinstance(layer, nn.Dropout | nn.Identity | torch.jit.ScriptModule)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _is_block(module: nn.Module) -> bool:
    """Whether a module is one layer with its parts, such as linear with batch norm, and no list of layers."""
    parts = list(module.children())
    return bool(parts) and not isinstance(module, nn.Sequential) and not any(list(part.children()) for part in parts)


def _without_common_start(names: list[str]) -> tuple[str, ...]:
    """The names without the first parts that all share, such as those of a wrapper."""
    parts = [name.split(".") for name in names]
    shared = 0
    while all(len(each) > shared + 1 for each in parts) and len({each[shared] for each in parts}) == 1:
        shared += 1
    return tuple(".".join(each[shared:]) for each in parts)
