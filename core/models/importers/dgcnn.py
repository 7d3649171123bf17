"""The DGCNN of antao97/dgcnn.pytorch, as ours: the same function, under other names."""

from core.models.importers.conversion import classes_of, converted
from core.models.importers.weights import Built, State

PROJECT = "antao97/dgcnn.pytorch"
NEIGHBOURS = {1024: 20, 2048: 40}
"""Of each point, in that project's two trainings, by their points per cloud; the file does not tell which it is."""


def build(state: State) -> Built:
    """The DGCNN in a state dict; raises ``ValueError`` if it lacks weights."""
    edges = range(1, 5)
    without_bias = [(f"edges.{n - 1}.linear", f"conv{n}.0") for n in edges]
    without_bias += [("pool.linear", "conv5.0"), ("classifier.0", "linear1")]
    norms = [(f"edges.{n - 1}.norm", f"conv{n}.1") for n in edges]
    norms += [("pool.norm", "conv5.1"), ("classifier.1", "bn6"), ("classifier.5", "bn7")]
    linear = [("classifier.4", "linear2"), ("classifier.8", "linear3")]
    return Built(
        architecture="dgcnn",
        classes=classes_of(state, "linear3"),
        options={},
        tensors=converted(state, linear, norms, without_bias),
        project=PROJECT,
        points=tuple(NEIGHBOURS),
        options_of_points={points: {"neighbours": neighbours} for points, neighbours in NEIGHBOURS.items()},
    )
