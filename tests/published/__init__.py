"""The public definitions of the zoo's architectures in plain PyTorch: what ours are compared with, and timed beside."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from core.models.importers.families import family_of
from core.models.importers.weights import State
from tests.published.curvenet import PublishedCurveNet
from tests.published.dgcnn import PublishedDGCNN
from tests.published.gdanet import PublishedGDANet
from tests.published.pct import PublishedPCT
from tests.published.pointconv import PublishedPointConv
from tests.published.pointmlp import PublishedPointMLP, PublishedPointMLPElite
from tests.published.pointnet2 import PublishedPointNet2MSG, PublishedPointNet2SSG


@dataclass(frozen=True)
class Published:
    """The public definition of an architecture."""

    make: Callable[[int, float], nn.Module]
    """(classes, dropout) -> the model, clouds (B, 3, N) -> logits."""
    parameters: float
    """Of the public model of 40 classes, in millions."""


PUBLISHED = {
    "dgcnn": Published(PublishedDGCNN, 1.810),
    "gdanet": Published(PublishedGDANet, 0.937),
    "pct": Published(PublishedPCT, 2.876),
    "pointmlp": Published(PublishedPointMLP, 13.239),
    "pointmlp-elite": Published(PublishedPointMLPElite, 0.716),
    "pointnet2-ssg": Published(PublishedPointNet2SSG, 1.476),
    "pointnet2-msg": Published(PublishedPointNet2MSG, 1.747),
    "pointconv": Published(PublishedPointConv, 19.569),
    "curvenet": Published(PublishedCurveNet, 2.141),
}


def by_our_names(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a published model as an import of its weights gives them to ours."""
    state = State(tensors, "")
    family = family_of(state)
    assert family is not None
    assert family.build is not None
    return dict(family.build(state).tensors)
