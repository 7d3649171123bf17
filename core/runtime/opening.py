"""What a path is: a cloud or mesh, weights, or the folder of a training run."""

from pathlib import Path

import numpy as np
import torch

from core.clouds import SHOWN, Cloud
from core.clouds.files import read_cloud
from core.models.checkpoints import LoadedModel, load_model, resolve_model
from core.models.predict import predict


def open_path(path: Path, device: torch.device | str = "cpu") -> Cloud | LoadedModel:
    """Read a cloud or mesh in the unit sphere, or the model in a file of weights or a run's folder.

    Raises
    ------
    ValueError
        If it is neither, or damaged; one sentence with the path and what is accepted. ``NonFiniteError`` if it is a
        model that can't predict even a sphere.
    """
    if path.is_dir() or path.suffix.lower() == ".safetensors":
        model = load_model(resolve_model(path), device)
        sphere = np.random.default_rng(0).normal(size=(1, SHOWN, 3)).astype(np.float32)
        predict(model.module, sphere / np.linalg.norm(sphere, axis=2, keepdims=True))
        return model
    return read_cloud(path, SHOWN)
