"""A wrapper that gives a model of another project its clouds in the frame that it was trained in."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from core.clouds.frames import STANDARD_UP, Axis, Orientation
from core.models.port import Output
from core.options import Options, option


class Frame(Options):
    """The frame of the clouds that a model of another project was trained on."""

    up: Axis | None = option(
        None, "Axis that points up in the clouds it was trained on; clouds are turned for it. Empty: as they stand."
    )
    normalisation: Literal["sphere", "cube", "none"] = option(
        "sphere",
        "What clouds were scaled to in its training: the unit sphere about the centroid, as they are here; the cube "
        "from -1 to 1 about the middle of their box; or nothing: then they are given as they are, times the scale.",
    )
    scale: float = option(
        1.0, "Factor on the coordinates after that, 0.5 for a cube of side 1.", low=1e-3, high=1e3, advanced=True
    )

    @property
    def usual(self) -> bool:
        """Whether clouds are given to the model as the program has them: z up, in the unit sphere."""
        return self.up in (None, "z") and self.normalisation != "cube" and self.scale == 1

    def words(self) -> str:
        """As options of a command: ``--up=y --normalisation=cube``; without "=", -y would look like an option."""
        usual = Frame().model_dump()
        return " ".join(f"--{name}={value}" for name, value in self.model_dump().items() if value != usual[name])


class Framed(nn.Module):
    """Clouds (B, N, 3) as the program has them, z up and in the unit sphere -> ``Output`` of a model of another frame.

    Turning and scaling are part of the model. So gradients go through them, a budget is in unit-sphere radii whatever
    the model takes, and models of several frames can predict the same cloud. Turns are by right angles, so that an
    L-infinity ball about the clean cloud stays one.
    """

    def __init__(self, model: nn.Module, frame: Frame) -> None:
        super().__init__()
        self.model, self.frame = model, frame
        self.rotation: Tensor
        """(3, 3), to be multiplied from the right with row vectors."""
        rotation = Orientation(STANDARD_UP).rotation(frame.up or STANDARD_UP)
        self.register_buffer("rotation", torch.from_numpy(np.ascontiguousarray(rotation.T)).float(), persistent=False)

    def place(self, clouds: Tensor) -> Tensor:
        """The clouds (B, N, 3) in the frame of the model."""
        x = clouds @ self.rotation.to(clouds.dtype)
        if self.frame.normalisation == "cube":
            low, high = x.amin(1, keepdim=True), x.amax(1, keepdim=True)
            half = ((high - low).amax(2, keepdim=True) / 2).clamp_min(torch.finfo(x.dtype).tiny)
            x = (x - (low + high) / 2) / half
        return x * self.frame.scale

    def forward(self, clouds: Tensor) -> Output:
        output: Output = self.model(self.place(clouds))
        return output


def framed(model: nn.Module, frame: Frame) -> nn.Module:
    """The model, wrapped so that it takes clouds as the program has them; unchanged if it takes these already."""
    return model if frame.usual else Framed(model, frame)
