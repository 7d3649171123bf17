"""The models by name. Every one is a ``Classifier``: clouds (B, N, 3) -> logits (B, K) and latent (B, D).

Those of ``IMAGE_ARCHITECTURES`` take images (B, C, H, W) in the place of clouds.
"""

from collections import ChainMap
from collections.abc import Mapping
from typing import Any

from torch import nn

from core.models.fast.folded import eval_view
from core.models.images.base import ImageOptions
from core.models.images.cells import NASNet
from core.models.images.densenet import DenseNetDeep, DenseNetSmall
from core.models.images.inception import InceptionResNet, InceptionSmall
from core.models.images.resnet import ResNetDeep, ResNetSmall, ResNeXtSmall
from core.models.images.separable import Xception
from core.models.images.vgg import VGGDeep, VGGSmall
from core.models.port import Classifier, NonFiniteError, Output, evaluating, give_name, require_finite
from core.models.zoo.curvenet import CurveNet, CurveNetOptions
from core.models.zoo.dgcnn import DGCNN, DGCNNOptions
from core.models.zoo.gdanet import GDANet, GDANetOptions
from core.models.zoo.pct import PCT, PCTOptions
from core.models.zoo.pointconv import PointConv, PointConvOptions
from core.models.zoo.pointmlp import PointMLP, PointMLPElite, PointMLPOptions
from core.models.zoo.pointnet import PointNet, PointNetOptions
from core.models.zoo.pointnet2 import PointNet2MSG, PointNet2Options, PointNet2SSG
from core.options import Options

ARCHITECTURES: dict[str, tuple[type[nn.Module], type[Options]]] = {
    "pointnet": (PointNet, PointNetOptions),
    "dgcnn": (DGCNN, DGCNNOptions),
    "gdanet": (GDANet, GDANetOptions),
    "pct": (PCT, PCTOptions),
    "pointmlp": (PointMLP, PointMLPOptions),
    "pointmlp-elite": (PointMLPElite, PointMLPOptions),
    "pointnet2-ssg": (PointNet2SSG, PointNet2Options),
    "pointnet2-msg": (PointNet2MSG, PointNet2Options),
    "pointconv": (PointConv, PointConvOptions),
    "curvenet": (CurveNet, CurveNetOptions),
}
"""Of clouds."""
IMAGE_ARCHITECTURES: dict[str, tuple[type[nn.Module], type[Options]]] = {
    "vgg-small": (VGGSmall, ImageOptions),
    "vgg-deep": (VGGDeep, ImageOptions),
    "resnet-small": (ResNetSmall, ImageOptions),
    "resnet-deep": (ResNetDeep, ImageOptions),
    "resnext-small": (ResNeXtSmall, ImageOptions),
    "inception-small": (InceptionSmall, ImageOptions),
    "inception-resnet": (InceptionResNet, ImageOptions),
    "densenet-small": (DenseNetSmall, ImageOptions),
    "densenet-deep": (DenseNetDeep, ImageOptions),
    "xception": (Xception, ImageOptions),
    "nasnet": (NASNet, ImageOptions),
}
ALL_ARCHITECTURES: Mapping[str, tuple[type[nn.Module], type[Options]]] = ChainMap(IMAGE_ARCHITECTURES, ARCHITECTURES)


def build(architecture: str, classes: int, options: Mapping[str, Any] | None = None) -> nn.Module:
    """A freshly initialised model of ``classes`` outputs.

    Raises
    ------
    ValueError
        For an unknown architecture (pydantic's ``ValidationError``, a ``ValueError``, for wrong options).
    """
    try:
        module, options_type = ALL_ARCHITECTURES[architecture]
    except KeyError:
        known = ", ".join(sorted(ALL_ARCHITECTURES))
        raise ValueError(f"There is no architecture {architecture!r}; the known ones are: {known}.") from None
    return module(classes, options_type.model_validate(options or {}))


__all__ = [
    "ALL_ARCHITECTURES",
    "ARCHITECTURES",
    "IMAGE_ARCHITECTURES",
    "Classifier",
    "NonFiniteError",
    "Output",
    "PointNet",
    "PointNetOptions",
    "build",
    "eval_view",
    "evaluating",
    "give_name",
    "require_finite",
]
