"""The PointNets of yanx27/Pointnet_Pointnet2_pytorch and fxia22/pointnet.pytorch, as ours.

Both projects define one function (T-Nets of widths 64-128-1024-512-256, the global feature a maximum over points
without ReLU, batch norm between every linear layer and its ReLU) under the same names; what they add, a log-softmax,
changes logits by a constant. Their convolutions of size one are linear layers shared by all points.
"""

from collections.abc import Iterator

from core.models.importers.conversion import classes_of, converted, require_no_normals
from core.models.importers.weights import Built, State

WRAPPER = "model_state_dict"
"""The entry under which yanx27's training keeps the weights; fxia22's keeps them bare."""
YANX27, FXIA22 = "yanx27/Pointnet_Pointnet2_pytorch", "fxia22/pointnet.pytorch"
_POINTS = {YANX27: 1024, FXIA22: 2500}


def build(state: State) -> Built:
    """The PointNet in a state dict.

    Raises
    ------
    ValueError
        If it reads more than coordinates, or lacks weights.
    """
    require_no_normals(state, "feat.conv1.weight")
    aligned = any(name.startswith("feat.fstn.") for name in state.tensors)
    options = {"feature_transform": aligned}
    tensors = converted(state, _layers(aligned), "pointnet", options)
    classes = classes_of(state, "fc3")
    if state.wrapper == WRAPPER:
        projects: tuple[str, ...] = (YANX27,)
    else:
        projects = (YANX27, FXIA22) if aligned else (FXIA22,)
    return Built(
        architecture="pointnet",
        classes=classes,
        options=options,
        tensors=tensors,
        project=" or ".join(projects),
        points=tuple(_POINTS[project] for project in projects),
    )


def _layers(aligned: bool) -> Iterator[tuple[str, str]]:
    alignments = {"input_transform": "feat.stn", **({"feature_transform": "feat.fstn"} if aligned else {})}
    for ours, theirs in alignments.items():
        yield from _convolutions((f"{ours}.points.0", f"{ours}.points.1", f"{ours}.pool"), theirs)
        heads = {0: "fc1", 1: "bn4", 3: "fc2", 4: "bn5", 6: "fc3"}
        yield from ((f"{ours}.head.{place}", f"{theirs}.{name}") for place, name in heads.items())
    yield from _convolutions(("first", "second", "pool"), "feat")
    classifier = {0: "fc1", 1: "bn1", 3: "fc2", 5: "bn2", 7: "fc3"}
    yield from ((f"classifier.{place}", name) for place, name in classifier.items())


def _convolutions(ours: tuple[str, ...], theirs: str) -> Iterator[tuple[str, str]]:
    for place, name in enumerate(ours, 1):
        yield f"{name}.linear", f"{theirs}.conv{place}"
        yield f"{name}.norm", f"{theirs}.bn{place}"
