"""A model whose weights are finite numbers, and whose logits are not."""

from pathlib import Path

import torch

from core.models import build
from core.models.checkpoints import ModelCard, save_model


def overflowing_model(path: Path, classes: tuple[str, ...], **changes: object) -> Path:
    """Write such a model of these classes; its name is that of the file."""
    torch.manual_seed(0)
    module = build("pointnet", len(classes))
    with torch.no_grad():
        module.get_submodule("classifier.7").weight.fill_(3e38)  # type: ignore[operator, union-attr]
    values = {
        "name": path.stem,
        "title": path.stem,
        "architecture": "pointnet",
        "classes": classes,
        "regime": "simple",
        "points": 64,
        "dataset": "folder",
        "fingerprint": "0123456789abcdef",
        "up_axis": "z",
        "seed": 0,
        "epochs": 1,
    }
    save_model(path, module, ModelCard.model_validate(values | changes))
    return path
