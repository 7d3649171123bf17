"""Weights of a known project under the names that ours have."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from core.models import build
from core.models.cards import MOST_CLASSES
from core.models.importers.weights import State

Named = tuple[tuple[str, str], ...]
"""Names of our layers, and theirs."""

DGCNN_CLASSIFIER: Named = (
    ("classifier.0", "linear1"),
    ("classifier.1", "bn6"),
    ("classifier.4", "linear2"),
    ("classifier.5", "bn7"),
    ("classifier.8", "linear3"),
)
"""Of our classifier, in projects that descend from DGCNN's."""
POINTNET2_CLASSIFIER: Named = (
    ("classifier.0", "fc1"),
    ("classifier.1", "bn1"),
    ("classifier.4", "fc2"),
    ("classifier.5", "bn2"),
    ("classifier.8", "fc3"),
)
"""Of our classifier, in projects that descend from PointNet++'s."""


def converted(
    state: State, layers: Iterable[tuple[str, str]], architecture: str, options: Mapping[str, Any] | None = None
) -> dict[str, Tensor]:
    """The tensors of layers by our names; a convolution of size one is a linear layer shared by all points.

    Parameters
    ----------
    layers : names of our linear layers and batch norms, and of theirs.
    architecture, options : of our model, which tells whether a layer has a bias.

    Raises
    ------
    ValueError
        With the end of a sentence, if a tensor is absent.
    """
    with torch.device("meta"):
        names = list(build(architecture, 2, options).state_dict())
    parts: dict[str, list[str]] = {}
    for name in names:
        layer, _, part = name.rpartition(".")
        parts.setdefault(layer, []).append(part)
    found = {}
    for ours, theirs in layers:
        for part in parts[ours]:
            if part == "num_batches_tracked":
                found[f"{ours}.{part}"] = torch.tensor(0)
            elif (tensor := state.tensors.get(f"{theirs}.{part}")) is not None:
                found[f"{ours}.{part}"] = tensor.flatten(1) if tensor.dim() > 2 else tensor
            else:
                raise ValueError(f"it lacks {theirs}.{part}")
    return found


def three_layers(ours: str, convolutions: str, norms: str) -> Named:
    """The layers of ``ThreeLayers``, which theirs has in a list of convolutions and one of batch norms."""
    places = list(enumerate(("first", "second", "third")))
    return (
        *((f"{ours}.{name}.linear", f"{convolutions}.{place}") for place, name in places),
        *((f"{ours}.{name}.norm", f"{norms}.{place}") for place, name in places),
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
