"""What a path is: a cloud or mesh, weights, or the folder of a training run."""

from pathlib import Path

import torch

from core.clouds import SHOWN, Cloud
from core.clouds.files import read_cloud
from core.models.checkpoints import LoadedModel, load_model, resolve_model


def open_path(path: Path, device: torch.device | str = "cpu") -> Cloud | LoadedModel:
    """Read a cloud or mesh in the unit sphere, or the model in a file of weights or a run's folder.

    Raises
    ------
    ValueError
        If it is neither, or damaged; one sentence with the path and what is accepted.
    """
    if path.is_dir() or path.suffix.lower() == ".safetensors":
        return load_model(resolve_model(path), device)
    return read_cloud(path, SHOWN)
