"""The PointConv of DylanWusee/pointconv_pytorch without normals, as ours: the same function, up to its log-softmax."""

from core.models.importers.conversion import (
    POINTNET2_CLASSIFIER,
    classes_of,
    converted,
    require_no_normals,
    three_layers,
)
from core.models.importers.weights import Built, State
from core.models.zoo.pointconv import CHANNELS

PROJECT = "DylanWusee/pointconv_pytorch"
POINTS = 1024


def build(state: State) -> Built:
    """The PointConv in a state dict.

    Raises
    ------
    ValueError
        If it reads more than coordinates, lacks weights, or is of the project's first version.
    """
    require_no_normals(state, "sa1.mlp_convs.0.weight")
    if state.shape("sa1.densitynet.mlp_convs.0.weight")[:1] == (8,):
        raise ValueError("it multiplies by the density of points, as the first version and IF-Defense do, not divides")
    layers = POINTNET2_CLASSIFIER
    levels = {"first": "sa1", "second": "sa2", "whole": "sa3"}
    for ours, theirs in levels.items():
        for part, inner in {"layers": "", "weights": ".weightnet", "density": ".densitynet"}.items():
            layers += three_layers(f"{ours}.{part}", f"{theirs}{inner}.mlp_convs", f"{theirs}{inner}.mlp_bns")
        layers += ((f"{ours}.last.linear", f"{theirs}.linear"), (f"{ours}.last.norm", f"{theirs}.bn_linear"))
    tensors = converted(state, layers, "pointconv")
    for ours in levels:  # there the weights' channels vary fastest, and here the features do
        name = f"{ours}.last.linear.weight"
        tensors[name] = tensors[name].unflatten(1, (-1, CHANNELS)).transpose(1, 2).flatten(1)
    return Built(
        architecture="pointconv",
        classes=classes_of(state, "fc3"),
        options={},
        tensors=tensors,
        project=PROJECT,
        points=(POINTS,),
    )
