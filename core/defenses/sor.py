"""Statistical outlier removal (Rusu et al., Towards 3D point cloud based object maps, 2008), the denoiser of DUP-Net
(Zhou et al., Denoiser and upsampler network for 3D adversarial point clouds defense, 2019).
"""

import torch
from torch import Tensor

from core.defenses.base import Defense
from core.defenses.points import neighbours, repeated, taken
from core.options import option


class OutlierRemoval(Defense):
    """Remove points whose mean distance to the k nearest is over mean + alpha standard deviations of all points' ones.

    Open3D's ``remove_statistical_outlier(k + 1, alpha)`` removes the same points if none is repeated, as it counts a
    point among its own nearest. Here repeats of a point are one neighbour, and are kept or removed together.
    """

    k: int = option(2, "Nearest points whose mean distance is taken.", unit="points", low=1, high=100)
    alpha: float = option(1.1, "Standard deviations over the mean that are still allowed.", low=0.0, high=100.0)
    squared: bool = option(False, "Take squared distances, as the public port IF-Defense does.", advanced=True)

    def apply(self, clouds: Tensor, draw: int) -> Tensor:
        return taken(clouds, repeated(self.inliers(clouds)))

    @torch.no_grad()
    def inliers(self, clouds: Tensor) -> Tensor:
        """(B, N), which points are not outliers; a point exactly at the limit is not one."""
        far = (neighbours(clouds, self.k) - clouds[:, :, None]).norm(dim=3)
        score = (far.square() if self.squared else far).mean(2)
        spread = score.std(1, keepdim=True, correction=min(1, score.shape[1] - 1))
        limit = score.mean(1, keepdim=True) + self.alpha * spread
        return score <= limit * (1 + 16 * torch.finfo(score.dtype).eps)  # tolerance for rounding of equal scores
