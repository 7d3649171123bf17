"""The CurveNet of tiangexiang/CurveNet, as ours: the same function, under other names."""

from core.models.importers.conversion import Named, classes_of, converted
from core.models.importers.weights import Built, State
from core.models.zoo.curvenet import LEVELS


def normalised(ours: str, theirs: str) -> Named:
    """The layers of ``LinearBN``, which theirs has one after the other."""
    return (f"{ours}.linear", f"{theirs}.0"), (f"{ours}.norm", f"{theirs}.1")


_CURVES: Named = (
    ("attraction", "curvegrouping.att"),
    ("weight", "curveaggregation.line_conv_att"),
    ("curves", "curveaggregation.conva"),
    ("steps", "curveaggregation.convb"),
    ("query", "curveaggregation.convc"),
    ("curve_value", "curveaggregation.convn"),
    ("step_value", "curveaggregation.convl"),
    *normalised("walk.score", "curvegrouping.walk.agent_mlp"),
    *normalised("walk.momentum", "curvegrouping.walk.momentum_mlp"),
    *normalised("join", "curveaggregation.convd"),
)
"""Of a block's curves."""


def build(state: State) -> Built:
    """The CurveNet in a state dict; raises ``ValueError`` if it lacks weights."""
    layers = [("classifier.0", "conv1"), ("classifier.1", "bn1"), ("classifier.4", "conv2")]
    layers += [*normalised("first", "lpfa.mlp.0"), *normalised("last", "conv0")]
    blocks = [(level, place) for level, each in enumerate(LEVELS) for place in range(len(each.blocks))]
    for number, (level, place) in enumerate(blocks):
        inputs, _, outputs = LEVELS[level].blocks[place]
        ours, theirs = f"levels.{level}.blocks.{place}", f"cic{number // 2 + 1}{number % 2 + 1}"
        layers += [
            *normalised(f"{ours}.first", f"{theirs}.conv1"),
            *normalised(f"{ours}.last", f"{theirs}.conv2"),
            *normalised(f"{ours}.aggregation.place", f"{theirs}.lpfa.xyz2feature"),
            *normalised(f"{ours}.aggregation.layer", f"{theirs}.lpfa.mlp.0"),
        ]
        if inputs != outputs:
            layers += normalised(f"{ours}.shortcut", f"{theirs}.shortcut")
        if LEVELS[level].walks:
            layers += [(f"{ours}.curves.{mine}", f"{theirs}.{other}") for mine, other in _CURVES]
    return Built(
        architecture="curvenet",
        classes=classes_of(state, "conv2"),
        options={},
        tensors=converted(state, layers, "curvenet"),
        project="tiangexiang/CurveNet",
        points=(1024,),
    )
