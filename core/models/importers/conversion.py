"""Weights of a known project under the names that ours have."""

from collections.abc import Iterable

import torch
from torch import Tensor

from core.models.cards import MOST_CLASSES
from core.models.importers.weights import State

Layers = Iterable[tuple[str, str]]
"""Names of our layers, and theirs."""


def converted(state: State, linear: Layers, norms: Layers, without_bias: Layers = ()) -> dict[str, Tensor]:
    """The tensors of linear layers, batch norms and linear layers without bias, by our names.

    A convolution of size one is a linear layer shared by all points.

    Raises
    ------
    ValueError
        With the end of a sentence, if a tensor is absent.
    """
    found = {}
    for layers, parts in (
        (linear, ("weight", "bias")),
        (without_bias, ("weight",)),
        (norms, ("weight", "bias", "running_mean", "running_var")),
    ):
        for ours, theirs in layers:
            for part in parts:
                if (tensor := state.tensors.get(f"{theirs}.{part}")) is None:
                    raise ValueError(f"it lacks {theirs}.{part}")
                found[f"{ours}.{part}"] = tensor.flatten(1) if tensor.dim() > 2 else tensor
            if layers is norms:
                found[f"{ours}.num_batches_tracked"] = torch.tensor(0)
    return found


def classes_of(state: State, last: str) -> int:
    """The number of outputs of the last layer.

    Raises
    ------
    ValueError
        With the end of a sentence, if there are none or too many.
    """
    classes = state.shape(f"{last}.weight")[:1]
    if classes < (2,) or classes > (MOST_CLASSES,):
        raise ValueError(f"{last} gives it no 2 to {MOST_CLASSES:,} classes")
    return classes[0]
