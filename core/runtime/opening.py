"""Opens a path from a person: a cloud or mesh, a model, or the folder of a training run."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from core.clouds import SHOWN, Cloud
from core.clouds.files import read_cloud
from core.models.cards import ModelError
from core.models.checkpoints import LoadedModel, load_model, resolve_model
from core.models.importers import is_archive, is_foreign
from core.models.importers.sources import CARD
from core.models.predict import predict
from core.training import run_title


def open_path(path: Path, device: torch.device | str = "cpu") -> Cloud | LoadedModel:
    """Read a cloud or mesh, normalised to the unit sphere, or load the model in a file or a run's folder.

    Raises
    ------
    ValueError
        If it is neither, or damaged, or a model of images; one sentence with the path and what is accepted.
        ``NonFiniteError`` if a model's logits for a sphere are not finite.
    """
    if path.is_dir() or path.name.lower().endswith((".safetensors", CARD)):
        model = load_model(resolve_model(path), device)
        if title := run_title(path):
            model = replace(model, card=model.card.model_copy(update={"title": title}))
        if model.card.image is not None:
            raise ModelError(f"{model.name} takes images, and the studio shows clouds: use it in commands.")
        sphere = np.random.default_rng(0).normal(size=(1, model.card.points, 3)).astype(np.float32)
        predict(model.module, sphere / np.linalg.norm(sphere, axis=2, keepdims=True))
        return model
    return read_cloud(path, SHOWN)


def has_to_be_imported(path: Path) -> bool:
    """Whether a path is a model of another project, which has to be imported before it can be used.

    Raises
    ------
    ModelError
        If it is a damaged safetensors file.
    """
    if path.is_dir() or path.name.endswith(CARD) or not is_foreign(path):
        return False
    return path.suffix.lower() != ".pts" or is_archive(path)  # clouds have this ending too
