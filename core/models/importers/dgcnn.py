"""The DGCNN of antao97/dgcnn.pytorch, as ours: the same function, under other names."""

from core.models.importers.conversion import CLASSIFIER, CLASSIFIER_NORMS, classes_of, converted
from core.models.importers.weights import Built, State

PROJECT = "antao97/dgcnn.pytorch"
NEIGHBOURS = {1024: 20, 2048: 40}
"""Of each point, in that project's two trainings, by their points per cloud; the file does not tell which it is."""


def build(state: State) -> Built:
    """The DGCNN in a state dict; raises ``ValueError`` if it lacks weights."""
    linear = [*CLASSIFIER, ("pool.linear", "conv5.0")]
    norms = [*CLASSIFIER_NORMS, ("pool.norm", "conv5.1")]
    linear += [(f"edges.{place}.linear", f"conv{place + 1}.0") for place in range(4)]
    norms += [(f"edges.{place}.norm", f"conv{place + 1}.1") for place in range(4)]
    return Built(
        architecture="dgcnn",
        classes=classes_of(state, "linear3"),
        options={},
        tensors=converted(state, linear, norms),
        project=PROJECT,
        points=tuple(NEIGHBOURS),
        options_of_points={points: {"neighbours": neighbours} for points, neighbours in NEIGHBOURS.items()},
    )
