"""The GDANet of mutianxu/GDANet, as ours: the same function, under other names."""

from core.models.importers.conversion import CLASSIFIER, CLASSIFIER_NORMS, classes_of, converted
from core.models.importers.weights import Built, State


def build(state: State) -> Built:
    """The GDANet in a state dict; raises ``ValueError`` if it lacks weights."""
    layers = [("pool", "conv4", ".linear", ".norm"), ("after.2", "conv32", ".linear", ".norm")]
    for place in (1, 2, 3):
        layers += [
            (f"locals.{place - 1}.first", f"conv{place}", "", "_norm"),
            (f"locals.{place - 1}.second", f"conv{place}1", "", "_norm"),
        ]
    linear, norms = list(CLASSIFIER), list(CLASSIFIER_NORMS)
    for place in (1, 2):
        layers.append((f"after.{place - 1}.join", f"conv{place}2", ".linear", ".norm"))
        for kind in ("sharp", "gentle"):
            ours, theirs = f"after.{place - 1}.{kind}", f"SGCAM_{place}{kind[0]}"
            layers.append((ours, f"{theirs}.W", ".linear", ".norm"))
            linear += [(f"{ours}.{part}", f"{theirs}.{part}") for part in ("theta", "phi", "g")]
    linear += [(ours + layer, f"{theirs}.0") for ours, theirs, layer, _ in layers]
    norms += [(ours + norm, f"{theirs}.1") for ours, theirs, _, norm in layers]
    return Built(
        architecture="gdanet",
        classes=classes_of(state, "linear3"),
        options={},
        tensors=converted(state, linear, norms),
        project="mutianxu/GDANet",
        points=(1024,),
    )
