"""The GDANet of mutianxu/GDANet, as ours: the same function, under other names."""

from core.models.importers.conversion import DGCNN_CLASSIFIER, classes_of, converted
from core.models.importers.weights import Built, State


def build(state: State) -> Built:
    """The GDANet in a state dict; raises ``ValueError`` if it lacks weights."""
    # a convolution and its batch norm, which theirs has in one sequence
    pairs = [("pool.linear", "pool.norm", "conv4"), ("after.2.linear", "after.2.norm", "conv32")]
    layers = [*DGCNN_CLASSIFIER]
    for place in (0, 1, 2):
        for part, number in (("first", ""), ("second", "1")):
            ours = f"locals.{place}.{part}"
            pairs.append((ours, f"{ours}_norm", f"conv{place + 1}{number}"))
    for place in (0, 1):
        pairs.append((f"after.{place}.join.linear", f"after.{place}.join.norm", f"conv{place + 1}2"))
        for kind in ("sharp", "gentle"):
            ours, theirs = f"after.{place}.{kind}", f"SGCAM_{place + 1}{kind[0]}"
            pairs.append((f"{ours}.linear", f"{ours}.norm", f"{theirs}.W"))
            layers += [(f"{ours}.{part}", f"{theirs}.{part}") for part in ("theta", "phi", "g")]
    for linear, norm, theirs in pairs:
        layers += [(linear, f"{theirs}.0"), (norm, f"{theirs}.1")]
    return Built(
        architecture="gdanet",
        classes=classes_of(state, "linear3"),
        options={},
        tensors=converted(state, layers, "gdanet"),
        project="mutianxu/GDANet",
        points=(1024,),
    )
