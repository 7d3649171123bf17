"""The state of a training as named tensors, as they are stored in a file: networks, and the moments of each Adam.

The names are ``NETWORK/PARAMETER`` and ``adam/OPTIMISER/PARAMETER/MOMENT``, the last with the numbers of the optimiser
and of the parameter.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


def state_tensors(networks: Mapping[str, nn.Module], optimisers: Sequence[Optimizer]) -> dict[str, Tensor]:
    """The tensors of ``networks`` and of ``optimisers``."""
    tensors: dict[str, Tensor] = {}
    for name, network in networks.items():
        tensors |= {f"{name}/{parameter}": value for parameter, value in network.state_dict().items()}
    for number, optimiser in enumerate(optimisers):
        for index, moments in optimiser.state_dict()["state"].items():
            tensors |= {f"adam/{number}/{index}/{moment}": value for moment, value in moments.items()}
    return tensors


def state_shapes(networks: Mapping[str, nn.Module], trained: Sequence[nn.Module]) -> dict[str, torch.Size]:
    """Name and shape of every tensor of ``state_tensors`` after a gradient step; ``trained`` have an Adam each."""
    shapes: dict[str, torch.Size] = {}
    for name, network in networks.items():
        shapes |= {f"{name}/{parameter}": value.shape for parameter, value in network.state_dict().items()}
    for number, network in enumerate(trained):
        for index, weight in enumerate(network.parameters()):
            moments = {"step": torch.Size(), "exp_avg": weight.shape, "exp_avg_sq": weight.shape}
            shapes |= {f"adam/{number}/{index}/{moment}": shape for moment, shape in moments.items()}
    return shapes


def check_tensors(tensors: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> None:
    """Compare tensors with the expected names and shapes.

    Raises
    ------
    ValueError
        If a tensor is missing, unknown, of another shape or not finite; says which.
    """
    for name in sorted(tensors.keys() | shapes):
        if name not in tensors:
            raise ValueError(f"it lacks {name}")
        if name not in shapes or tensors[name].shape != shapes[name]:
            raise ValueError(f"{name} is not a tensor that this run has")
        if not tensors[name].isfinite().all():
            raise ValueError(f"{name} holds numbers that are not finite")


def load_tensors(
    tensors: Mapping[str, Tensor], networks: Mapping[str, nn.Module], optimisers: Sequence[Optimizer]
) -> None:
    """Put the tensors of ``state_tensors`` into ``networks`` and ``optimisers``."""
    parts: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for name, value in tensors.items():
        part, _, rest = name.partition("/")
        parts[part][rest] = value
    for name, network in networks.items():
        network.load_state_dict(parts[name])
    moments: list[dict[int, dict[str, Tensor]]] = [defaultdict(dict) for _ in optimisers]
    for name, value in parts["adam"].items():
        number, index, moment = name.split("/")
        moments[int(number)][int(index)][moment] = value
    for optimiser, values in zip(optimisers, moments, strict=True):
        optimiser.load_state_dict({"state": values, "param_groups": optimiser.state_dict()["param_groups"]})
