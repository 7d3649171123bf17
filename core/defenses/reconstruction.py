"""Reconstruction by an autoencoder, in the manner of Defense-GAN (Samangouei et al., Protecting classifiers against
adversarial attacks using generative models, 2018): what shapes of the training set do not have is lost.
"""

from typing import Self

import torch
from torch import Tensor, nn

from core.defenses.base import Defense
from core.models.autoencoder_files import autoencoder_for, autoencoder_path
from core.options import option


class Reconstruction(Defense):
    """Replace a cloud by its reconstruction; of its points some are repeated or left out, so that as many are returned.

    Its gradient is that of the autoencoder.
    """

    autoencoder: str = option(
        "", "File of an autoencoder; empty is the built-in one of the shapes that the model was trained on."
    )

    def for_model(self, model: nn.Module) -> Self:
        defense = super().for_model(model)
        return defense.model_copy(update={"autoencoder": str(autoencoder_path(model, self.autoencoder))})

    def apply(self, clouds: Tensor, draw: int) -> Tensor:
        autoencoder = autoencoder_for(None, self.autoencoder, like=clouds)
        # one after another: in a batch the rounding of a cloud's products depends on the others
        points = torch.cat([autoencoder(cloud) for cloud in clouds.split(1)])
        wanted, given = clouds.shape[1], points.shape[1]
        places = torch.arange(wanted, device=clouds.device)
        return points[:, places % given if wanted >= given else places * given // wanted]
