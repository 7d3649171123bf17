"""The PointNet++ of yanx27/Pointnet_Pointnet2_pytorch, as ours: the same function, up to its log-softmax."""

import torch
from torch import Tensor

from core.models.importers.conversion import (
    POINTNET2_CLASSIFIER,
    classes_of,
    converted,
    require_no_normals,
    three_layers,
)
from core.models.importers.weights import Built, State

PROJECT = "yanx27/Pointnet_Pointnet2_pytorch"
POINTS = 1024


def build_single(state: State) -> Built:
    """The PointNet++ with balls of one size in a state dict.

    Raises
    ------
    ValueError
        If it reads more than coordinates, or lacks weights.
    """
    require_no_normals(state, "sa1.mlp_convs.0.weight")
    balls = {
        f"levels.{level}.balls.0.layers": (f"sa{level + 1}.mlp_convs", f"sa{level + 1}.mlp_bns") for level in range(2)
    }
    return _built("pointnet2-ssg", state, _tensors("pointnet2-ssg", state, balls))


def build_multiple(state: State) -> Built:
    """The PointNet++ with balls of three sizes in a state dict; raises as ``build_single``."""
    require_no_normals(state, "sa1.conv_blocks.0.0.weight")
    balls = {
        f"levels.{level}.balls.{place}.layers": (
            f"sa{level + 1}.conv_blocks.{place}",
            f"sa{level + 1}.bn_blocks.{place}",
        )
        for level in range(2)
        for place in range(3)
    }
    tensors = _tensors("pointnet2-msg", state, balls)
    for ours in balls:  # there coordinates follow the features, and here they come first
        name = f"{ours}.first.linear.weight"
        tensors[name] = torch.cat((tensors[name][:, -3:], tensors[name][:, :-3]), 1)
    return _built("pointnet2-msg", state, tensors)


def _tensors(architecture: str, state: State, balls: dict[str, tuple[str, str]]) -> dict[str, Tensor]:
    layers = POINTNET2_CLASSIFIER
    for ours, (convolutions, norms) in {**balls, "whole": ("sa3.mlp_convs", "sa3.mlp_bns")}.items():
        layers += three_layers(ours, convolutions, norms)
    return converted(state, layers, architecture)


def _built(architecture: str, state: State, tensors: dict[str, Tensor]) -> Built:
    return Built(
        architecture=architecture,
        classes=classes_of(state, "fc3"),
        options={},
        tensors=tensors,
        project=PROJECT,
        points=(POINTS,),
    )
