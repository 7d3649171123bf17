"""A point-cloud autoencoder: a PointNet encoder and a decoder of linear layers (Achlioptas et al. 2018).

AdvPC (Hamdi et al. 2020) attacks a classifier on clouds and on their reconstructions.
"""

import torch
from torch import Tensor, nn

from core.models.zoo.pointnet import PointLayer, PooledLayer
from core.options import Options, option


class AutoencoderOptions(Options):
    """Architecture of an autoencoder."""

    points: int = option(512, "Points of a reconstruction.", low=1, high=100_000)
    latent: int = option(256, "Size of the latent.", low=1, high=4096)
    width: int = option(384, "Units of each hidden layer of the decoder.", low=1, high=4096)


class Autoencoder(nn.Module):
    """Clouds (B, N, 3) of any number of points in the unit sphere -> reconstructions (B, options.points, 3)."""

    def __init__(self, options: AutoencoderOptions | None = None) -> None:
        super().__init__()
        self.options = options or AutoencoderOptions()
        latent, width = self.options.latent, self.options.width
        self.encoder = nn.Sequential(PointLayer(3, 64), PointLayer(64, 128), PooledLayer(128, latent))
        self.decoder = nn.Sequential(
            nn.Linear(latent, width), nn.ReLU(),
            nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, 3 * self.options.points),
        )  # fmt: skip

    def forward(self, clouds: Tensor) -> Tensor:
        return self.decoder(self.encoder(clouds)).view(len(clouds), self.options.points, 3)  # type: ignore[no-any-return]


def chamfer_loss(reconstructions: Tensor, clouds: Tensor) -> Tensor:
    """(B,), the sum of the two mean square distances to the nearest point of the other cloud.

    Parameters
    ----------
    reconstructions : Tensor (B, M, 3)
    clouds : Tensor (B, N, 3)
    """
    with torch.no_grad():  # which points are nearest; rounding may choose the second nearest where two are as near
        square = reconstructions.square().sum(2)[:, :, None] + clouds.square().sum(2)[:, None]
        square = torch.baddbmm(square, reconstructions, clouds.mT, alpha=-2)
        nearest_cloud, nearest_reconstruction = square.argmin(2), square.mT.contiguous().argmin(2)
    there = reconstructions - clouds.gather(1, nearest_cloud[..., None].expand(-1, -1, 3))
    back = clouds - reconstructions.gather(1, nearest_reconstruction[..., None].expand(-1, -1, 3))
    return there.square().sum(2).mean(1) + back.square().sum(2).mean(1)
