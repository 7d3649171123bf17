"""Weights of a known project under the names that ours have."""

from collections.abc import Iterable

import torch
from torch import Tensor

from core.models.cards import MOST_CLASSES
from core.models.importers.weights import State

Layers = Iterable[tuple[str, str]]
"""Names of our layers, and theirs."""

Named = tuple[tuple[str, str], ...]
"""The same, to be added up."""

CLASSIFIER: tuple[Named, Named] = (
    (("classifier.0", "fc1"), ("classifier.4", "fc2"), ("classifier.8", "fc3")),
    (("classifier.1", "bn1"), ("classifier.5", "bn2")),
)
"""The linear layers and the batch norms of the classifier that PointNet++ and its successors share."""
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


def three_layers(ours: str, convolutions: str, norms: str) -> tuple[Named, Named]:
    """The linear layers and the batch norms of ``ThreeLayers``, which theirs has in a list of each."""
    places = ("first", "second", "third")
    return (
        tuple((f"{ours}.{name}.linear", f"{convolutions}.{place}") for place, name in enumerate(places)),
        tuple((f"{ours}.{name}.norm", f"{norms}.{place}") for place, name in enumerate(places)),
    )


def require_no_normals(state: State, first: str) -> None:
    """Raise ``ValueError``, with the end of a sentence, if the first layer, of this weight, reads normals too."""
    if state.shape(first)[1:2] == (6,):
        raise ValueError("it reads normals, and clouds here are coordinates alone: use one trained without normals")


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
