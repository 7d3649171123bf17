"""The DGCNN of antao97/dgcnn.pytorch, as ours: the same function, under other names."""

from core.models.importers.conversion import DGCNN_CLASSIFIER, classes_of, converted
from core.models.importers.weights import Built, State

PROJECT = "antao97/dgcnn.pytorch"
NEIGHBOURS = {1024: 20, 2048: 40}
"""Of each point, in that project's two trainings, by their points per cloud; the file does not tell which it is."""


def build(state: State) -> Built:
    """The DGCNN in a state dict; raises ``ValueError`` if it lacks weights."""
    layers = [*DGCNN_CLASSIFIER, ("pool.linear", "conv5.0"), ("pool.norm", "conv5.1")]
    for place in range(4):
        layers += [
            (f"edges.{place}.linear", f"conv{place + 1}.0"),
            (f"edges.{place}.norm", f"conv{place + 1}.1"),
        ]
    return Built(
        architecture="dgcnn",
        classes=classes_of(state, "linear3"),
        options={},
        tensors=converted(state, layers, "dgcnn"),
        project=PROJECT,
        points=tuple(NEIGHBOURS),
        options_of_points={points: {"neighbours": neighbours} for points, neighbours in NEIGHBOURS.items()},
    )
