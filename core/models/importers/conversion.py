"""Weights of a known project under the names that ours have."""

from collections.abc import Iterable

import torch
from torch import Tensor

from core.models.cards import MOST_CLASSES
from core.models.importers.weights import State

Layers = Iterable[tuple[str, str]]
"""Names of our layers, and theirs."""

CLASSIFIER = (("classifier.0", "linear1"), ("classifier.4", "linear2"), ("classifier.8", "linear3"))
"""Linear layers of our classifiers, and their names in projects that descend from DGCNN's."""
CLASSIFIER_NORMS = (("classifier.1", "bn6"), ("classifier.5", "bn7"))
"""The batch norms between them."""

_LINEAR, _NORM = ("weight", "bias"), ("weight", "bias", "running_mean", "running_var")


def converted(state: State, linear: Layers, norms: Layers) -> dict[str, Tensor]:
    """The tensors of linear layers and batch norms, by our names.

    A convolution of size one is a linear layer shared by all points. A linear layer has a bias if theirs has.

    Raises
    ------
    ValueError
        With the end of a sentence, if a tensor is absent.
    """
    found = {}
    for layers, parts in ((linear, _LINEAR), (norms, _NORM)):
        for ours, theirs in layers:
            for part in parts:
                tensor = state.tensors.get(f"{theirs}.{part}")
                if tensor is not None:
                    found[f"{ours}.{part}"] = tensor.flatten(1) if parts is _LINEAR and tensor.dim() > 2 else tensor
                elif part != "bias" or parts is _NORM:
                    raise ValueError(f"it lacks {theirs}.{part}")
            if parts is _NORM:
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
