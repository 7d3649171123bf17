"""The PCT of Strawberry-Eat-Mango/PCT_Pytorch, as ours: the same function, under other names."""

from core.models.importers.conversion import CLASSIFIER, CLASSIFIER_NORMS, classes_of, converted
from core.models.importers.weights import Built, State


def build(state: State) -> Built:
    """The PCT in a state dict; raises ``ValueError`` if it lacks weights."""
    linear, norms = list(CLASSIFIER), list(CLASSIFIER_NORMS)
    for place in (0, 1):
        for ours, theirs in ((f"points.{place}", ""), (f"layers.{place}", "pt_last.")):
            linear.append((f"{ours}.linear", f"{theirs}conv{place + 1}"))
            norms.append((f"{ours}.norm", f"{theirs}bn{place + 1}"))
        for ours, number in (("first", 1), ("second", 2)):
            linear.append((f"embeddings.{place}.{ours}", f"gather_local_{place}.conv{number}"))
            norms.append((f"embeddings.{place}.{ours}_norm", f"gather_local_{place}.bn{number}"))
    for place in range(4):
        ours, theirs = f"attentions.{place}", f"pt_last.sa{place + 1}"
        parts = (("key", "k_conv"), ("value", "v_conv"), ("linear", "trans_conv"))  # queries share the keys' weights
        linear += [(f"{ours}.{mine}", f"{theirs}.{other}") for mine, other in parts]
        norms.append((f"{ours}.norm", f"{theirs}.after_norm"))
    linear.append(("pool.linear", "conv_fuse.0"))
    norms.append(("pool.norm", "conv_fuse.1"))
    return Built(
        architecture="pct",
        classes=classes_of(state, "linear3"),
        options={},
        tensors=converted(state, linear, norms),
        project="Strawberry-Eat-Mango/PCT_Pytorch",
        points=(1024,),
    )
