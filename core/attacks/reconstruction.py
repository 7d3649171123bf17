"""AdvPC (Hamdi et al. 2020): an attack on a cloud and on its reconstruction by an autoencoder."""

from pathlib import Path
from typing import ClassVar

from torch import Tensor

from core.attacks.mixed import MixedAttack
from core.attacks.state import State
from core.models import Classifier
from core.models.autoencoder_files import autoencoder_for, autoencoder_path
from core.options import option


class ReconstructionAttack(MixedAttack):
    """A gradient attack on the cloud and on its reconstruction, so that the perturbation is not lost by projecting the
    cloud onto the shapes that the autoencoder has learnt."""

    clouds_alone: ClassVar[bool] = True

    reconstruction_share: float = option(
        0.25,
        "Weight of the objective at the reconstructed cloud, beside that at the cloud itself (gamma of the paper).",
        low=0.0,
        high=1.0,
    )
    autoencoder: str = option(
        "", "File of an autoencoder; empty is the built-in one of the shapes that the attacked model was trained on."
    )

    @property
    def description(self) -> str:
        return f"reconstruction {super().description}"

    def files(self, model: Classifier) -> dict[str, Path]:
        return {"autoencoder": autoencoder_path(model, self.autoencoder)}

    @property
    def gamma(self) -> float:
        return self.reconstruction_share

    def other_cloud(self, model: Classifier, clouds: Tensor, state: State) -> Tensor:
        found: Tensor = autoencoder_for(model, self.autoencoder, like=clouds)(clouds)
        return found
