"""Known classifiers of point clouds, recognised by the names of their weights.

Read off the public definitions of each project. A family that is built here has a function that maps its weights to
those of one of our architectures; the others are named, so that a person knows what to do with such a file.
"""

from collections.abc import Callable
from dataclasses import dataclass

from core.models.importers import curvenet, dgcnn, gdanet, pct, pointconv, pointmlp, pointnet2, pointnets
from core.models.importers.weights import Built, State


@dataclass(frozen=True)
class Family:
    """Classifiers with one definition, or with several that name their weights alike."""

    name: str
    keys: tuple[str, ...]
    """Beginnings of names, each of which some tensor has."""
    build: Callable[[State], Built] | None = None
    """Raises ``ValueError`` with the end of a sentence that begins with what the file is, if it can't be."""
    lacks: str = ""
    """Why it can't be used as a classifier; empty if it could be."""

    def fits(self, names: tuple[str, ...]) -> bool:
        return all(any(name.startswith(key) for name in names) for key in self.keys)


_ENCODER = "an encoder without a classifier of its own"

FAMILIES: tuple[Family, ...] = (
    Family("PointNet", ("feat.stn.", "feat.conv3.", "fc3."), pointnets.build),
    Family("PointNet for segmentation", ("feat.stn.", "feat.conv3.", "conv4."), lacks="it labels points, not clouds"),
    Family("PointConv", ("sa1.weightnet.", "sa1.densitynet.", "fc3."), pointconv.build),
    Family("PointNet++ (single-scale, yanx27)", ("sa1.mlp_convs.", "fc3."), pointnet2.build_single),
    Family("PointNet++ (multi-scale, yanx27)", ("sa1.conv_blocks.", "fc3."), pointnet2.build_multiple),
    Family("Point-MAE before its fine-tuning", ("MAE_encoder.",), lacks=_ENCODER),
    Family("Point-MAE", ("blocks.blocks.0.attn.qkv", "cls_pos", "cls_head_finetune.")),
    Family("GDANet", ("SGCAM_1s.", "conv12."), gdanet.build),
    Family("PCT", ("gather_local_0.", "pt_last.sa1.q_conv", "conv_fuse"), pct.build),
    Family("CurveNet", ("lpfa.", "cic11.", "cic42."), curvenet.build),
    Family("PointMLP", ("embedding.net.0", "local_grouper_list.0.affine_alpha"), pointmlp.build),
    Family("PointNeXt", ("encoder.encoder.0.0.convs.", "prediction.head.")),
    Family("Uni3D", ("point_encoder.encoder2trans", "point_encoder.trans2embed"), lacks=_ENCODER),
    Family("ULIP", ("point_encoder.", "pc_projection", "logit_scale"), lacks=_ENCODER),
    Family("OpenShape", ("ppat.sa.", "ppat.lift.", "proj."), lacks=_ENCODER),
    Family("DGCNN", ("conv1.0.weight", "conv5.0.weight", "linear1.weight", "linear3.weight"), dgcnn.build),
)


def family_of(state: State) -> Family | None:
    """The first family that fits."""
    names = tuple(state.tensors)
    return next((family for family in FAMILIES if family.fits(names)), None)
