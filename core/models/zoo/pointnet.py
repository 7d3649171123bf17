"""PointNet for classification (Qi et al. 2017), as Defense-PointNet uses it: extractor, 1024-D latent, classifier.

Layer sizes follow fxia22/pointnet.pytorch, whose settings the first paper matches: T-Net 64-128-1024-512-256,
per-point layers 64-128-1024, classifier 512-256-K with dropout 0.3 before the second batch norm. The latent is the
max-pool of the last batch-normalised layer, without ReLU; the classifier is the last three fully connected layers.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.fast.fused import linear_bn_max, linear_bn_relu
from core.models.port import Output
from core.options import Options, option


class PointNetOptions(Options):
    """Architecture of a PointNet."""

    feature_transform: bool = option(
        False, "Also align the 64-D point features with a T-Net, whose matrix is pulled towards orthogonal."
    )
    dropout: float = option(0.3, "Share of the 256 classifier features dropped in training.", low=0.0, high=0.9)


class PointLayer(nn.Module):
    """Linear + batch norm + ReLU shared by all points: (B, N, in) -> (B, N, out)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.norm = nn.BatchNorm1d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return linear_bn_relu(x, self.linear, self.norm)


class PooledLayer(PointLayer):
    """Linear + batch norm + max over points: (B, N, in) -> (B, out)."""

    def forward(self, x: Tensor) -> Tensor:
        return linear_bn_max(x, self.linear, self.norm)


class TNet(nn.Module):
    """Predicts a (B, size, size) alignment of point features (B, N, size), starting from the identity."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.points = nn.Sequential(PointLayer(size, 64), PointLayer(64, 128))
        self.pool = PooledLayer(128, 1024)
        self.head = nn.Sequential(
            nn.Linear(1024, 512), nn.BatchNorm1d(512), nn.ReLU(),
            nn.Linear(512, 256), nn.BatchNorm1d(256), nn.ReLU(),
            nn.Linear(256, size * size),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        matrix = self.head(F.relu(self.pool(self.points(x)))).view(-1, self.size, self.size)
        return matrix + torch.eye(self.size, dtype=x.dtype, device=x.device)


class PointNet(nn.Module):
    """PointNet classifier: clouds (B, N, 3) in the unit sphere -> ``Output`` of logits (B, K) and latent (B, 1024).

    Any number of points N >= 1 is accepted. In training mode ``penalty`` holds the orthogonality penalty of the last
    batch's feature transform (zero without one), to be added to the loss with weight 1e-3 as in the reference.
    """

    def __init__(self, classes: int, options: PointNetOptions | None = None) -> None:
        super().__init__()
        self.options = options or PointNetOptions()
        self.input_transform = TNet(3)
        self.first = PointLayer(3, 64)
        self.feature_transform = TNet(64) if self.options.feature_transform else None
        self.second = PointLayer(64, 128)
        self.pool = PooledLayer(128, 1024)
        self.classifier = nn.Sequential(
            nn.Linear(1024, 512), nn.BatchNorm1d(512), nn.ReLU(),
            nn.Linear(512, 256), nn.Dropout(self.options.dropout), nn.BatchNorm1d(256), nn.ReLU(),
            nn.Linear(256, classes),
        )  # fmt: skip
        self.penalty: Tensor = torch.zeros(())

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"penalty": self.penalty.detach()}  # copies can't share the gradient of the last batch

    def forward(self, clouds: Tensor) -> Output:
        x = self.first(clouds @ self.input_transform(clouds))
        if self.feature_transform is not None:
            transform = self.feature_transform(x)
            if self.training:
                self.penalty = _orthogonality(transform)
            x = x @ transform
        latent = self.pool(self.second(x))
        return Output(self.classifier(latent), latent)


def _orthogonality(transform: Tensor) -> Tensor:
    """Mean Frobenius norm of A A^T - I over transforms (B, D, D); PointNet paper, equation 2 (unsquared)."""
    identity = torch.eye(transform.shape[-1], dtype=transform.dtype, device=transform.device)
    return torch.linalg.matrix_norm(transform @ transform.mT - identity).mean()
