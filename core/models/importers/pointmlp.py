"""The PointMLP and the PointMLP-Elite of ma-xu/pointMLP-pytorch, as ours: the same functions, under other names."""

from core.models.importers.conversion import classes_of, converted
from core.models.importers.weights import Built, State
from core.models.zoo.pointmlp import PointMLP, PointMLPElite

_ARCHITECTURES = {"pointmlp": PointMLP, "pointmlp-elite": PointMLPElite}


def build(state: State) -> Built:
    """The PointMLP in a state dict; raises ``ValueError`` if it has other sizes than either, or lacks weights."""
    first = state.shape("embedding.net.0.weight")[:1]
    architecture = next((name for name, model in _ARCHITECTURES.items() if (model.sizes.first,) == first), None)
    if architecture is None:
        raise ValueError("its first layer has neither the 64 channels of PointMLP nor the 32 of PointMLP-Elite")
    pairs, scales = [("embedding", "embedding.net")], {}
    for stage, blocks in enumerate(_ARCHITECTURES[architecture].sizes.blocks):
        pairs.append((f"stages.{stage}", f"pre_blocks_list.{stage}.transfer.net"))
        for side, theirs in (("before", "pre_blocks_list"), ("after", "pos_blocks_list")):
            for block in range(blocks):
                place = f"{theirs}.{stage}.operation.{block}"
                pairs.append((f"stages.{stage}.{side}.{block}.first", f"{place}.net1"))
                pairs.append((f"stages.{stage}.{side}.{block}", f"{place}.net2"))
        for ours, theirs in (("slope", "affine_alpha"), ("offset", "affine_beta")):
            scales[f"stages.{stage}.{ours}"] = f"local_grouper_list.{stage}.{theirs}"
    layers = [(f"classifier.{place}", f"classifier.{place}") for place in (0, 1, 4, 5, 8)]
    for ours, theirs in pairs:
        layers += [(f"{ours}.linear", f"{theirs}.0"), (f"{ours}.norm", f"{theirs}.1")]
    if absent := [theirs for theirs in scales.values() if theirs not in state.tensors]:
        raise ValueError(f"it lacks {absent[0]}")
    tensors = converted(state, layers, architecture)
    tensors |= {ours: state.tensors[theirs].flatten() for ours, theirs in scales.items()}
    return Built(
        architecture=architecture,
        classes=classes_of(state, "classifier.8"),
        options={},
        tensors=tensors,
        project="ma-xu/pointMLP-pytorch",
        points=(1024,),
    )
