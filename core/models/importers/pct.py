"""The PCT of Strawberry-Eat-Mango/PCT_Pytorch, as ours: the same function, under other names."""

from core.models.importers.conversion import DGCNN_CLASSIFIER, classes_of, converted
from core.models.importers.weights import Built, State


def build(state: State) -> Built:
    """The PCT in a state dict; raises ``ValueError`` if it lacks weights."""
    layers = [*DGCNN_CLASSIFIER, ("pool.linear", "conv_fuse.0"), ("pool.norm", "conv_fuse.1")]
    for place in (0, 1):
        for ours, theirs in ((f"points.{place}", ""), (f"layers.{place}", "pt_last.")):
            layers += [
                (f"{ours}.linear", f"{theirs}conv{place + 1}"),
                (f"{ours}.norm", f"{theirs}bn{place + 1}"),
            ]
        for ours, number in (("first", 1), ("second", 2)):
            layers += [
                (f"embeddings.{place}.{ours}", f"gather_local_{place}.conv{number}"),
                (f"embeddings.{place}.{ours}_norm", f"gather_local_{place}.bn{number}"),
            ]
    for place in range(4):
        ours, theirs = f"attentions.{place}", f"pt_last.sa{place + 1}"
        parts = {"key": "k_conv", "value": "v_conv", "linear": "trans_conv", "norm": "after_norm"}
        layers += [(f"{ours}.{mine}", f"{theirs}.{other}") for mine, other in parts.items()]  # queries share the keys
    return Built(
        architecture="pct",
        classes=classes_of(state, "linear3"),
        options={},
        tensors=converted(state, layers, "pct"),
        project="Strawberry-Eat-Mango/PCT_Pytorch",
        points=(1024,),
    )
